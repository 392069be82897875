"""What is measured: each cell is one kind of work over one way, for a while."""

import re
import socket
import subprocess
import time
from dataclasses import dataclass

from transparency.cluster import machine_env

from . import process


class Lost(Exception):
    """The work was not done; why."""


@dataclass
class Sample:
    """One measurement."""

    #: Work a second: transactions, log-ins, megabytes.
    rate: float
    #: The CPU time of the process between, in seconds for one unit of work; none where nothing is between.
    cpu: float | None
    #: Its peak of memory meanwhile, in MiB.
    peak: float | None


@dataclass
class Work:
    """What pgbench is to do."""

    seconds: int
    mode: str
    clients: int
    #: A log-in for each transaction.
    reconnect: bool = False
    #: So many transactions in place of so many seconds.
    times: int = 0


def sampled(way, work):
    """Does the work and tells what the process between paid for it. `work` gives the rate and the units done."""
    if way.pid:
        process.forget_peak(way.pid)
    before = process.cpu_seconds(way.pid) if way.pid else 0
    rate, units = work()
    if not way.pid:
        return Sample(rate, None, None)
    return Sample(rate, (process.cpu_seconds(way.pid) - before) / max(units, 1), process.peak_mib(way.pid))


#: pgbench's own select-only script. As a file, because for its built-in ones pgbench first looks through the catalog,
#: which an agent on a connection with protected data may not.
SELECT_ONLY = r"""
\set aid random(1, 100000 * :scale)
SELECT abalance FROM pgbench_accounts WHERE aid = :aid;
"""


def pgbench(bindir, script, way, work_of):
    """Select-only transactions, as `work_of` says."""
    seconds, mode, clients = work_of.seconds, work_of.mode, work_of.clients

    def work():
        command = [
            bindir / "pgbench", "-n", "-f", script, "-s", 10, "-M", mode, "-c", clients, "-j", min(clients, 2),
            *(["-t", work_of.times] if work_of.times else ["-T", seconds]), "-h", "127.0.0.1", "-p", way.port, "-U", "bench", *(["-C"] if work_of.reconnect else []), way.database,
        ]
        done = subprocess.run(
            [str(part) for part in command], capture_output=True, text=True, timeout=seconds + work_of.times // 10 + 60, check=False,
            env=machine_env(PGPASSWORD=way.secret(), PGSSLMODE="disable", PGGSSENCMODE="disable"),
        )
        count = re.search(r"actually processed: (\d+)", done.stdout)
        tps = re.search(r"tps = ([\d.]+)", done.stdout)
        failed = re.search(r"failed transactions: ([1-9]\d*)", done.stdout)
        if done.returncode != 0 or not count or not tps or failed:
            raise Lost(f"pgbench {mode} -c {clients} over {way.name}: {complaint(done.stderr)}")
        return float(tps.group(1)), int(count.group(1))

    return sampled(way, work)


def catalog(cluster):
    """What roles and privileges take in the catalog: rows of what roles are in, entries of access lists, and kilobytes."""
    counts = {
        "roles": "select count(*) from pg_authid",
        "memberships": "select count(*) from pg_auth_members",
        "settings of roles": "select count(*) from pg_db_role_setting",
        "entries of access lists": "select coalesce(sum(coalesce(array_length(relacl, 1), 0)), 0) from pg_class",
        "entries of columns' access lists": "select coalesce(sum(coalesce(array_length(attacl, 1), 0)), 0) from pg_attribute",
        "kB of pg_authid": "select pg_total_relation_size('pg_authid') / 1024",
        "kB of pg_auth_members": "select pg_total_relation_size('pg_auth_members') / 1024",
        "kB of pg_shdepend": "select pg_total_relation_size('pg_shdepend') / 1024",
        "kB of pg_class and pg_attribute": "select (pg_total_relation_size('pg_class') + pg_total_relation_size('pg_attribute')) / 1024",
    }
    return {name: cluster.psql(sql, "bench").strip() for name, sql in counts.items()}


def gone(cluster):
    """Waits until no session's role is left."""
    for _ in range(200):
        if cluster.psql("select count(*) from pg_roles where rolname like 'chaperone%\\_s\\_%'", "bench").strip() == "0":
            return
        time.sleep(0.1)
    raise Lost("roles of sessions are left")


def bulk(testkit, way, sql, rows):
    """One answer of many rows, read by a client that only counts; megabytes of the wire a second."""

    def work():
        command = [testkit, "read", "--port", way.port, "--user", "bench", "--database", way.database, sql]
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=300, check=False,
                              env=machine_env(PGPASSWORD=way.secret()))
        if done.returncode != 0:
            raise Lost(f"a large answer over {way.name}: {complaint(done.stderr)}")
        got, size, seconds = done.stdout.split()
        if int(got) != rows:
            raise Lost(f"a large answer over {way.name}: {got} rows of {rows}")
        megabytes = int(size) / 1e6
        return rows / float(seconds), megabytes

    return sampled(way, work)


def idle(way, sessions):
    """The memory of sessions that do nothing."""
    opened = []
    try:
        process.forget_peak(way.pid)
        for _ in range(sessions):
            opened.append(login(way))
        time.sleep(1)
        return process.peak_mib(way.pid)
    finally:
        for connection in opened:
            connection.close()


def login(way):
    """A session by password in clear, over plain sockets, until the server is ready."""
    connection = socket.create_connection(("127.0.0.1", way.port), timeout=30)
    body = b"\x00\x03\x00\x00user\x00bench\x00database\x00" + way.database.encode() + b"\x00\x00"
    connection.sendall((len(body) + 4).to_bytes(4, "big") + body)
    stream = connection.makefile("rb")
    while True:
        head = stream.read(5)
        if len(head) < 5:
            raise Lost(f"no log-in over {way.name}")
        body = stream.read(int.from_bytes(head[1:], "big") - 4)
        if head[:1] == b"R" and body[:4] == b"\x00\x00\x00\x03":
            secret = way.secret().encode() + b"\x00"
            connection.sendall(b"p" + (len(secret) + 4).to_bytes(4, "big") + secret)
        elif head[:1] == b"E":
            raise Lost(f"no log-in over {way.name}: {body!r}")
        elif head[:1] == b"Z":
            return connection


def complaint(text):
    """Where a program says what went wrong."""
    lines = text.strip().splitlines()
    return next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "it said nothing")
