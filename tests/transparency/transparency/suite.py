"""What a suite is, and how two runs of it are compared."""

import xml.etree.ElementTree as xml
from dataclasses import dataclass, field

PASS, FAIL, SKIP = "pass", "fail", "skip"


class Broken(Exception):
    """A suite told nothing that can be compared."""


@dataclass
class Place:
    """Where a run of a suite connects, and where it may write."""

    port: int
    out: object
    quick: bool
    host: str = "127.0.0.1"


class Suite:
    """One suite. `run` gives the outcome of each test by its name; a test that did not come to an end has none."""

    name = ""
    #: The databases it connects to, each of which is a connection of the gateway.
    databases = ()
    #: The limit of one run, in seconds.
    seconds = 600
    #: A port that is written into the tests: there the tests find the server, or the gateway.
    port = None
    #: Part of `QUICK=1`.
    quick = True

    def prepare(self, parts, bindir):
        """Fetches and builds; may answer other server binaries to use."""

    def options(self):
        """Further arguments of the cluster."""
        return {}

    def set_up(self, cluster):
        """Makes the databases and roles that the suite expects."""

    def run(self, place):
        """Runs the suite once."""
        raise NotImplementedError


def junit(path):
    """The outcomes in a JUnit file, as pytest writes it."""
    if not path.exists():
        raise Broken("pytest wrote no results")
    outcomes = {}
    for case in xml.parse(path).getroot().iter("testcase"):
        name = f"{case.get('classname')}::{case.get('name')}"
        kinds = {child.tag for child in case}
        outcome = FAIL if kinds & {"failure", "error"} else SKIP if "skipped" in kinds else PASS
        # A test whose clean-up failed is told twice.
        outcomes[name] = FAIL if FAIL in (outcome, outcomes.get(name)) else outcome
    return outcomes


@dataclass
class Comparison:
    """Two runs, by the names of what failed."""

    direct: dict
    through: dict
    only_through: list = field(default_factory=list)
    excepted: list = field(default_factory=list)

    @classmethod
    def of(cls, direct, through, exceptions):
        """A test that passed direct must pass through the gateway; one that was skipped must not fail."""
        bad = [name for name, outcome in direct.items() if outcome != FAIL and worse(outcome, through.get(name))]
        bad += [name for name, outcome in through.items() if name not in direct and outcome == FAIL]
        excepted = [name for name in bad if name in exceptions]
        return cls(direct, through, sorted(set(bad) - set(excepted)), sorted(excepted))


def worse(direct, through):
    """Whether a test came out worse through the gateway; no outcome at all is worse too."""
    return through != PASS if direct == PASS else through in (FAIL, None)


def count(outcomes, what):
    """How many tests came out so."""
    return sum(1 for outcome in outcomes.values() if outcome == what)
