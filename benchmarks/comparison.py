"""kubexms, pyinfra and Ansible on the same hosts with the same hundred steps, in turn."""

from __future__ import annotations

import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from benchmarks import contenders
from benchmarks.contenders import Contender
from benchmarks.measure import Figure, Sample, floor, median, weigh
from benchmarks.report import Report, ratio, size, wall
from benchmarks.workload import RESET, Workload, by_hand
from tests.e2e.testbed import Fleet, Host

TOOLS = {"kubexms": contenders.kubexms, "pyinfra": contenders.pyinfra, "ansible": contenders.ansible}
PARTS = ("plan", "apply")
OWN = "kubexms"


@dataclass(frozen=True)
class Effort:
    """How much time to spend."""

    rounds: int
    """Runs of kubexms, and of the floors beside it."""
    peer_rounds: int
    """Runs of the other tools, which take a hundred times as long."""
    patience: float
    """Seconds after which another tool's run is ended."""


@dataclass(frozen=True)
class Stage:
    """The hosts that are compared on, and what with."""

    report: Report
    fleet: Fleet
    hosts: Sequence[Host]
    work: Workload
    tools: Sequence[Contender]
    effort: Effort
    say: Callable[[str], None]

    def rounds_of(self, tool: Contender) -> int:
        """How often it runs."""
        return self.effort.rounds if tool.name == OWN else self.effort.peer_rounds

    def weigh(self, tool: Contender, argv: Sequence[str], what: str) -> Sample:
        """One run."""
        taken = weigh(tool, argv, self.fleet, None if tool.name == OWN else self.effort.patience)
        self.say(f"{what} on {len(self.hosts)}: {tool.name} {wall(taken)}")
        return taken

    def title(self, text: str) -> str:
        """With the number of hosts."""
        count = len(self.hosts)
        return f"{text}, {count} host{'' if count == 1 else 's'}"

    def keep(self, what: str, figures: Mapping[str, Figure]) -> None:
        """Remember wall times for the targets."""
        for name, figure in figures.items():
            self.report.figures[f"{what} {name} {len(self.hosts)}"] = figure


def compare(
    report: Report,
    fleet: Fleet,
    hosts: Sequence[Host],
    work: Workload,
    *,
    scratch: Path,
    parts: Sequence[str],
    tools: Sequence[str],
    effort: Effort,
    say: Callable[[str], None],
    apply_by: Sequence[str],
) -> None:
    """Measure the first apply, then the plan that finds nothing to do, and the floors beside them.

    Each round runs its tools one after the other, so that a slow minute of the machine hits all.
    `apply_by` are the tools whose apply is measured.
    """
    ready = [TOOLS[name](scratch / f"{name}-{len(hosts)}", fleet, hosts, work) for name in tools]
    stage = Stage(report, fleet, hosts, work, ready, effort, say)
    if "apply" in parts:
        _applies(stage, [tool for tool in ready if tool.name in apply_by])
    if "plan" in parts:
        _plans(stage)


def _applies(stage: Stage, tools: Sequence[Contender]) -> None:
    first: dict[str, list[Sample]] = {tool.name: [] for tool in tools}
    again: dict[str, list[Sample]] = {tool.name: [] for tool in tools}
    bare: list[Sample] = []
    for number in range(max(map(stage.rounds_of, tools), default=0)):
        clear(stage.hosts)
        bare.append(floor(stage.fleet, stage.hosts, by_hand(stage.work.packages)))
        for tool in tools:
            if number < stage.rounds_of(tool):
                reset(stage.hosts, tool)
                first[tool.name].append(stage.weigh(tool, tool.apply, "first apply"))
                again[tool.name].append(stage.weigh(tool, tool.apply, "apply again"))
    if not bare:
        return
    figures = {name: median(taken) for name, taken in first.items()}
    name = f"`apt-get install` of the {stage.work.packages} packages by hand, on all hosts at once"
    _table(stage, f"First apply of {stage.work.steps} steps", figures, (name, median(bare)))
    stage.keep("apply", figures | {"floor": median(bare)})
    figures = {name: median(taken) for name, taken in again.items()}
    _table(stage, f"Apply of {stage.work.steps} steps with nothing to do", figures, None)


def _plans(stage: Stage) -> None:
    own = next((tool for tool in stage.tools if tool.name == OWN), None)
    # whoever came last has left the same configuration; kubexms also adopts what it finds
    before = own or stage.tools[0]
    weigh(before, before.apply, stage.fleet)
    samples: dict[str, list[Sample]] = {tool.name: [] for tool in stage.tools}
    bare: list[Sample] = []
    for number in range(stage.effort.rounds):
        bare.append(floor(stage.fleet, stage.hosts))
        for tool in stage.tools:
            if number < stage.rounds_of(tool):
                samples[tool.name].append(stage.weigh(tool, tool.plan, "plan"))
    figures = {name: median(taken) for name, taken in samples.items()}
    name = "`ssh HOST true` on all hosts at once"
    _table(stage, f"Plan of {stage.work.steps} steps with nothing to do", figures, (name, median(bare)))
    stage.keep("plan", figures | {"floor": median(bare)})
    if own is not None:
        pairs = [mine.wall / least.wall for mine, least in zip(samples[OWN], bare, strict=True)]
        stage.report.note(
            f"kubexms took {statistics.median(pairs):.2f} times what the floor took in the same round "
            f"(median of {len(pairs)}; from {min(pairs):.2f} to {max(pairs):.2f})."
        )
        stage.report.values[f"plan : floor {len(stage.hosts)}"] = statistics.median(pairs)


def clear(hosts: Sequence[Host]) -> None:
    """Make the hosts as they were."""
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda host: host.run(RESET, timeout=300), hosts))


def reset(hosts: Sequence[Host], tool: Contender) -> None:
    """Make the hosts, and what the tool knows of them, as they were."""
    clear(hosts)
    shutil.rmtree(tool.directory / "state", ignore_errors=True)


def _table(stage: Stage, title: str, figures: dict[str, Figure], bare: tuple[str, Figure] | None) -> None:
    own = figures.get(OWN)
    every = ({bare[0]: bare[1]} if bare is not None else {}) | figures
    rows = [
        [name, wall(figure), f"{figure.cpu:.2f} s", size(figure.peak), ratio(figure, own), str(figure.runs)]
        for name, figure in every.items()
    ]
    header = ["", "wall", "cpu", "peak memory", "wall : kubexms", "runs"]
    stage.report.table(stage.title(title), header, rows)
