"""What a suite is, and how two runs of it are compared."""

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


def told(path):
    """The outcomes in a file that `tell` wrote. A test that began and has none failed: it hung, or took all with it."""
    outcomes = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        outcome, _, name = line.partition(" ")
        if outcome == "start":
            outcomes.setdefault(name, None)
        elif outcomes.get(name) != FAIL:
            outcomes[name] = outcome
    if not outcomes:
        raise Broken("pytest told no results")
    return {name: outcome or FAIL for name, outcome in outcomes.items()}


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
