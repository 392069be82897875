"""The suites that the source packages of Python's drivers carry."""

import shutil

from . import machine
from .cluster import machine_env
from .suite import Suite, junit


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
    arguments = ()

    def prepare(self, parts, bindir):
        wheel = f"{self.wheel or self.package}=={self.version}"
        self.python = parts.python(wheel, "pytest==9.1.0", "pytest-timeout==2.4.0", *self.needs)
        self.source = parts.sdist(self.package, self.version, *self.members)

    def set_up(self, cluster):
        for database in self.databases:
            if database != "postgres":
                cluster.psql(f"create database {database}")

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
        results = place.out / "results.xml"
        chosen = (self.quick_tests or self.tests) if place.quick else self.tests
        command = [
            self.python, "-m", "pytest", "-q", "--timeout", "120", "-p", "no:cacheprovider", f"--junitxml={results}",
            *self.arguments, *self.connection(place), *chosen,
        ]
        machine.run(command, seconds=self.seconds, log=place.out / "log", cwd=source, env=machine_env(**self.variables(place)))
        return junit(results)


class Asyncpg(Driver):
    """asyncpg: binary formats, pipelining, cancels, COPY, notifications."""

    name = "asyncpg"
    package = "asyncpg"
    version = "0.32.0"
    needs = ("uvloop", "distro")
    members = ("tests", "pyproject.toml")
    databases = ("asyncpg_test", "postgres")
    arguments = ("--ignore", "tests/test__sourcecode.py")
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
            "PSYCOPG2_TESTDB_USER": "postgres", "PSYCOPG2_TEST_REPL_DSN": "",
        }


class Pg8000(Driver):
    """pg8000: a driver without libpq, by its three interfaces."""

    name = "pg8000"
    package = "pg8000"
    version = "1.31.6"
    needs = ("pytest-mock", "pytest-benchmark", "pytz")
    members = ("test", "README.md", "README.rst", "pyproject.toml")
    tests = ("test/native", "test/dbapi", "test/legacy", "test/test_converters.py", "test/test_types.py")
    databases = ("postgres",)
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
        cluster.psql("create schema test_schema; create schema test_schema_2; create extension hstore; create extension citext",
                     "test")

    def connection(self, place):
        return ["--dburi", f"postgresql+psycopg2://postgres:ignored@{place.host}:{place.port}/test"]
