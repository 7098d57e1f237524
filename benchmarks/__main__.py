"""python -m benchmarks: measure, print tables, write benchmarks/RESULTS.md.

What there is to measure (`--only`, repeatable; default: all):

  plan         the plan that finds nothing to do, by kubexms, pyinfra (--dry), Ansible (--check); the floor
  apply        the first apply by all three, and the apply after it
  steps        kubexms alone at 10, 100 and 1000 steps on one host
  hosts        kubexms alone with 100 steps on 1, 10 and 30 hosts
  drift        kubexms drift with 100 steps on 30 hosts; the floor
  controller   a plan of 100, 300 and 1000 hosts with 100 steps each, answered by a script: no hosts
  formats      showing a saved plan of ten thousand changes, in every format: no hosts
  start        `kubexms version` beside an import of click: no hosts

All but the last three need root on Linux: hosts are booted on this machine and taken down again. For example:

  python -m benchmarks --only plan --hosts 1 --quick
  python -m benchmarks --only controller
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.comparison import OWN, PARTS, TOOLS, Effort, clear, compare
from benchmarks.drift import drift
from benchmarks.formats import show
from benchmarks.measure import RunFailed, Sample, median, sample
from benchmarks.report import Report, seconds, size, targets
from benchmarks.scaling import by_hosts, by_steps
from benchmarks.starting import starting
from benchmarks.workload import QUICK, STANDARD
from tests.e2e.testbed import Fleet, missing

WITHOUT_HOSTS = ("controller", "formats", "start")
ALL = (*PARTS, "steps", "hosts", "drift", *WITHOUT_HOSTS)
RESULTS = Path(__file__).parent / "RESULTS.md"


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=ALL, help="measure this only; repeatable")
    parser.add_argument("--tool", action="append", choices=list(TOOLS), help="compare these only; repeatable")
    parser.add_argument(
        "--hosts", action="append", type=int, help="compare on so many hosts (default: 1 and 10)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="runs of kubexms beside others (default: 3)")
    parser.add_argument("--peer-rounds", type=int, default=1, help="runs of the others (default: 1)")
    parser.add_argument(
        "--patience", type=float, default=240, metavar="SECONDS",
        help="end a run of another tool after so long, and say so (default: 240)",
    )  # fmt: skip
    parser.add_argument(
        "--everything", action="store_true", help="the first apply by the others on more than one host, too"
    )
    parser.add_argument("--quick", action="store_true", help="few steps, one round: does it work at all?")
    parser.add_argument(
        "--out", type=Path, help=f"where to write the tables (default: {RESULTS.name}, if all is measured)"
    )
    options = parser.parse_args()
    parts = tuple(options.only or ALL)
    report = Report()
    try:
        if set(parts) - set(WITHOUT_HOSTS):
            if reason := missing():
                report.note(f"No hosts, so that only what needs none is measured: {reason}.")
            else:
                _on_hosts(report, parts, options)
        if "controller" in parts:
            _controller(report, quick=options.quick)
        if "formats" in parts:
            hosts, steps = (10, 10) if options.quick else (100, 100)
            show(report, hosts, steps, 1 if options.quick else options.rounds, _say)
        if "start" in parts:
            starting(report, 1 if options.quick else 10, _say)
    except (RunFailed, RuntimeError, TimeoutError, FileNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    out = options.out or (RESULTS if set(parts) == set(ALL) and not options.quick else None)
    if not options.quick:  # the aims are about a hundred steps
        print("\n".join(targets(report)))
    if out is not None:
        report.write(out)
    return 0


def _on_hosts(report: Report, parts: tuple[str, ...], options: argparse.Namespace) -> None:
    work = QUICK if options.quick else STANDARD
    rounds = 1 if options.quick else options.rounds
    effort = Effort(rounds, options.peer_rounds, options.patience)
    tools = options.tool or list(TOOLS)
    counts = options.hosts or ([1] if options.quick else [1, 10])
    step_counts = [10, 50] if options.quick else [10, 100, 1000]
    host_counts = [1, 3] if options.quick else [1, 10, 30]
    with tempfile.TemporaryDirectory(prefix="kubexms-bench-") as directory, Fleet() as fleet:
        scratch = Path(directory)
        compared = [part for part in PARTS if part in parts]
        for count in counts if compared else []:
            _grow(fleet, count)
            compare(
                report, fleet, fleet.hosts[:count], work,
                scratch=scratch, parts=compared, tools=tools, effort=effort, say=_say,
                apply_by=tools if count == 1 or options.everything else [OWN],
            )  # fmt: skip
        if "steps" in parts:
            _grow(fleet, 1)
            by_steps(report, fleet, fleet.hosts[0], step_counts, scratch, 1, _say)
        if "hosts" in parts:
            _grow(fleet, max(host_counts))
            by_hosts(report, fleet, fleet.hosts, host_counts, work, scratch, 1, _say)
        if "drift" in parts:
            many = max(host_counts)
            _grow(fleet, many)
            clear(fleet.hosts[:many])
            drift(report, fleet, fleet.hosts[:many], work, scratch, rounds, _say)


def _grow(fleet: Fleet, count: int) -> None:
    if len(fleet.hosts) < count:
        fleet.up(count - len(fleet.hosts))
        time.sleep(1)  # what settles after boot is not to be measured


def _controller(report: Report, *, quick: bool) -> None:
    steps = 100
    rows = []
    for hosts in (10, 30) if quick else (100, 300, 1000):
        with tempfile.TemporaryDirectory(prefix="kubexms-bench-") as directory:
            argv = [sys.executable, "-m", "benchmarks.controller", str(hosts), str(steps), directory]
            taken: list[Sample] = [sample(argv, str(Path.cwd()), {"CI": ""})]
        figure = median(taken)
        _say(f"controller: {hosts} hosts {figure.wall:.1f} s")
        each = figure.cpu / (hosts * steps)
        report.values[f"controller each {hosts}"] = each
        report.values[f"controller peak {hosts}"] = figure.peak
        cells = [seconds(figure.wall), seconds(figure.cpu), size(figure.peak), f"{each * 1e6:.0f} µs"]
        rows.append([f"{hosts} hosts", *cells])
    title = f"The controller alone: a plan of {steps} steps on each of many hosts, all to be created"
    report.table(title, ["", "wall", "cpu", "peak memory", "cpu per step and host"], rows)


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")


if __name__ == "__main__":
    sys.exit(main())
