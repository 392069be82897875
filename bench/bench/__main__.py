"""Measures and tells."""

import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from transparency import machine
from transparency.through import Failed

from . import cells, process, report
from .setting import MASKED_BY_HAND, Setting

MODES = ("simple", "extended", "prepared")
CLIENTS = (1, 16)
IDLE_SESSIONS = 1000
#: Measured direct only.
ALONE = ("bulk as masked", "bulk by hand")


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(prog="bench/run", description="what Chaperone costs, as ratios within one run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of each pgbench run")
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the large answer")
    parser.add_argument("--only", default="simple,extended,prepared,connect,bulk,idle,roles")
    parser.add_argument("--ways", default="direct,pgbouncer,chaperone,masking,minting")
    parser.add_argument("--sessions", type=int, default=5000, help="one after the other, of `roles`")
    return parser.parse_args()


def turns(ways, number):
    """The ways in another order each round, so that none always follows the same."""
    shift = number % len(ways)
    return ways[shift:] + ways[:shift]


class Bench:
    """All samples: `cell → way → one for each round`."""

    def __init__(self, setting, options):
        self.setting, self.options = setting, options
        self.samples = {}
        self.lost = []
        wanted = options.ways.split(",")
        self.ways = [way for way in setting.ways if way.name in wanted]

    def take(self, cell, way, work):
        """One sample; work that is not done is told and leaves a gap."""
        found = self.samples.setdefault(cell, {}).setdefault(way.name, [])
        try:
            found.append(work())
        except (cells.Lost, OSError) as error:
            found.append(None)
            if str(error) not in self.lost:
                self.lost.append(str(error))
        self.setting.check()

    def measure(self):
        """Round by round, cell by cell, all ways in turn."""
        only, seconds = self.options.only.split(","), self.options.seconds
        for number in range(self.options.rounds):
            print(f"round {number + 1} of {self.options.rounds} …", flush=True)
            for mode in [mode for mode in MODES if mode in only]:
                for clients in CLIENTS:
                    self.pgbench(f"{mode} c{clients}", number, cells.Work(seconds, mode, clients))
            if "connect" in only:
                self.pgbench("connect", number, cells.Work(seconds, "simple", 1, reconnect=True))
            if "bulk" in only:
                self.bulk(number)

    def pgbench(self, cell, number, work):
        """The same work over all ways."""
        # once it is there a session with a role of its own is as any other
        ways = [way for way in self.ways if way.name != "minting" or work.reconnect]
        for way in turns(ways, number):
            self.take(cell, way, lambda: cells.pgbench(self.setting.bindir, self.setting.script, way, work))

    def bulk(self, number):
        """The large answer; and for masking its fair rivals, run direct: the text that the gateway runs, and masks by hand."""
        testkit = Path(os.environ.get("CHAPERONE", "target/release/chaperone")).resolve().parent / "testkit"
        rows, direct, everything = self.options.rows, self.setting.ways[0], "select * from bulk"
        self.setting.restart()
        work = [("bulk", way, everything) for way in self.ways if way.name != "minting"]
        if any(way.name == "masking" for way in self.ways):
            work += [("bulk as masked", direct, self.setting.masked(everything)), ("bulk by hand", direct, MASKED_BY_HAND)]
        for cell, way, sql in turns(work, number):
            self.take(cell, way, lambda: cells.bulk(testkit, way, sql, rows))

    def roles(self):
        """What many sessions with roles of their own leave in the database's catalog."""
        way = next((way for way in self.ways if way.name == "minting"), None)
        if not way:
            return "roles: not measured"
        count = self.options.sessions
        before = cells.catalog(self.setting.cluster)
        cells.pgbench(self.setting.bindir, self.setting.script, way, cells.Work(0, "simple", 1, reconnect=True, times=count))
        cells.gone(self.setting.cluster)
        after = cells.catalog(self.setting.cluster)
        self.setting.cluster.psql("vacuum pg_authid, pg_auth_members, pg_shdepend", "bench")
        vacuumed = cells.catalog(self.setting.cluster)
        rows = [[name, *(found[name] for found in (before, after, vacuumed))] for name in before]
        return report.table(["in the catalog", "before", f"after {count} sessions", "and VACUUM"], rows)

    def rate_table(self):
        """Work a second direct, and each way's ratio to it."""
        rows = []
        for cell, samples in self.samples.items():
            if cell in ALONE:
                continue
            direct = report.middle(samples, "direct", "rate")
            row = [cell, f"{direct:.0f}/s" if direct else "–"]
            rows.append(row + [report.spread(report.ratio(samples, way.name, "direct")) for way in self.ways[1:]])
        return report.table(["ratio to direct", "direct"] + [way.name for way in self.ways[1:]], rows)

    def cost_table(self):
        """What the process between paid: CPU and memory."""
        rows = []
        for cell, samples in self.samples.items():
            scale, unit = (1e3, "ms/MB") if cell == "bulk" else (1e3, "ms/log-in") if cell == "connect" else (1e6, "µs/tx")
            row = [cell]
            for way in self.ways[1:]:
                cpu, peak = report.middle(samples, way.name, "cpu"), report.middle(samples, way.name, "peak")
                row.append("–" if cpu is None else f"{cpu * scale:.1f} {unit}, {peak:.0f} MiB")
            if cell not in ALONE:
                rows.append(row)
        return report.table(["CPU, peak memory"] + [way.name for way in self.ways[1:]], rows)

    def aims(self, idle_mib, start_mib):
        """The first aims, and whether this run meets them."""
        lines = []
        for mode in MODES:
            if samples := self.samples.get(f"{mode} c16"):
                against = report.ratio(samples, "chaperone", "pgbouncer")
                lines.append(report.aim(f"{mode}, 16 clients, to PgBouncer", median(against) if against else None, 0.75))
        if samples := self.samples.get("simple c16"):
            cpu = report.middle(samples, "chaperone", "cpu")
            lines.append(report.aim("µs of CPU for a simple transaction, 16 clients", cpu and cpu * 1e6, 60, least=False))
        if samples := self.samples.get("bulk"):
            ratios = report.ratio(samples, "chaperone", "direct")
            lines.append(report.aim("large answer, to direct", median(ratios) if ratios else None, 0.70))
            lines.append(report.aim("MiB at the most for it", report.middle(samples, "chaperone", "peak"), 64, least=False))
            masked = samples.get("masking", [])
            for cell, name, least in (
                ("bulk as masked", "large masked answer, to the same statement run direct", 0.85),
                ("bulk by hand", "large masked answer, to masks by hand that trust every value", None),
            ):
                rival = self.samples.get(cell, {}).get("direct", [])
                ratios = [one.rate / other.rate for one, other in zip(masked, rival) if one and other]
                lines.append(report.aim(name, median(ratios) if ratios else None, least))
        if samples := self.samples.get("connect"):
            shared, own = report.middle(samples, "masking", "rate"), report.middle(samples, "minting", "rate")
            added = 1e3 / own - 1e3 / shared if shared and own else None
            lines.append(report.aim("ms that a role of its own adds to a log-in", added, 50, least=False))
        lines.append(report.aim("MiB at rest", start_mib, 30, least=False))
        lines.append(report.aim(f"MiB with {IDLE_SESSIONS} idle sessions", idle_mib, 150, least=False))
        return "\n".join(lines)


