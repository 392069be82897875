"""A pytest plugin that writes each outcome down at once, so that a run that hangs or is killed still tells what it saw.

Lines of a file: `start NAME`, then `pass NAME`, `fail NAME` or `skip NAME`; a test whose clean-up fails is told again.
"""

import os

OUT = open(os.environ["TELL"], "a", encoding="utf-8", buffering=1)


def name_of(nodeid):
    """One line, whatever a parameter's text holds."""
    return nodeid.encode("unicode_escape").decode()


def pytest_collection_modifyitems(config, items):
    """Leaves out what an earlier run came to an end with."""
    if os.path.exists(os.environ["TELL"]):
        with open(os.environ["TELL"], encoding="utf-8") as before:
            seen = {line.split(" ", 1)[1].rstrip("\n") for line in before if " " in line}
        out = [item for item in items if name_of(item.nodeid) in seen]
        if out:
            config.hook.pytest_deselected(items=out)
            items[:] = [item for item in items if name_of(item.nodeid) not in seen]


def pytest_runtest_logstart(nodeid, location):
    """It begins."""
    del location
    OUT.write(f"start {name_of(nodeid)}\n")


def pytest_runtest_logreport(report):
    """A part of it ended: the set-up, the test or the clean-up."""
    name = name_of(report.nodeid)
    if report.failed:
        OUT.write(f"fail {name}\n")
    elif report.skipped:
        OUT.write(f"skip {name}\n")
    elif report.when == "call":
        OUT.write(f"pass {name}\n")
