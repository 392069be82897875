"""What a process cost, as the kernel counts it."""

import os
from pathlib import Path

TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid):
    """User and system time so far, of all its threads (proc(5), fields 14 and 15)."""
    # The name of the program, in parentheses, may hold anything: count from behind it.
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def peak_mib(pid):
    """The most memory it had resident since it began or since `forget_peak`."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def forget_peak(pid):
    """Lets the peak begin anew (proc(5), `clear_refs`)."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5")
    except OSError:
        # Not ours to do: the peak is then of the whole run, which is no less than that of a part.
        pass
