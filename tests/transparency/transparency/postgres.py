"""PostgreSQL's own suites: `pg_regress`, and `pg_isolation_regress` with blocking, cancels and deadlocks."""

import re
import shutil
from pathlib import Path

from . import machine
from .cluster import machine_env
from .suite import FAIL, PASS, Broken, Suite

HERE = Path(__file__).resolve().parent.parent

# What pg_regress would say in PGOPTIONS: a proxy that loses options is not blamed here, it has tests of its own for that.
COMMON = {
    "lc_messages": "'C'", "lc_monetary": "'C'", "lc_numeric": "'C'", "lc_time": "'C'", "bytea_output": "'hex'",
    "timezone_abbreviations": "'Default'",
}
REGRESS = {"intervalstyle": "'postgres_verbose'", "datestyle": "'Postgres, MDY'", "timezone": "'PST8PDT'"}


def outcomes(text):
    """Reads the lines of both forms: `test boolean ... ok 61 ms` up to version 15, TAP from 16 on."""
    found = {}
    for line in text.splitlines():
        old = re.match(r"^(?:test )?\s*([\w.-]+)\s+\.\.\. (ok|FAILED|failed \(ignored\))", line)
        new = re.match(r"^(ok|not ok) \d+\s+[-+] ([\w.-]+)", line)
        if old:
            found[old.group(1)] = PASS if old.group(2) == "ok" else FAIL
        elif new:
            found[new.group(2)] = PASS if new.group(1) == "ok" else FAIL
    if not found:
        raise Broken("pg_regress told no results")
    return found


class Own(Suite):
    """What the two have in common."""

    folder = ""
    tool = ""
    schedule = ""
    settings = {}
    more = ()

    def prepare(self, parts, bindir):
        # The other binaries, where it comes to that, are of the same minor version as the tests.
        self.tests, self.bindir = parts.postgres_tests(bindir)
        return self.bindir

    def set_up(self, cluster):
        database = self.databases[0]
        cluster.psql(f"create database {database} template template0 encoding 'UTF8' lc_collate 'C' lc_ctype 'C'")
        for name, value in {**COMMON, **self.settings}.items():
            cluster.psql(f"alter database {database} set {name} = {value}")

    def run(self, place):
        # Files that the server itself reads and writes: in the run's folder, which belongs to whom it runs as.
        source, build, library = place.out / "src", place.out / "build", place.out / "lib"
        shutil.copytree(self.tests / self.folder, source)
        for part in ("sql", "expected", "testtablespace", "results"):
            (build / part).mkdir(parents=True, exist_ok=True)
        library.mkdir()
        system = Path(machine.pg_config(self.bindir, "--pkglibdir"))
        for shared in [self.tests / "regress" / "regress.so", system / "refint.so", system / "autoinc.so"]:
            shutil.copy(shared, library)
        machine.give(place.out)
        pgxs = Path(machine.pg_config(self.bindir, "--pgxs")).parent.parent
        quick = HERE / f"quick.{self.name}"
        schedule = quick if place.quick else source / self.schedule
        shutil.copy(schedule, place.out / "schedule")
        command = [
            pgxs / "test" / self.tool, f"--inputdir={source}", f"--outputdir={build}", f"--bindir={self.bindir}",
            f"--dlpath={library}", "--use-existing", f"--host={place.host}", f"--port={place.port}", "--user=postgres",
            f"--dbname={self.databases[0]}", f"--schedule={place.out / 'schedule'}", *self.more,
        ]
        log = place.out / "log"
        try:
            machine.run(command, seconds=self.seconds, log=log, cwd=source, env=machine_env(PGSSLMODE="disable"),
                        **machine.server_user())
        except machine.Timeout:
            # What came to an end is told; the rest has no outcome and counts as lost.
            pass
        return outcomes(log.read_text(errors="replace"))

    def differences(self, out):
        """How the outputs differed from what is expected."""
        for path in (out / "build").glob("**/regression.diffs"):
            return path.read_text(errors="replace")
        return ""


class Regress(Own):
    """`src/test/regress`."""

    name = "pg_regress"
    databases = ("regression",)
    seconds = 420
    folder = "regress"
    tool = "regress/pg_regress"
    schedule = "parallel_schedule"
    settings = REGRESS
    more = ("--max-connections=10",)


class Isolation(Own):
    """`src/test/isolation`."""

    name = "isolation"
    databases = ("isolation_regression",)
    seconds = 300
    folder = "isolation"
    tool = "isolation/pg_isolation_regress"
    schedule = "isolation_schedule"
