"""The suite of the crate `tokio-postgres`."""

import re
import shutil
import subprocess

from . import machine
from .cluster import machine_env
from .suite import FAIL, PASS, SKIP, Broken, Suite

HBA = """
host    all pass_user  127.0.0.1/32 password
host    all md5_user   127.0.0.1/32 md5
host    all scram_user 127.0.0.1/32 scram-sha-256
hostssl all ssl_user   127.0.0.1/32 trust
host    all ssl_user   127.0.0.1/32 reject
host    all postgres   127.0.0.1/32 trust
"""

ROLES = """
set password_encryption = 'md5';
create role md5_user password 'password' login;
set password_encryption = 'scram-sha-256';
create role pass_user password 'password' login;
create role scram_user password 'password' login;
create role ssl_user login;
create extension hstore; create extension citext; create extension ltree;
"""


class TokioPostgres(Suite):
    """Pipelining, cancels, COPY in both formats, portals, row streams, notices."""

    name = "tokio-postgres"
    databases = ("postgres",)
    seconds = 300
    port = 5433
    quick = False

    def prepare(self, parts, bindir):
        self.source = parts.tokio_postgres()
        self.certificate = self.source / "server.crt", self.source / "server.key"
        if not all(path.exists() for path in self.certificate):
            subprocess.run(
                ["openssl", "req", "-new", "-x509", "-days", "3650", "-nodes", "-subj", "/CN=localhost",
                 "-out", self.certificate[0], "-keyout", self.certificate[1]], check=True, capture_output=True)
        if machine.run(self._cargo("--no-run"), seconds=1200, log=self.source / "build.log", cwd=self.source) != 0:
            raise Broken(f"the crate's tests do not build: see {self.source / 'build.log'}")

    @staticmethod
    def _cargo(*arguments):
        return ["cargo", "test", "--all-features", "--test", "test", *arguments]

    def options(self):
        return {"hba": HBA, "tls": {"server.crt": self.certificate[0], "server.key": self.certificate[1]}}

    def set_up(self, cluster):
        cluster.psql(ROLES)

    def run(self, place):
        log = place.out / "log"
        shutil.copy(self.source / "Cargo.toml", place.out)
        machine.run(self._cargo(), seconds=self.seconds, log=log, cwd=self.source, env=machine_env())
        found = {}
        for name, outcome in re.findall(r"(?m)^test (\S+) \.\.\. (ok|FAILED|ignored)", log.read_text(errors="replace")):
            found[name] = {"ok": PASS, "FAILED": FAIL, "ignored": SKIP}[outcome]
        if not found:
            raise Broken("cargo told no results")
        return found
