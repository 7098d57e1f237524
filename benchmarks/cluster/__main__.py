"""python -m benchmarks.cluster: a cluster from bare hosts, and the plan after it; writes CLUSTER.md here.

Three control planes behind haproxy and a worker, from bare hosts to all nodes Ready: first by a shell script
that does it with kubeadm, then by kubexms, on the same kind of hosts of this machine, from the same files.
Then a second worker is added, and the plan of the five nodes, which finds nothing to do, is measured beside
`ssh HOST true` on all hosts and the same questions to the API asked by kubectl through ssh.

Needs root on Linux, and Kubernetes as the tests with clusters do (`make prepare-cluster`). Takes six minutes.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.cluster.breakdown import shares, without_tools
from benchmarks.cluster.bringing_up import NODES, ROLES, BringUp, by_hand, by_kubexms, project
from benchmarks.cluster.replan import Round, median_ratio, replan
from benchmarks.measure import RunFailed
from benchmarks.report import Report, seconds, size
from kubexms import __version__
from tests.e2e.cluster import supply
from tests.e2e.cluster.conftest import DATA
from tests.e2e.testbed import Fleet, missing

RESULTS = Path(__file__).parent.parent / "CLUSTER.md"
PHASES = (
    "plan made, hosts asked",
    "hosts prepared",
    "first control plane",
    "all others joined",
    "all nodes Ready",
)


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.cluster",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=1, help="bring-ups by each (default: 1)")
    parser.add_argument("--plans", type=int, default=5, help="plans of the finished cluster (default: 5)")
    parser.add_argument("--kubexms-only", action="store_true", help="without the script beside")
    parser.add_argument(
        "--out", type=Path, default=RESULTS, help=f"where to write the tables ({RESULTS.name})"
    )
    options = parser.parse_args()
    if reason := missing() or supply.missing():
        sys.stderr.write(f"A cluster cannot be made here: {reason}.\n")
        return 1
    report = Report()
    try:
        _measure(report, options.rounds, options.plans, beside=not options.kubexms_only)
    except (RunFailed, RuntimeError, TimeoutError, FileNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    options.out.write_text("\n".join([*_heading(report.began[0]), *report.lines]).rstrip() + "\n")
    return 0


def _measure(report: Report, rounds: int, plans: int, *, beside: bool) -> None:
    artifacts = supply.artifacts()
    theirs: list[BringUp] = []
    ours: list[BringUp] = []
    again: list[Round] = []
    for number in range(rounds):
        if beside:
            theirs.append(by_hand(artifacts))
            _say(f"by hand: {theirs[-1].sample.wall:.1f} s")
        with tempfile.TemporaryDirectory(prefix="kubexms-bench-") as directory, Fleet() as fleet:
            fleet.up(len(ROLES), data=DATA)
            made = project(fleet, Path(directory), artifacts)
            ours.append(by_kubexms(made))
            _say(f"kubexms: {ours[-1].sample.wall:.1f} s")
            if number == rounds - 1 and plans:
                (added,) = fleet.up(1, data=DATA)
                made.describe(made.members | {"w2": (added, "worker")})
                made.apply(timeout=600)
                made.await_ready(*NODES, "w2")
                again = replan(made, plans)
    _bring_up(report, theirs, ours)
    if again:
        _again(report, again)


def _bring_up(report: Report, theirs: list[BringUp], ours: list[BringUp]) -> None:
    rows = []
    for place, name in enumerate(PHASES):
        hand = _median([one.milestones.phases()[place] for one in theirs])
        own = _median([one.milestones.phases()[place] for one in ours])
        rows.append([name, seconds(hand) if theirs else "", seconds(own)])
    hand, own = (_median([one.sample.wall for one in some]) for some in (theirs, ours))
    rows.append(["in all", seconds(hand) if theirs else "", seconds(own)])
    if theirs:
        ratios = [mine.sample.wall / other.sample.wall for mine, other in zip(ours, theirs, strict=True)]
        rows.append(["kubexms : by hand (aim: at most 1.2)", "", f"{_median(ratios):.2f}"])
    report.table(
        "Three control planes, haproxy and a worker, from bare hosts", ["", "by hand", "kubexms"], rows
    )
    last = ours[-1]
    rows = [
        [share.name, str(share.steps), seconds(share.total), seconds(share.host)]
        for share in shares(last.spans)
    ]
    report.table("Where kubexms's time went", ["", "steps", "on all hosts", "on the slowest"], rows)
    added, whole = without_tools(last.spans, last.sample.wall), last.sample
    report.note(
        f"In {seconds(added)} of {seconds(whole.wall)} no host was in any of these tools: that is what the\n"
        "plan, the looks before and after each step, the small steps and the wait for the nodes add. The\n"
        f"controller used {seconds(whole.cpu)} of processor time, most of it for sending files, and\n"
        f"{size(whole.peak)} of memory."
    )


def _again(report: Report, found: list[Round]) -> None:
    columns = {
        "`ssh HOST true`, all hosts at once": [one.logins.wall for one in found],
        "the API calls, kubectl through ssh": [one.calls.wall for one in found],
        "kubexms plan": [one.plan.wall for one in found],
    }
    rows = [[name, seconds(_median(taken))] for name, taken in columns.items()]
    rows.append(["kubexms : both others (aim: at most 1.5)", f"{median_ratio(found):.2f}"])
    report.table("A plan of five nodes and a load balancer that finds nothing to do", ["", "wall"], rows)


def _heading(load: float) -> list[str]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    machine = f"{os.cpu_count()} cores, {memory:.0f} GiB of memory, {platform.machine()}"
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    return [
        "# Results with a cluster",
        "",
        f"Measured {today} by `make bench-cluster` on one machine: {machine}.",
        f"Kubernetes 1.20.2, kubexms {__version__}.",
        f"Its load average was {load:.1f} before: other work beside makes every figure larger and less sure.",
        "",
        "Hosts are containers with systemd and sshd on that same machine: they and the controller share its",
        "cores. By hand is a shell script, `cluster/by-hand.sh`, which prepares all hosts at once.",
        "",
    ]


def _median(values: list[float]) -> float:
    return statistics.median(values) if values else 0.0


def _say(text: str) -> None:
    sys.stderr.write(f"  {text}\n")


if __name__ == "__main__":
    sys.exit(main())
