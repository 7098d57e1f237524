"""kubexms alone: how it grows with steps and with hosts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import contenders
from benchmarks.comparison import reset
from benchmarks.measure import Sample, floor, median, weigh
from benchmarks.report import Report, seconds, size
from benchmarks.workload import Workload, sized
from tests.e2e.testbed import Fleet, Host

HEADER = ["", "wall", "cpu", "peak memory", "wall per step and host", "floor"]


def by_steps(
    report: Report,
    fleet: Fleet,
    host: Host,
    counts: Sequence[int],
    scratch: Path,
    rounds: int,
    say: Callable[[str], None],
) -> None:
    """First plan, first apply and the plan after it, on one host."""
    rows = []
    for count in counts:
        rows += _measure(
            fleet, [host], sized(count), scratch / f"steps-{count}", rounds, say, f"{count} steps"
        )
    report.table("kubexms on 1 host, by steps", HEADER, rows)


def by_hosts(
    report: Report,
    fleet: Fleet,
    hosts: Sequence[Host],
    counts: Sequence[int],
    work: Workload,
    scratch: Path,
    rounds: int,
    say: Callable[[str], None],
) -> None:
    """The same workload on more and more hosts."""
    rows = []
    for count in counts:
        name = f"{count} host{'' if count == 1 else 's'}"
        rows += _measure(fleet, hosts[:count], work, scratch / f"hosts-{count}", rounds, say, name)
    report.table(f"kubexms with {work.steps} steps, by hosts", HEADER, rows)


def _measure(
    fleet: Fleet,
    hosts: Sequence[Host],
    work: Workload,
    root: Path,
    rounds: int,
    say: Callable[[str], None],
    name: str,
) -> list[list[str]]:
    tool = contenders.kubexms(root, fleet, hosts, work)
    taken: dict[str, list[Sample]] = {"first plan": [], "first apply": [], "plan, nothing to do": []}
    bare: list[Sample] = []
    for _ in range(rounds):
        reset(hosts, tool)
        bare.append(floor(fleet, hosts))
        for what, argv in zip(taken, (tool.plan, tool.apply, tool.plan), strict=True):
            taken[what].append(weigh(tool, argv, fleet))
            say(f"{name}: {what} {taken[what][-1].wall:.2f} s")
    reset(hosts, tool)
    rows = []
    for what, samples in taken.items():
        figure = median(samples)
        each = figure.wall / (work.steps * len(hosts))
        cells = [seconds(figure.wall), seconds(figure.cpu), size(figure.peak), f"{each * 1000:.2f} ms"]
        rows.append([f"{name}: {what}", *cells, seconds(median(bare).wall)])
    return rows
