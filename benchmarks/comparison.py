"""kubexms, pyinfra and Ansible on the same hosts with the same hundred steps, in turn."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks import contenders
from benchmarks.contenders import Contender
from benchmarks.measure import Figure, Sample, floor, median, weigh
from benchmarks.report import Report, ratio, seconds, size
from benchmarks.workload import RESET, Workload
from tests.e2e.testbed import Fleet, Host

TOOLS = {"kubexms": contenders.kubexms, "pyinfra": contenders.pyinfra, "ansible": contenders.ansible}
PARTS = ("plan", "apply")


def compare(
    report: Report,
    fleet: Fleet,
    hosts: Sequence[Host],
    work: Workload,
    *,
    scratch: Path,
    parts: Sequence[str],
    tools: Sequence[str],
    rounds: int,
    say: Callable[[str], None],
) -> None:
    """Measure the first apply, then the plan that finds nothing to do, and the floor beside it.

    Each round runs every tool once, one after the other, so that a slow minute of the machine hits all.
    """
    ready = [TOOLS[name](scratch / f"{name}-{len(hosts)}", fleet, hosts, work) for name in tools]
    if "apply" in parts:
        _applies(report, fleet, hosts, work, ready, rounds, say)
    if "plan" in parts:
        _plans(report, fleet, hosts, work, ready, rounds, say, applied="apply" in parts)


def _applies(
    report: Report,
    fleet: Fleet,
    hosts: Sequence[Host],
    work: Workload,
    tools: Sequence[Contender],
    rounds: int,
    say: Callable[[str], None],
) -> None:
    samples: dict[str, list[Sample]] = {tool.name: [] for tool in tools}
    again: dict[str, list[Sample]] = {tool.name: [] for tool in tools}
    for number in range(rounds):
        for tool in tools:
            reset(hosts, tool)
            samples[tool.name].append(weigh(tool, tool.apply, fleet))
            say(_progress("first apply", hosts, number, tool, samples))
            again[tool.name].append(weigh(tool, tool.apply, fleet))
            say(_progress("apply again", hosts, number, tool, again))
    title = f"First apply of {work.steps} steps, {_hosts(len(hosts))}"
    _table(report, title, {name: median(taken) for name, taken in samples.items()}, None)
    title = f"Apply of {work.steps} steps with nothing to do, {_hosts(len(hosts))}"
    _table(report, title, {name: median(taken) for name, taken in again.items()}, None)


def _plans(
    report: Report,
    fleet: Fleet,
    hosts: Sequence[Host],
    work: Workload,
    tools: Sequence[Contender],
    rounds: int,
    say: Callable[[str], None],
    *,
    applied: bool,
) -> None:
    for tool in tools:
        # whoever came last has left the same configuration; kubexms also adopts what it finds
        if tool.name == "kubexms" or not applied:
            weigh(tool, tool.apply, fleet)
    samples: dict[str, list[Sample]] = {tool.name: [] for tool in tools}
    bare: list[Sample] = []
    for number in range(rounds):
        bare.append(floor(fleet, hosts))
        for tool in tools:
            samples[tool.name].append(weigh(tool, tool.plan, fleet))
            say(_progress("plan", hosts, number, tool, samples))
    title = f"Plan of {work.steps} steps with nothing to do, {_hosts(len(hosts))}"
    _table(report, title, {name: median(taken) for name, taken in samples.items()}, median(bare))


def reset(hosts: Sequence[Host], tool: Contender) -> None:
    """Make the hosts, and what the tool knows of them, as they were."""
    for host in hosts:
        host.run(RESET, timeout=300)
    shutil.rmtree(tool.directory / "state", ignore_errors=True)


def _table(report: Report, title: str, figures: dict[str, Figure], bare: Figure | None) -> None:
    own = figures.get("kubexms")
    rows = []
    if bare is not None:
        name = "`ssh HOST true` on all hosts at once"
        rows.append(
            [name, seconds(bare.wall), seconds(bare.cpu), size(bare.peak), ratio(bare, own), str(bare.runs)]
        )
    for name, figure in figures.items():
        shown = [seconds(figure.wall), seconds(figure.cpu), size(figure.peak), ratio(figure, own)]
        rows.append([name, *shown, str(figure.runs)])
    report.table(title, ["", "wall", "cpu", "peak memory", "wall : kubexms", "runs"], rows)


def _progress(
    what: str, hosts: Sequence[Host], number: int, tool: Contender, samples: dict[str, list[Sample]]
) -> str:
    return f"{what} on {len(hosts)}, round {number + 1}: {tool.name} {samples[tool.name][-1].wall:.2f} s"


def _hosts(count: int) -> str:
    return f"{count} host{'' if count == 1 else 's'}"
