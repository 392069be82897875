"""The way through: the gateway with a sidecar before it, a stand-in, or an endpoint of somebody's own."""

import json
import os
import subprocess
import time
from pathlib import Path

from . import machine
from .cluster import machine_env


class Failed(Exception):
    """The way through is not there, or no longer."""


class Process:
    """A child with its log; gone when closed."""

    def __init__(self, command, log, **identity):
        self.log = log
        self.name = Path(str(command[0])).name
        with open(log, "ab") as out:
            self.child = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT,
                start_new_session=True, env=machine_env(), **identity,
            )

    def text(self):
        """What it said so far."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def check(self):
        """It is alive and did not panic: else a crash reads as many small failures."""
        status = self.child.poll()
        if status is not None:
            raise Failed(f"{self.name} is gone with status {status}: {tail(self.text())}")
        if "panicked at" in self.text():
            raise Failed(f"{self.name} panicked: {tail(self.text())}")

    def wait_for_port(self, port, seconds=30):
        """Until it listens."""
        end = time.monotonic() + seconds
        while machine.is_free(port):
            self.check()
            if time.monotonic() > end:
                raise Failed(f"{self.name} does not listen: {tail(self.text())}")
            time.sleep(0.05)

    def close(self):
        """Asks it to end, then makes it."""
        self.child.stdin.close()
        if self.child.poll() is None:
            self.child.terminate()
        try:
            self.child.wait(15)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def tail(text, lines=12):
    """The end of a log."""
    return "\n".join(text.splitlines()[-lines:])


class Way:
    """An open way: `port` on loopback, behind it processes of ours."""

    def __init__(self, port, processes=()):
        self.port, self.processes = port, list(processes)

    def check(self):
        """All of it is alive."""
        for process in self.processes:
            process.check()

    def close(self):
        """All of it is gone."""
        for process in reversed(self.processes):
            process.close()


def external():
    """An endpoint that somebody else keeps."""
    return Way(int(os.environ["THROUGH_PORT"]))


def relay(port, cluster, databases, out):
    """A plain TCP relay: any difference it shows is one of the suites' own."""
    del databases
    script = Path(__file__).resolve().parent / "relay.py"
    process = Process(["python3", script, str(port), str(cluster.port)], out / "relay.log")
    process.wait_for_port(port)
    return Way(port, [process])


def pgbouncer(port, cluster, databases, out):
    """The control of the research: PgBouncer with one server connection a client."""
    del databases
    (out / "users").write_text('"postgres" ""\n')
    conf = out / "pgbouncer.ini"
    conf.write_text(
        f"[databases]\n* = host=127.0.0.1 port={cluster.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n"
        f"unix_socket_dir =\nauth_type = trust\nauth_file = {out / 'users'}\npool_mode = session\n"
        "server_reset_query = DISCARD ALL\nmax_client_conn = 500\ndefault_pool_size = 100\n"
        "ignore_startup_parameters = extra_float_digits,options,search_path,statement_timeout,IntervalStyle\n"
    )
    machine.give(out)
    process = Process(["/usr/sbin/pgbouncer", conf], out / "pgbouncer.log", **machine.server_user())
    process.wait_for_port(port)
    return Way(port, [process])


POLICY = """
permit (principal in Group::"suites", action, resource);
"""


def chaperone(port, cluster, databases, out):
    """The gateway with TLS and tokens, and a sidecar that adds both for clients that have neither."""
    binary = Path(os.environ.get("CHAPERONE", "target/debug/chaperone")).resolve()
    testkit = Path(os.environ.get("TESTKIT", binary.parent / "testkit")).resolve()
    for path in (binary, testkit):
        if not path.exists():
            raise Failed(f"there is no {path.name} beside the binary: cargo build -p chaperone -p chaperone-testkit")
    token, pki = out / "token", out / "pki"
    claims = {"sub": "suites", "groups": ["suites"]}
    issuer_port = machine.free_port()
    issuer = Process(
        [testkit, "issuer", "--port", issuer_port, "--audience", "chaperone", "--claims", json.dumps(claims),
         "--lifetime", "14400", "--token", token, "--pki", pki], out / "issuer.log")
    way = Way(port, [issuer])
    try:
        issuer.wait_for_port(issuer_port)
        gateway_port = machine.free_port()
        (out / "policies").mkdir()
        (out / "policies" / "suites.cedar").write_text(POLICY)
        (out / "credential").write_text("none")
        os.chmod(out / "credential", 0o600)
        (out / "chaperone.yaml").write_text(configuration(out, gateway_port, issuer_port, cluster.port, databases))
        gateway = Process([binary, "serve", "--config", out / "chaperone.yaml"], out / "gateway.log")
        way.processes.append(gateway)
        gateway.wait_for_port(gateway_port)
        sidecar = Process(
            [binary, "sidecar", "--listen", f"127.0.0.1:{port}", "--gateway", f"127.0.0.1:{gateway_port}",
             "--ca", pki / "ca.crt", "--token-file", token], out / "sidecar.log")
        way.processes.append(sidecar)
        sidecar.wait_for_port(port)
    except Failed:
        way.close()
        raise
    return way


def configuration(out, gateway_port, issuer_port, cluster_port, databases):
    """A gateway for these databases, none of which holds protected data."""
    lines = [
        f"listen: {{ postgres: '127.0.0.1:{gateway_port}' }}",
        f"tls: {{ cert: '{out}/pki/tls.crt', key: '{out}/pki/tls.key' }}",
        "issuers:",
        f"  - {{ name: suites, url: 'http://127.0.0.1:{issuer_port}', audience: chaperone, groups: groups }}",
        "connections:",
    ]
    for database in databases:
        lines += [
            f"  {database}:",
            f"    postgres: '127.0.0.1:{cluster_port}/{database}'",
            "    tls: disable",
            f"    credential: {{ user: postgres, password: {{ file: '{out}/credential' }} }}",
            "    classification: none",
        ]
    lines += [f"policies: '{out}/policies'", f"evidence: {{ dir: '{out}/evidence' }}"]
    return "\n".join(lines) + "\n"
