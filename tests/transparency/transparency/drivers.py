"""The suites that the source packages of Python's drivers carry."""

import shutil
import time
from pathlib import Path

from . import machine
from .cluster import machine_env
from .suite import Suite, told

HERE = Path(__file__).resolve().parent.parent
#: The limit of one test; a hang may be where no signal is heard, so that a little later the whole process is ended.
TEST_SECONDS = 60
#: How often a suite is taken up again after a test ended its process.
GOES = 8
#: pytest's exit status when everything was left out.
NO_TESTS_LEFT = 5


class Driver(Suite):
    """A suite that pytest runs: the tests of the source package against the published wheel of the same version."""

    package = ""
    version = ""
    wheel = ""
    needs = ()
    members = ("tests",)
    #: What of it is run, and what is not.
    tests = ("tests",)
    quick_tests = ()
    #: Left out of the quick part only, with the reason beside it.
    quick_without = ()
    arguments = ()

    def prepare(self, parts, bindir):
        wheel = f"{self.wheel or self.package}=={self.version}"
        self.python = parts.python(wheel, "pytest==9.1.0", "pytest-timeout==2.4.0", *self.needs)
        self.source = parts.sdist(self.package, self.version, *self.members)

    def set_up(self, cluster):
        if self.databases[0] != "postgres":
            cluster.psql(f"create database {self.databases[0]}")

    def variables(self, place):
        """The environment in which the tests find the server."""
        return {"PGHOST": place.host, "PGPORT": place.port, "PGUSER": "postgres", "PGDATABASE": self.databases[0]}

    def connection(self, place):
        """Arguments with which the tests find the server."""
        del place
        return []

    def run(self, place):
        # A copy, beside which there is no package tree that would be imported instead of the wheel.
        source = place.out / "src"
        shutil.copytree(self.source, source)
        chosen = (self.quick_tests or self.tests) if place.quick else self.tests
        without = [part for test in self.quick_without for part in ("--deselect", test)] if place.quick else []
        command = [
            self.python, "-m", "pytest", "-q", "--timeout", TEST_SECONDS, "-p", "no:cacheprovider",
            "-p", "transparency.tell", *self.arguments, *without, *self.connection(place), *chosen,
        ]
        results = place.out / "results"
        env = machine_env(PYTHONPATH=HERE, TELL=results, **self.variables(place))
        end = time.monotonic() + self.seconds
        # A test that hangs, or that ends the whole process, is left behind: the next go takes up after it.
        for _ in range(GOES):
            before = results.stat().st_size if results.exists() else 0
            try:
                status = machine.run(command, seconds=max(end - time.monotonic(), 1), log=place.out / "log", cwd=source,
                                     env=env, alive=Progress(results).seen)
            except machine.Timeout:
                status = None
            finished = status in (0, 1, NO_TESTS_LEFT)
            grown = results.exists() and results.stat().st_size > before
            if finished or not grown or time.monotonic() > end:
                break
        return told(results)


class Progress:
    """Whether a file grew within the time that one test may take."""

    def __init__(self, path):
        self.path, self.size, self.since = path, -1, time.monotonic()

    def seen(self):
        """Asked now and then."""
        size = self.path.stat().st_size if self.path.exists() else 0
        if size != self.size:
            self.size, self.since = size, time.monotonic()
        return time.monotonic() - self.since < TEST_SECONDS + 15


class Asyncpg(Driver):
    """asyncpg: binary formats, pipelining, cancels, COPY, notifications."""

    name = "asyncpg"
    package = "asyncpg"
    version = "0.32.0"
    needs = ("uvloop", "distro")
    members = ("tests", "pyproject.toml")
    # The last two it makes itself.
    databases = ("asyncpg_test", "postgres", "asyncpg_intro_test", "testdb")
    arguments = ("--ignore", "tests/test__sourcecode.py")
    # A race: it wants an error back before the client's own kernel has taken 4 MiB. What records first, in a debug build,
    # mostly loses it; on a busy machine the server itself does.
    quick_without = ("tests/test_execute.py::TestExecuteMany::test_executemany_server_failure_during_writes",)
    quick_tests = (
        "tests/test_cancellation.py", "tests/test_copy.py", "tests/test_cursor.py", "tests/test_execute.py",
        "tests/test_listeners.py", "tests/test_prepare.py", "tests/test_timeout.py", "tests/test_transaction.py",
    )


class Psycopg2(Driver):
    """psycopg2: libpq, with its asynchronous connections, large objects, cancels and two-phase commits."""

    name = "psycopg2"
    package = "psycopg2"
    wheel = "psycopg2-binary"
    version = "2.9.13"
    databases = ("psycopg2_test",)
    quick = False

    def set_up(self, cluster):
        super().set_up(cluster)
        cluster.psql("create extension hstore", "psycopg2_test")

    def variables(self, place):
        return {
            "PSYCOPG2_TESTDB": "psycopg2_test", "PSYCOPG2_TESTDB_HOST": place.host, "PSYCOPG2_TESTDB_PORT": place.port,
            "PSYCOPG2_TESTDB_USER": "postgres",
        }


class Pg8000(Driver):
    """pg8000: a driver without libpq, by its three interfaces."""

    name = "pg8000"
    package = "pg8000"
    version = "1.31.6"
    needs = ("pytest-mock", "pytest-benchmark", "pytz")
    members = ("test", "README.md", "README.rst", "pyproject.toml")
    tests = ("test/native", "test/dbapi", "test/legacy", "test/test_converters.py", "test/test_types.py")
    # All but the first it makes itself.
    databases = ("postgres", "pg8000_scram_sha_256", "pg8000_md5", "pg8000_password", "pg8000_gss")
    arguments = ("--benchmark-disable",)
    quick = False

    def set_up(self, cluster):
        cluster.psql("create extension hstore")


class SqlAlchemy(Driver):
    """SQLAlchemy: its PostgreSQL dialect, the dialects' common suite, reflection, pools and transactions, on psycopg2."""

    name = "sqlalchemy"
    package = "sqlalchemy"
    wheel = "SQLAlchemy"
    version = "2.1.9"
    needs = ("psycopg2-binary==2.9.13", "greenlet")
    # Its tests insist on the sources beside them.
    members = ("lib", "test", "setup.cfg", "pyproject.toml")
    tests = ("test/dialect/postgresql", "test/dialect/test_suite.py", "test/engine")
    databases = ("test",)
    seconds = 900
    arguments = ("--backend-only", "-p", "no:logging", "--maxfail", "10000")
    quick = False

    def set_up(self, cluster):
        super().set_up(cluster)
        cluster.psql("create schema test_schema; create schema test_schema_2", "test")
        cluster.psql("create extension hstore; create extension citext", "test")

    def connection(self, place):
        return ["--dburi", f"postgresql+psycopg2://postgres:ignored@{place.host}:{place.port}/test"]
