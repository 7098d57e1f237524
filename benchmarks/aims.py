"""What was aimed at, and whether it has been reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from benchmarks.measure import Figure

Judged: TypeAlias = tuple[str, str, str, bool]
"""What it is about, the aim, what was measured, and whether that is as good."""

TIMES = (
    ("A plan on 1 host, pyinfra's dry run", "plan pyinfra 1", "plan kubexms 1", 40),
    ("A plan on 1 host, Ansible's check", "plan ansible 1", "plan kubexms 1", 150),
    ("First apply on 1 host, pyinfra", "apply pyinfra 1", "apply kubexms 1", 8),
    ("First apply on 1 host, Ansible", "apply ansible 1", "apply kubexms 1", 60),
)
OF_THE_FLOOR = 1.5
OF_CLICK = 2
GIBIBYTES = 1.5
STEADY = 1.5
"""How much more processor time a step and host may take among a thousand hosts than among a hundred."""


class Measured(Protocol):
    """What a report knows."""

    figures: dict[str, Figure]
    values: dict[str, float]


def judged(measured: Measured) -> Iterator[Judged]:
    """One row for each aim of which something was measured."""
    yield from _floor(measured.values)
    for name, theirs, ours, aim in TIMES:
        slow, quick = measured.figures.get(theirs), measured.figures.get(ours)
        if slow is not None and quick is not None:
            times = slow.wall / quick.wall
            more = "more than " if slow.stopped else ""
            yield (f"{name} : kubexms", f"at least {aim}", f"{more}{times:.1f}", times >= aim)
    yield from _controller(measured.values)
    found = measured.values.get("start")
    if found is not None:
        yield ("`kubexms version` : `import click`", f"at most {OF_CLICK}", f"{found:.2f}", found <= OF_CLICK)


def _floor(values: Mapping[str, float]) -> Iterator[Judged]:
    found = values.get("plan : floor 10")
    if found is not None:
        name = "A plan on 10 hosts, kubexms : `ssh HOST true`"
        yield (name, f"at most {OF_THE_FLOOR}", f"{found:.2f}", found <= OF_THE_FLOOR)
    found = values.get("drift clean : floor 30")
    if found is not None:
        name = "Drift on 30 hosts, kubexms : `ssh HOST true`"
        yield (name, f"at most {OF_THE_FLOOR}", f"{found:.2f}", found <= OF_THE_FLOOR)


def _controller(values: Mapping[str, float]) -> Iterator[Judged]:
    peak = values.get("controller peak 1000")
    if peak is not None:
        found = peak / 2**30
        name = "Controller, 1000 hosts with 100 steps: memory"
        yield (name, f"under {GIBIBYTES} GiB", f"{found:.2f} GiB", found < GIBIBYTES)
    few, many = values.get("controller each 100"), values.get("controller each 1000")
    if few is not None and many is not None:
        found = many / few
        name = "Controller, time of a step: among 1000 hosts : among 100"
        yield (name, f"at most {STEADY}", f"{found:.2f}", found <= STEADY)
