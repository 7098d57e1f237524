"""Which members of etcd may go: seen at plan time, over all hosts that answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Standing:
    """One member of an etcd in a plan."""

    address: str
    host: str
    works: bool
    """It is a member, and its unit runs."""
    leaves: bool
    joins: bool
    members: Sequence[str]
    """All that its document names."""


def refusals(cluster: str, nodes: Sequence[Standing]) -> dict[str, str]:
    """Address of a member that may not leave -> why.

    They leave one at a time, after others have joined, and before and after each of them more than half of
    the members must work: etcd's rule for a quorum. A whole etcd may go. Hosts that a document names and that
    do not answer count as members that do not work.
    """
    leaving, staying = [node for node in nodes if node.leaves], [node for node in nodes if not node.leaves]
    if not leaving or not staying:
        return {}
    goes = _names([node.host for node in leaving])
    first = leaving[0].address
    if all(node.joins for node in staying):
        comes = _names([node.host for node in staying])
        return {
            first: f"without {goes} all data of cluster {cluster} is gone, and {comes} has yet to join: "
            f"add {comes} and apply, and take {goes} out afterwards"
        }
    known = {node.host for node in nodes}
    named = dict.fromkeys(name for node in nodes for name in node.members)
    lame = [name for name in named if name not in known]
    members = len(nodes) + len(lame)
    lame += [node.host for node in nodes if not node.works and not node.joins]
    working = members - len(lame)
    for node in leaving:
        enough = working > members // 2
        members, working = members - 1, working - (node.host not in lame)
        if not enough or working <= members // 2:
            return {
                first: f"without {goes} {working} of {members} members of the etcd of cluster {cluster} "
                f"would work (not working: {', '.join(lame)}), and it needs {members // 2 + 1}: repair "
                f"{_names(lame)} first"
            }
    return {}


def _names(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
