"""How a node without kubeadm begins, leaves and changes its version: who is asked, and in which order."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kubexms.errors import StepError
from kubexms.step.contract import ActionKind, ChangeRequest, Prospect
from kubexms.step.kinds.kubelet_node import KubeletNodeExecutor, KubeletNodeSpec
from kubexms.step.observation import Observation
from tests.steps.council import PLANE, READY, STEPS, UNREADY, WAYS, Host, has_pods_at

UNITS = KubeletNodeExecutor()


def unit_node(
    name: str, role: str, *peers: str, version: str = "1.20.2", neighbours: Sequence[str] = ()
) -> KubeletNodeSpec:
    given = {"cluster": "prod", "nodeName": name, "role": role, "version": version, "peers": list(peers)}
    return KubeletNodeSpec.from_json({**given, "neighbours": list(neighbours)})


def test_a_node_of_units_asks_nobody_to_begin() -> None:
    host = Host("w1", {"cp1": None})
    UNITS.run(host, unit_node("w1", "worker", "cp1"), ChangeRequest(ActionKind.CREATE, Observation.absent()))
    assert host.did("systemctl restart", "kubeadm join") == ["w1 systemctl restart"]


def test_a_node_of_units_leaves_in_order() -> None:
    host = Host("w1", {"cp1": READY}, "member")
    UNITS.run_undo(host, unit_node("w1", "worker", "cp1"), Observation.absent())
    assert host.did(*STEPS, "rm -rf /var/lib/kubelet") == [
        "cp1 admin drain",
        "w1 rm -rf /var/lib/kubelet",
        "cp1 admin delete node",
    ]
    budget = Host("w1", {"cp1": READY}, "member", fails="admin drain")
    with pytest.raises(StepError, match="cp1 could not drain w1"):
        UNITS.run_undo(budget, unit_node("w1", "worker", "cp1"), Observation.absent())
    assert budget.did("rm -rf /var/lib/kubelet") == []


def test_the_others_forget_the_way_to_the_pods_of_a_node_of_units() -> None:
    host = Host("w1", {"cp1": READY, "w2": ""}, "member", says=has_pods_at("10.244.3.0/24"))
    node = unit_node("w1", "worker", "cp1", neighbours=["cp1", "w1", "w2"])
    UNITS.run_undo(host, node, Observation.absent())
    assert host.did("route delete 10.244.3.0/24 proto 75") == [
        f"{name} route delete 10.244.3.0/24 proto 75" for name in ("cp1", "w2")
    ]


def test_the_last_control_plane_of_units_needs_nobody() -> None:
    host = Host("cp1", {}, "member")
    UNITS.run_undo(host, unit_node("cp1", "control-plane", "cp1"), Observation.absent())
    assert host.did("rm -rf /var/lib/kubelet /var/lib/etcd/member", "admin drain") == [
        "cp1 rm -rf /var/lib/kubelet /var/lib/etcd/member"
    ]
    assert host.alone_in == ["kubeletNode prod"]


def test_a_control_plane_of_units_leaves_etcd_and_does_not_wait_for_one_that_left() -> None:
    conf = f"{PLANE}\nhas pki/ca.crt\nserver https://k8s.test:6443\nunits\n"  # files are taken away later
    for left in (conf, "has pki/ca.crt\n"):
        host = Host("cp2", {"cp1": READY, "cp3": left}, "member")
        node = unit_node("cp2", "control-plane", "cp1", "cp2", "cp3")
        UNITS.run_undo(host, node, Observation.absent())
        assert host.did("admin drain", "member remove", "admin delete node") == [
            "cp1 admin drain",
            "cp1 member remove",
            "cp1 admin delete node",
        ]
        last = Host("cp1", {"cp2": left, "cp3": left}, "member")
        UNITS.run_undo(last, unit_node("cp1", "control-plane", "cp1", "cp2", "cp3"), Observation.absent())
        assert last.did("rm -rf /var/lib/kubelet") == ["cp1 rm -rf /var/lib/kubelet"]


def test_another_version_of_units_drains_before_the_kubelet() -> None:
    host = Host("w1", {"cp1": READY}, "member")
    before = Observation.present({"status": "member", "version": "1.20.2"})
    request = ChangeRequest(ActionKind.UPDATE, before, frozenset({"version"}))
    UNITS.run(host, unit_node("w1", "worker", "cp1", version="1.20.3"), request)
    for _, action in host.log[-3:]:
        assert '"$own"' not in action.script or "\nown=" in action.script, "sh -u ends at what is not set"
    assert [step for step in host.did(*WAYS) if "\n" not in step] == [
        "cp1 admin drain",
        "w1 restart kubelet",
        "w1 version=1.20.3",
    ]
    assert host.log[-2][1].script.endswith('admin uncordon "$node"\n')


def test_the_last_control_plane_of_units_is_not_left_out_of_a_plan() -> None:
    before = Observation.present({"status": "member", "role": "control-plane"})
    steps = [
        Prospect("demo/cp1", "cp1", unit_node("cp1", "control-plane", "cp1"), ActionKind.DELETE, before),
        Prospect("demo/w1", "w1", unit_node("w1", "worker", "cp1"), ActionKind.NO_OP, before),
    ]
    [why] = UNITS.review(steps).values()
    assert "without cp1 cluster prod has no control plane" in why
    plane = unit_node("cp2", "control-plane", "cp1", "cp2")
    stays = Prospect("demo/cp2", "cp2", plane, ActionKind.NO_OP, before)
    assert UNITS.review([*steps, stays]) == {}


def test_with_etcd_elsewhere_no_quorum_of_control_planes_is_needed() -> None:
    node = unit_node("cp2", "control-plane", "cp1", "cp2", "cp3").model_copy(update={"has_etcd": False})
    host = Host("cp2", {"cp1": READY, "cp3": UNREADY}, "member")
    UNITS.run_undo(host, node, Observation.absent())
    assert host.did("rm -rf /var/lib/kubelet") == ["cp2 rm -rf /var/lib/kubelet"]
    assert host.did("/var/lib/etcd/member") == []
