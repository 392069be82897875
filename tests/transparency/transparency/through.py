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
                start_new_session=True, env=machine_env(), preexec_fn=machine.die_with_us, **identity,
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

    def wait_for_file(self, path, seconds=30):
        """Until it has written this file."""
        end = time.monotonic() + seconds
        while not path.exists():
            self.check()
            if time.monotonic() > end:
                raise Failed(f"{self.name} did not write {path.name}: {tail(self.text())}")
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
        #: What is to be shown once all of it has ended.
        self.audit = None

    def check(self):
        """All of it is alive."""
        for process in self.processes:
            process.check()

    def close(self):
        """All of it is gone."""
        for process in reversed(self.processes):
            process.close()

    def prove(self):
        """Once closed: what it left behind is sound."""
        if self.audit:
            done = subprocess.run([str(part) for part in self.audit], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise Failed(f"the evidence is not sound: {tail(done.stdout + done.stderr)}")


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


# No table is named: where nothing is protected, names are not resolved.
POLICY = """
permit (
  principal in Group::"suites",
  action in [Action::"connect", Action::"select", Action::"insert", Action::"update", Action::"delete", Action::"call",
             Action::"ddl", Action::"copy"],
  resource
);
"""


def chaperone(port, cluster, databases, out):
    """The gateway with TLS and tokens, and a sidecar that adds both for clients that have neither."""
    binary = Path(os.environ.get("CHAPERONE", "target/debug/chaperone")).resolve()
    testkit = binary.parent / "testkit"
    for path in (binary, testkit):
        if not path.exists():
            raise Failed(f"there is no `{path.name}` where the binary is: cargo build -p chaperone -p chaperone-testkit")
    claims = json.dumps({"sub": "suites", "groups": ["suites"]})
    way = Way(port)
    try:
        issuer = Process([testkit, "issuer", "--dir", out, "--claims", claims, "--lifetime", "7200"], out / "issuer.log")
        way.processes.append(issuer)
        issuer.wait_for_file(out / "url")
        gateway_port = machine.free_port()
        (out / "policies").mkdir()
        (out / "policies" / "suites.cedar").write_text(POLICY)
        (out / "chaperone.yaml").write_text(configuration(out, gateway_port, cluster.port, databases))
        gateway = Process([binary, "serve", "--config", out / "chaperone.yaml"], out / "gateway.log")
        way.processes.append(gateway)
        gateway.wait_for_port(gateway_port)
        sidecar = Process(
            [binary, "sidecar", "--listen", f"127.0.0.1:{port}", "--gateway", f"localhost:{gateway_port}",
             "--ca", out / "ca.crt", "--token-file", out / "token"], out / "sidecar.log")
        way.processes.append(sidecar)
        sidecar.wait_for_port(port)
    except Failed:
        way.close()
        raise
    evidence = out / "evidence"
    way.audit = [binary, "audit", "verify", "--dir", evidence, "--payload-key", evidence / "keys" / "payload.key"]
    return way


def configuration(out, gateway_port, cluster_port, databases):
    """A gateway for these databases, none of which holds protected data."""
    lines = [
        f"listen: {{ postgres: '127.0.0.1:{gateway_port}' }}",
        "tls: { cert: tls.crt, key: tls.key }",
        f"issuers: [{{ name: suites, url: '{(out / 'url').read_text()}', audience: chaperone }}]",
        "connections:",
    ]
    for database in databases:
        lines += [
            f"  {database}:",
            f"    postgres: '127.0.0.1:{cluster_port}/{database}'",
            "    tls: disable",
            "    credential: { role: { user: postgres } }",
            "    phi: none",
        ]
    lines += ["policies: policies", "evidence: { dir: evidence }"]
    return "\n".join(lines) + "\n"
