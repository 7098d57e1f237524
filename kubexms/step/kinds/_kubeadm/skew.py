"""Kubernetes' rule for versions beside each other: no kubelet is newer than an API server that it may ask.

Source: kubernetes.io/releases/version-skew-policy. The rest of it is kept by kubeadm and by preflight.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kubexms.errors import StepError
from kubexms.step.kinds._kubeadm.peers import Member


@dataclass(frozen=True)
class Course:
    """What a plan makes of one node that stays or comes."""

    address: str
    host: str
    plane: bool
    joins: bool
    before: str
    """The version that it has now; "" where it has none."""
    after: str
    peers: Sequence[str]
    """The control planes in the order in which they are gone through."""

    @property
    def upgraded(self) -> bool:
        """It is there, and gets a newer version."""
        return not self.joins and bool(self.before) and number(self.before) < number(self.after)


def number(version: str) -> tuple[int, ...]:
    """A version's numbers, to compare by."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("-")[0].partition("+")[0]))


def refusals(cluster: str, nodes: Sequence[Course]) -> dict[str, str]:
    """Address of a node -> why it may not have its version, or not yet."""
    planes = [node for node in nodes if node.plane]
    found: dict[str, str] = {}
    for node in nodes:
        older = [plane for plane in planes if number(plane.after) < number(node.after)]
        if older:
            found[node.address] = (
                f"the kubelet of {node.host} would be {node.after}, newer than the API server of "
                f"{_names(older)} ({older[0].after}): in cluster {cluster} control planes come first"
            )
    for plane in planes:
        place = plane.peers.index(plane.host) if plane.host in plane.peers else 0
        later = [one for one in planes if one.upgraded and one.host in plane.peers[place + 1 :]]
        if plane.joins and later and plane.address not in found:
            found[plane.address] = (
                f"{plane.host} would join cluster {cluster} with {plane.after} before {_names(later)} "
                f"({later[0].before}): list it after the control planes that are there, or upgrade them first"
            )
    return found


def refuse_behind(version: str, members: Sequence[Member]) -> None:
    """Before a node joins with `version`, or gets it. Raises `StepError` where an API server is older."""
    behind = [one for one in members if one.survey.version and number(one.survey.version) < number(version)]
    if behind:
        lines = [f"{one.peer.host} runs {one.survey.version}" for one in behind]
        raise StepError(
            f"a kubelet {version} would be newer than the API server that it asks",
            detail="\n".join(
                [*lines, "Control planes are upgraded first: apply that, then this node again."]
            ),
        )


def _names(nodes: Sequence[Course]) -> str:
    names = [node.host for node in nodes]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
