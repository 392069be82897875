"""Private clusters: fresh for each run of a suite, gone with it however this process ends."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from . import machine

# The same keeper as the testkit's: it waits for the end of a pipe whose other end we hold, by whatever cause it ends.
KEEPER = """
log=$1; shift
"$@" >>"$log" 2>&1 </dev/null &
server=$!
read -r _
kill -QUIT $server 2>/dev/null
wait $server
"""

SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
max_connections = 200
max_prepared_transactions = 20
wal_level = logical
"""


class Template:
    """An initialised data folder, of which clusters are copies."""

    def __init__(self, bindir, home):
        self.bindir, self.home = bindir, home
        # one for each version of the server: the suites of its own need the version that they came with
        self.data = home / f"template-{len(list(home.glob('template-*')))}"
        log = home / f"{self.data.name}.log"
        command = [bindir / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "--no-locale", "-E", "UTF8", "-N"]
        if machine.run(command, seconds=120, log=log, cwd=home, **machine.server_user()) != 0:
            raise SystemExit(f"transparency: initdb failed: {log.read_text()}")


class Cluster:
    """A running copy of the template on 127.0.0.1. Any local user is let in without a password unless `hba` says else."""

    def __init__(self, template, port=None, settings="", hba="", tls=None):
        self.template = template
        self.port = port or machine.free_port()
        self.dir = Path(tempfile.mkdtemp(prefix="cluster-", dir=template.home))
        data = self.dir / "data"
        shutil.copytree(template.data, data, symlinks=True)
        with open(data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.write(SETTINGS + settings)
            if tls:
                conf.write("ssl = on\n")
        for name, path in (tls or {}).items():
            shutil.copy(path, data / name)
            os.chmod(data / name, 0o600)
        if hba:
            (data / "pg_hba.conf").write_text(hba, encoding="utf-8")
        machine.give(self.dir)
        os.chmod(data, 0o700)
        self.log = self.dir / "log"
        self.keeper = subprocess.Popen(
            ["sh", "-c", KEEPER, "keeper", self.log, template.bindir / "postgres", "-D", data, "-p", str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.dir,
            start_new_session=True, env=machine_env(), **machine.server_user(),
        )
        self._wait(data / "postmaster.pid")

    def _wait(self, pid_file):
        end = time.monotonic() + 60
        while time.monotonic() < end and self.keeper.poll() is None:
            try:
                lines = pid_file.read_text().splitlines()
            except OSError:
                lines = []
            if len(lines) > 7 and lines[7].strip() == "ready":
                return
            time.sleep(0.05)
        text = self.log.read_text() if self.log.exists() else ""
        self.close()
        raise SystemExit(f"transparency: the server did not start: {text}")

    def psql(self, sql, database="postgres"):
        """Runs SQL as the superuser."""
        command = [self.template.bindir / "psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1", "-U", "postgres"]
        command += ["-p", str(self.port), "-d", database, "-f", "-"]
        done = subprocess.run(command, input=sql, text=True, capture_output=True, env=machine_env(), check=False)
        if done.returncode != 0:
            raise SystemExit(f"transparency: psql: {done.stderr}")
        return done.stdout

    def close(self):
        """Stops the server and removes its folder."""
        self.keeper.stdin.close()
        try:
            self.keeper.wait(30)
        except subprocess.TimeoutExpired:
            self.keeper.kill()
        shutil.rmtree(self.dir, ignore_errors=True)


def machine_env(**more):
    """The environment without what would lead a PostgreSQL client elsewhere."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    env.update(LC_ALL="C.UTF-8", **{name: str(value) for name, value in more.items()})
    return env
