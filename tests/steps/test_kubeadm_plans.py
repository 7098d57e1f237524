"""All nodes of a cluster in one plan: which may leave, and which versions go beside each other."""

from __future__ import annotations

from typing import Any

from kubexms.step.contract import ActionKind, Prospect
from kubexms.step.kinds.kubeadm_node import KubeadmNodeExecutor, KubeadmNodeSpec
from kubexms.step.observation import Observation
from tests.steps.test_kubeadm_flows import spec

KIND = KubeadmNodeExecutor()
FIVE = tuple(f"cp{number}" for number in range(1, 6))


def prospect(
    name: str, action: ActionKind, *, role: str = "control-plane", was: str = "1.20.2", **more: Any
) -> Prospect[KubeadmNodeSpec]:
    """A node in a plan whose document names three control planes; without `was` it is none yet."""
    before = Observation.present({"status": "member", "role": role, "version": was})
    peers = more.pop("peers", FIVE[:3])
    return Prospect(
        f"m/t/node@{name}",
        name,
        spec(name, role, *peers, **more),
        action,
        before if was else Observation.absent(),
    )


def test_five_control_planes_become_three() -> None:
    stay = [prospect(name, ActionKind.NO_OP) for name in FIVE[:3]]
    leave = [prospect(name, ActionKind.DELETE, peers=FIVE) for name in FIVE[3:]]
    worker = prospect("w1", ActionKind.NO_OP, role="worker")
    assert KIND.review([*stay, *leave, worker]) == {}
    # cp3 is silent: 3 of 4 work when cp4 has left, and 2 of 3 in the end
    assert KIND.review([*stay[:2], *leave, worker]) == {}
    refused = KIND.review([*stay[:1], *leave, worker])
    assert list(refused) == ["m/t/node@cp4"]
    assert (
        "without cp4 2 of 4 control planes of cluster prod would work (cp2 and cp3 were"
        in refused["m/t/node@cp4"]
    )


def test_new_nodes_while_a_cluster_is_upgraded_by_half() -> None:
    newer: dict[str, Any] = {"version": "1.21.0", "peers": FIVE}
    done = [prospect("cp1", ActionKind.NO_OP, was="1.21.0", **newer)]
    due = [prospect(name, ActionKind.UPDATE, **newer) for name in ("cp2", "cp3")]
    new = [prospect(name, ActionKind.CREATE, was="", **newer) for name in ("cp4", "cp5")]
    workers = [
        prospect("w1", ActionKind.UPDATE, role="worker", **newer),
        prospect("w2", ActionKind.CREATE, role="worker", was="", **newer),
    ]
    assert KIND.review([*done, *due, *new, *workers]) == {}
    newer["peers"] = ("cp4", "cp1", "cp2", "cp3", "cp5")
    early = prospect("cp4", ActionKind.CREATE, was="", **newer)
    assert KIND.review([*done, *due, early, new[1], *workers]) == {
        "m/t/node@cp4": "cp4 would join cluster prod with 1.21.0 before cp2 and cp3 (1.20.2): list it after "
        "the control planes that are there, or upgrade them first"
    }