def main():
    """The exit status: 0 when everything could be measured, whatever it came to."""
    options = arguments()
    # Not `/tmp`, which may be memory: the evidence is to be on a disk.
    home = Path(tempfile.mkdtemp(prefix="chaperone-bench-", dir="/var/tmp"))
    os.chmod(home, 0o755)
    if machine.ROOT:
        shutil.chown(home, "postgres")
    setting = None
    try:
        start = time.monotonic()
        setting = Setting(home, options.rows, home / "log")
        start_mib = process.peak_mib(setting.ways[2].pid)
        bench = Bench(setting, options)
        bench.measure()
        left = bench.roles() if "roles" in options.only.split(",") else "roles: not measured"
        idle_mib = None
        if "idle" in options.only.split(","):
            setting.restart()
            try:
                idle_mib = cells.idle(setting.ways[2], IDLE_SESSIONS)
            except (cells.Lost, OSError) as error:
                bench.lost.append(str(error))
        print(f"\n{platform.machine()}, {os.cpu_count()} cores shared by client, proxy and server, load {os.getloadavg()[1]:.1f};"
              f" {options.rounds} rounds of {options.seconds} s; middle (least–greatest); every record durable before its"
              " answer\n")
        print(bench.rate_table(), "\n")
        print(bench.cost_table(), "\n")
        print(bench.aims(idle_mib, start_mib), "\n")
        print(left)
        for line in bench.lost:
            print(f"lost: {line}")
        print(f"\n{time.monotonic() - start:.0f} s")
        return 1 if bench.lost else 0
    except Failed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        if setting:
            setting.close()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
