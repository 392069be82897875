"""The database of the benchmark, and the ways to it."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

from transparency import machine, relay
from transparency.cluster import Cluster, Template
from transparency.through import Failed, Process

from .cells import SELECT_ONLY

SETTINGS = """
shared_buffers = '512MB'
autovacuum = off
max_wal_size = '4GB'
max_connections = 1100
"""

#: Invented rows of 143 bytes of values on average: what the aims were measured with.
BULK = """
create table bulk (id bigint, name text, ssn text, born date, zip text, note text);
insert into bulk
select i, 'Patient Number ' || i, format('9%s-%s-%s', lpad((i % 100)::text, 2, '0'), 10 + i % 40, lpad((i % 10000)::text, 4, '0')),
       date '1940-01-01' + (i % 27000)::int, (10000 + i % 89999)::text, repeat(md5(i::text), 2) || ' was seen and went home'
from generate_series(1, {rows}) i;
vacuum (analyze, freeze) bulk;
"""

CLASSES = """
tables:
  public.pgbench_accounts: { columns: { aid: none, bid: none, abalance: none, filler: clinical_text } }
  public.bulk: { columns: { id: none, name: name, ssn: ssn, born: birth_date, zip: zip, note: clinical_text } }
"""

POLICY = """
permit (principal in Group::"bench", action in [Action::"connect", Action::"select", Action::"copy", Action::"call"], resource);
permit (principal in Group::"bench", action == Action::"read_raw", resource in Class::"name");
permit (principal in Group::"bench", action == Action::"read_partial", resource)
when { resource in Class::"birth_date" || resource in Class::"zip" };
"""

#: The masks of this policy as one would write them by hand, who knows that every birth is a date, none too long ago, and
#: every ZIP code five digits of a populous place.
MASKED_BY_HAND = (
    "select id, name, null::text as ssn, make_date(extract(year from born)::int, 1, 1) as born, left(zip, 3) as zip,"
    " null::text as note from bulk"
)


@dataclass
class Way:
    """One way to the database. `pid` is of the process between, if there is one."""

    name: str
    port: int
    database: str
    password: str
    pid: int = 0
    #: The file with the token, where the password is one: it is replaced while we run.
    token: Path = None

    def secret(self):
        """What to say when asked for the password."""
        return self.token.read_text() if self.token else self.password


class Setting:
    """A cluster with its data and all four ways, gone when closed."""

    def __init__(self, home, rows, log):
        self.home, self.log = home, log
        self.processes, self.ways, self.gateway = [], [], None
        self.bindir = machine.binaries()
        self.password = os.urandom(16).hex()
        template = Template(self.bindir, home)
        # The server asks for a password by SCRAM, as one in use does.
        hba = "host all postgres 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n"
        self.cluster = Cluster(template, settings=SETTINGS, hba=hba)
        self.cluster.psql(f"create role bench login password '{self.password}'")
        self.cluster.psql("create database bench owner bench")
        self._pgbench_init()
        self.cluster.psql(BULK.format(rows=rows), "bench")
        self.cluster.psql("grant select on all tables in schema public to bench", "bench")
        self.script = home / "select-only.sql"
        self.script.write_text(SELECT_ONLY)
        self.ways = [
            Way("direct", self.cluster.port, "bench", self.password),
            self._pgbouncer(),
            *self._chaperone(),
        ]

    def _pgbench_init(self):
        command = [self.bindir / "pgbench", "-i", "-s", "10", "-q", "-h", "127.0.0.1", "-p", self.cluster.port, "-U", "postgres"]
        if machine.run([*command, "bench"], seconds=300, log=self.log) != 0:
            raise Failed("pgbench cannot fill the database")

    def _start(self, command, name, **identity):
        process = Process(command, self.home / f"{name}.log", **identity)
        self.processes.append(process)
        return process

    def _pgbouncer(self):
        folder = self.home / "pgbouncer"
        folder.mkdir()
        port = machine.free_port()
        (folder / "users").write_text(f'"bench" "{self.password}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\nbench = host=127.0.0.1 port={self.cluster.port} dbname=bench\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
            f"listen_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {folder / 'users'}\n"
            "pool_mode = session\nserver_reset_query = DISCARD ALL\nmax_client_conn = 500\ndefault_pool_size = 100\n"
            "ignore_startup_parameters = extra_float_digits,options\nlog_connections = 0\nlog_disconnections = 0\n"
        )
        machine.give(folder)
        process = self._start(["/usr/sbin/pgbouncer", folder / "pgbouncer.ini"], "pgbouncer.out", **machine.server_user())
        process.wait_for_port(port)
        return Way("pgbouncer", port, "bench", self.password, process.child.pid)

    def _chaperone(self):
        """The gateway on loopback without TLS, as the others: what is compared is the work, not the encryption."""
        if os.environ.get("RELAY"):
            return self._relays()
        self.binary = Path(os.environ.get("CHAPERONE", "target/release/chaperone")).resolve()
        folder = self.home / "chaperone"
        (folder / "policies").mkdir(parents=True)
        claims = json.dumps({"sub": "bench", "groups": ["bench"]})
        command = [self.binary.parent / "testkit", "issuer", "--dir", folder, "--claims", claims, "--lifetime", "7200"]
        self._start(command, "issuer").wait_for_file(folder / "url")
        port = machine.free_port()
        (folder / "policies" / "bench.cedar").write_text(POLICY)
        (folder / "classes.yaml").write_text(CLASSES)
        for file, role in (("credential", "bench"), ("minter", "minter")):
            (folder / file).write_text(f"{role}\n{self.password}\n")
            os.chmod(folder / file, 0o600)
        self.gateway_port = port
        self.fresh = 0
        token = folder / "token"
        names = {"chaperone": "plain", "masking": "masked", "minting": "minted"}
        self.ways = [Way(name, port, database, "", 0, token) for name, database in names.items()]
        self.restart()
        self._minter(folder)
        return self.ways

    def _minter(self, folder):
        """The role that makes one for each session of `minted`, as an administrator makes it."""
        command = [self.binary, "credentials", "script", "--connection", "minted", "-c", folder / "chaperone.yaml"]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
        if done.returncode != 0:
            raise Failed(f"no script for the minter: {done.stderr}")
        self.cluster.psql(done.stdout, "bench")
        self.cluster.psql(f"alter role minter password '{self.password}'")

    def restart(self):
        """A gateway that has done nothing yet, with an evidence log of its own: so that its memory tells of one work only."""
        if not hasattr(self, "gateway_port"):
            return
        if self.gateway:
            self.processes.remove(self.gateway)
            self.gateway.close()
        self.fresh += 1
        folder = self.home / "chaperone"
        database = f"postgres: '127.0.0.1:{self.cluster.port}/bench', tls: disable"
        upstream = f"{database}, credential: {{ file: credential }}"
        minted = f"{database}, credential: {{ ephemeral: {{ minter: {{ file: minter }} }} }}"
        (folder / "chaperone.yaml").write_text(
            f"listen: {{ postgres: '127.0.0.1:{self.gateway_port}' }}\n"
            f"issuers: [{{ name: bench, url: '{(folder / 'url').read_text()}', audience: chaperone }}]\n"
            f"connections:\n  plain: {{ {upstream}, phi: none }}\n  masked: {{ {upstream}, classification: classes.yaml }}\n"
            f"  minted: {{ {minted}, classification: classes.yaml }}\n"
            f"policies: policies\nevidence: {{ dir: evidence-{self.fresh} }}\nlimits: {{ connections: 2000 }}\n"
        )
        command = [self.binary, "serve", "--config", folder / "chaperone.yaml"]
        self.gateway = self._start(command, f"gateway-{self.fresh}")
        self.gateway.wait_for_port(self.gateway_port)
        for way in self.ways:
            if way.name in ("chaperone", "masking", "minting"):
                way.pid = self.gateway.child.pid

    def masked(self, sql):
        """What the gateway runs in place of a statement."""
        if not hasattr(self, "gateway_port"):
            return sql
        folder = self.home / "chaperone"
        command = [self.binary, "explain", "-c", folder / "chaperone.yaml", "--connection", "masked",
                   "--token-file", folder / "token", "--sql", sql]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=60, check=False)
        head, _, text = done.stdout.partition("\nruns as\n")
        if done.returncode != 0 or not text:
            raise Failed(f"the gateway does not explain `{sql}`: {done.stderr or head}")
        return text.strip()

    def _relays(self):
        """A plain relay in the gateway's place, for both of its ways."""
        port = machine.free_port()
        script = Path(relay.__file__)
        process = self._start(["python3", script, port, self.cluster.port], "relay")
        process.wait_for_port(port)
        return [Way(name, port, "bench", self.password, process.child.pid) for name in ("chaperone", "masking")]

    def check(self):
        """All of it is alive and nothing panicked."""
        for process in self.processes:
            process.check()

    def close(self):
        """Ends everything."""
        for process in reversed(self.processes):
            process.close()
        self.cluster.close()
