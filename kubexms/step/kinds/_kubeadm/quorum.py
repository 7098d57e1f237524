"""Which control planes may go: seen at plan time, over all hosts that answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """One node of a cluster in a plan."""

    address: str
    host: str
    plane: bool
    """It is a control plane, or becomes one."""
    leaves: bool
    joins: bool
    peers: Sequence[str]
    """The control planes that its document names."""
    stores: bool = True
    """As a control plane it is a member of etcd."""
    endpoint: bool = False
    """Its own address is the one that everybody reaches the API by."""


def refusals(cluster: str, nodes: Sequence[Standing]) -> dict[str, str]:
    """Address of a control plane that may not leave -> why, for all of them.

    They leave one at a time, after others have joined, and before each removal more than half of the
    members that are left must work: etcd's rule for a quorum. A whole cluster may go. Control planes that
    a document names and that do not answer count as members that do not work. Where etcd is elsewhere, one
    that works is enough.
    """
    leaving = [node for node in nodes if node.plane and node.leaves]
    staying = [node for node in nodes if not node.leaves]
    if not leaving or not staying:
        return {}
    works = [node for node in nodes if node.plane and not node.joins]
    goes = _names(leaving)
    if all(node.leaves for node in works):
        coming = [node for node in staying if node.plane]
        comes = _names(coming) if coming else ""
        advice = (
            f"add {comes} and apply, and take {goes} out afterwards"
            if comes
            else "to remove the whole cluster, use `kubexms destroy`"
        )
        return {
            leaving[
                0
            ].address: f"without {goes} cluster {cluster} has no control plane, and {_names(staying)} "
            f"would be left with nothing to belong to: {advice}"
        }
    reached = [node for node in leaving if node.endpoint]
    if reached:
        return {
            node.address: f"{_names(staying)} reach cluster {cluster} by the address of {node.host}, "
            "which is its endpoint: that cannot leave"
            for node in reached
        }
    if not all(node.stores for node in works):
        return {}
    known = {node.host for node in nodes}
    named = dict.fromkeys(name for node in nodes for name in node.peers)
    silent = [name for name in named if name not in known]
    working = len([node for node in nodes if node.plane])
    members = working + len(silent)
    for gone in range(1, len(leaving) + 1):
        working, members = working - 1, members - 1
        needed = members // 2 + 1
        if working < needed:
            lame, several = _listed(silent), len(silent) > 1
            says = "were not asked or do not answer" if several else "was not asked or does not answer"
            then = f"repair {lame} first, or let lostNodes take {'them' if several else 'it'} out"
            return {
                leaving[0].address: (
                    f"without {_names(leaving[:gone])} {working} of {members} control planes of cluster "
                    f"{cluster} would work ({lame} {says}), and etcd needs {needed}: {then}"
                )
            }
    return {}


def _names(nodes: Sequence[Standing]) -> str:
    return _listed([node.host for node in nodes])


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
