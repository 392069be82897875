"""Runs the suites and tells, a line each, whether anything fails only through the gateway."""

import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from . import machine, through
from .cluster import Cluster, Template
from .drivers import Asyncpg, Pg8000, Psycopg2, SqlAlchemy
from .parts import Parts, Unavailable, place
from .postgres import Isolation, Regress
from .rust import TokioPostgres
from .suite import FAIL, PASS, Broken, Comparison, Place, count

SUITES = [Regress(), Isolation(), Asyncpg(), Psycopg2(), Pg8000(), SqlAlchemy(), TokioPostgres()]
HERE = Path(__file__).resolve().parent.parent


def exceptions():
    """Tests of the server's own authentication, by suite: `suite  test  # reason`."""
    found = {}
    for line in (HERE / "exceptions.txt").read_text().splitlines():
        stated, _, reason = line.partition("  # ")
        if not stated.strip() or stated.startswith("#"):
            continue
        suite, _, test = stated.strip().partition(" ")
        if not reason.strip():
            raise SystemExit(f"transparency: an exception without a reason: {line}")
        found.setdefault(suite, set()).add(test.strip())
    return found


def open_way(port, cluster, databases, out):
    """The way that the environment asks for."""
    if "THROUGH_PORT" in os.environ:
        return through.external()
    kinds = {"relay": through.relay, "pgbouncer": through.pgbouncer, "chaperone": through.chaperone}
    return kinds[os.environ.get("THROUGH", "chaperone")](port, cluster, databases, out)


class Session:
    """One run of all that was asked for."""

    def __init__(self, home):
        self.home = home
        self.quick = os.environ.get("QUICK", "") not in ("", "0")
        self.parts = Parts(os.environ.get("PARTS") or place())
        self.keep = os.environ.get("KEEP")
        self.templates = {}

    def template(self, bindir):
        """The data folder of this version, initialised once."""
        if bindir not in self.templates:
            self.templates[bindir] = Template(bindir, self.home)
        return self.templates[bindir]

    def once(self, suite, bindir, direct, name):
        """One run of one suite on a fresh cluster."""
        out = self.home / f"{suite.name}-{name}"
        out.mkdir()
        machine.give(out)
        tests_port = suite.port or machine.free_port()
        if suite.port and not machine.is_free(suite.port):
            raise Broken(f"port {suite.port}, which is written into its tests, is taken")
        cluster_port = tests_port if direct else int(os.environ.get("CLUSTER_PORT", "0")) or None
        cluster = Cluster(self.template(bindir), port=cluster_port, **suite.options())
        try:
            suite.set_up(cluster)
            place = Place(port=tests_port, out=out, quick=self.quick)
            if direct:
                return suite.run(place)
            way = open_way(tests_port, cluster, suite.databases, way_folder(self.home, f"{suite.name}-{name}"))
            try:
                place.port = way.port
                outcomes = suite.run(place)
                way.check()
            finally:
                way.close()
            way.prove()
            return outcomes
        finally:
            cluster.close()
            if self.keep:
                target = Path(self.keep) / out.name
                shutil.rmtree(target, ignore_errors=True)
                shutil.copytree(out, target, symlinks=True, ignore_dangling_symlinks=True)
                shutil.copytree(way_folder(self.home, f"{suite.name}-{name}"), target / "way", dirs_exist_ok=True)

    def compare(self, suite, allowed):
        """Direct, then through; what fails only through is tried once more, for some tests depend on time."""
        bindir = suite.prepare(self.parts, machine.binaries()) or machine.binaries()
        direct = self.once(suite, bindir, True, "direct")
        result = Comparison.of(direct, self.once(suite, bindir, False, "through"), allowed)
        if 0 < len(result.only_through) <= 5:
            again = Comparison.of(direct, self.once(suite, bindir, False, "again"), allowed)
            unsteady = [name for name in result.only_through if name not in again.only_through]
            for name in unsteady:
                print(f"  unsteady: {name} failed through, and passed when tried again", flush=True)
            result.only_through = [name for name in result.only_through if name in again.only_through]
        return result


def way_folder(home, name):
    """The gateway's own folder for a run: not the suite's, which belongs to whom the server runs as."""
    folder = home / f"way-{name}"
    folder.mkdir(exist_ok=True)
    return folder


def main():
    """The exit status."""
    wanted = sys.argv[1:]
    known = {suite.name: suite for suite in SUITES}
    if unknown := [name for name in wanted if name not in known]:
        raise SystemExit(f"transparency: no suite {unknown[0]}: {' '.join(known)}")
    home = Path(tempfile.mkdtemp(prefix="chaperone-transparency-"))
    os.chmod(home, 0o755)
    if machine.ROOT:
        shutil.chown(home, "postgres")
    lines, sound = [], True
    try:
        session = Session(home)
        chosen = [known[name] for name in wanted] or [suite for suite in SUITES if suite.quick or not session.quick]
        allowed = exceptions()
        for suite in chosen:
            start = time.monotonic()
            print(f"{suite.name} …", flush=True)
            try:
                result = session.compare(suite, allowed.get(suite.name, set()))
            except (Unavailable, Broken, through.Failed, machine.Timeout) as error:
                sound = False
                lines.append(f"{suite.name}: did not run: {str(error).splitlines()[0]}")
                print(f"  {error}", flush=True)
                continue
            for name in result.only_through:
                print(f"  only through: {name}: {result.through.get(name, 'no outcome')}", flush=True)
            for name in result.excepted:
                print(f"  excepted: {name}", flush=True)
            sound &= not result.only_through
            lines.append(
                f"{suite.name}: direct {count(result.direct, PASS)} passed {count(result.direct, FAIL)} failed"
                f" · through {count(result.through, PASS)} passed {count(result.through, FAIL)} failed"
                f" · only through: {len(result.only_through)}"
                + (f" (and {len(result.excepted)} excepted)" if result.excepted else "")
            )
            print(f"  {time.monotonic() - start:.0f} s", flush=True)
    finally:
        shutil.rmtree(home, ignore_errors=True)
    print("\n".join(["", *lines]))
    return 0 if sound else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
