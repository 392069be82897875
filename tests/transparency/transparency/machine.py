"""This machine: who runs the server, its binaries, processes that end in time."""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

ROOT = os.geteuid() == 0
PR_SET_PDEATHSIG = 1


class Timeout(Exception):
    """A command did not end in time; it and its children are gone."""


def server_user():
    """The ids to run the server with: initdb refuses root."""
    if not ROOT:
        return {}
    entry = pwd.getpwnam("postgres")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


def give(path):
    """Gives a folder to whom the server runs as."""
    if not ROOT:
        return
    entry = pwd.getpwnam("postgres")
    for folder, _, files in os.walk(path):
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        for name in files:
            os.chown(os.path.join(folder, name), entry.pw_uid, entry.pw_gid, follow_symlinks=False)


def binaries():
    """The folder of the server's binaries: `pg_config`, then the newest of Debian's."""
    candidates = []
    if shutil.which("pg_config"):
        out = subprocess.run(["pg_config", "--bindir"], capture_output=True, text=True, check=False).stdout
        candidates.append(Path(out.strip()))
    debian = [path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()]
    candidates += sorted(debian, key=lambda path: -int(path.parent.name))
    for candidate in candidates:
        if (candidate / "initdb").is_file():
            return candidate
    raise SystemExit("transparency: no PostgreSQL server: run tests/setup/install")


def pg_config(bindir, what):
    """One answer of the server's own `pg_config`."""
    return subprocess.run([bindir / "pg_config", what], capture_output=True, text=True, check=True).stdout.strip()


def free_port():
    """A port of 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def is_free(port):
    """Whether nobody listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def die_with_us():
    """In a child before it begins: the kernel ends it when we are gone, also when we are killed (prctl(2))."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def run(command, *, seconds, log, cwd=None, env=None, alive=None, **identity):
    """Runs a command with its output in a file; its exit status. It and its children are killed when time is up, or when
    `alive`, asked each second, says that it does nothing any more.
    """
    with open(log, "ab") as out:
        child = subprocess.Popen(
            [str(part) for part in command], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            cwd=cwd, env=env, start_new_session=True, preexec_fn=die_with_us, **identity,
        )
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end and (alive is None or alive()):
                try:
                    return child.wait(timeout=1)
                except subprocess.TimeoutExpired:
                    continue
            raise Timeout(f"{Path(str(command[0])).name} did not end in time")
        finally:
            try:
                os.killpg(child.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            child.wait()
