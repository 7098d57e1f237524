"""How long a command takes that does next to nothing, beside the library that every command needs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.measure import BYTE_CODE, Figure, Sample, median, sample
from benchmarks.report import Report, ratio, seconds

_COMMANDS = {
    "import click": [sys.executable, "-c", "import click"],
    "kubexms version": [sys.executable, "-m", "kubexms", "version"],
}


def starting(report: Report, rounds: int, say: Callable[[str], None]) -> None:
    """`kubexms version` and a bare import of click, in turn; the first run of each is not counted."""
    taken: dict[str, list[Sample]] = {name: [] for name in _COMMANDS}
    for _ in range(rounds + 1):
        for name, argv in _COMMANDS.items():
            taken[name].append(sample(argv, str(Path.cwd()), BYTE_CODE))
    figures: dict[str, Figure] = {name: median(samples[1:]) for name, samples in taken.items()}
    floor, own = figures.values()
    report.values["start"] = own.wall / floor.wall
    say(f"start: {report.values['start']:.2f} times an import of click")
    rows = [
        [name, seconds(figure.wall), seconds(figure.cpu), ratio(figure, floor)]
        for name, figure in figures.items()
    ]
    report.table("Starting", ["", "wall", "cpu", "times click"], rows)
