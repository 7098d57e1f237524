"""Where the time of a bring-up went, from the events of the run."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

MEMBER = "kubeadmNode"
TOOLS = {
    "kubeadm (init, join)": (MEMBER,),
    "images (copied, imported)": ("containerdImage",),
    "packages (apt)": ("package",),
    "programs (copied)": ("download", "archive"),
    "services and units (systemd)": ("service", "systemdUnit"),
}
"""The real tools: whoever makes a cluster of these hosts waits for them. A group's name, and its kinds."""
REST = "everything else"


@dataclass(frozen=True)
class Span:
    """One step on one host; seconds since the command began."""

    address: str
    kind: str
    began: float
    ended: float

    @property
    def host(self) -> str:
        """The host that it ran on."""
        return self.address.rpartition("@")[2]


@dataclass(frozen=True)
class Milestones:
    """Seconds since the beginning, each no smaller than the one before."""

    planned: float
    """The first step begins. By hand there is no plan: 0."""
    prepared: float
    """The first control plane begins."""
    first: float
    """The first control plane serves."""
    joined: float
    """The last member is in."""
    ready: float
    """All nodes are Ready."""

    def phases(self) -> tuple[float, ...]:
        """How long each took."""
        marks = (0.0, self.planned, self.prepared, self.first, self.joined, self.ready)
        return tuple(after - before for before, after in itertools.pairwise(marks))


def spans(lines: Iterable[str]) -> tuple[Span, ...]:
    """The steps of an apply from the lines that it writes with `--json`, in the order of their ends."""
    zero: float | None = None
    begun: dict[str, float] = {}
    found: list[Span] = []
    for line in lines:
        event = json.loads(line)
        moment = datetime.fromisoformat(event["@timestamp"]).timestamp()
        zero = moment if zero is None else zero
        if event["type"] not in ("apply_start", "apply_complete"):
            continue
        resource = event["hook"]["resource"]
        address, at = resource["addr"], moment - zero
        if event["type"] == "apply_start":
            begun[address] = at
        else:
            found.append(Span(address, resource["resource_type"], begun.get(address, at), at))
    return tuple(found)


def milestones(steps: Sequence[Span], ready: float) -> Milestones:
    """Of a bring-up that took `ready` seconds in all."""
    members = sorted((step for step in steps if step.kind == MEMBER), key=lambda step: step.began)
    return Milestones(
        min(step.began for step in steps),
        members[0].began,
        members[0].ended,
        max(step.ended for step in members),
        ready,
    )


@dataclass(frozen=True)
class Share:
    """What one tool took."""

    name: str
    steps: int
    total: float
    """Seconds of all hosts together."""
    host: float
    """Seconds of the host that it took longest on."""


def shares(steps: Sequence[Span]) -> list[Share]:
    """One for each of the tools, and the rest. Steps that share an exchange share its time."""
    named = {kind: name for name, kinds in TOOLS.items() for kind in kinds}
    result = []
    for name in (*TOOLS, REST):
        own = [step for step in steps if named.get(step.kind, REST) == name]
        by_host = [
            _covered(step for step in own if step.host == host) for host in {step.host for step in own}
        ]
        result.append(Share(name, len(own), sum(by_host), max(by_host, default=0.0)))
    return result


def without_tools(steps: Sequence[Span], whole: float) -> float:
    """Seconds of the whole in which no host waited for any of the real tools: what kubexms adds."""
    kinds = {kind for of_tool in TOOLS.values() for kind in of_tool}
    return whole - _covered(step for step in steps if step.kind in kinds)


def _covered(steps: Iterable[Span]) -> float:
    """Seconds in which at least one of them ran."""
    covered, end = 0.0, 0.0
    for step in sorted(steps, key=lambda step: step.began):
        covered += max(0.0, step.ended - max(end, step.began))
        end = max(end, step.ended)
    return covered
