"""How a node joins, leaves and changes its version: who is asked, in which order, and when it refuses."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from kubexms.errors import StepError
from kubexms.runtime.protocol import Action, Outcome
from kubexms.step.contract import ActionKind, ChangeRequest
from kubexms.step.kinds.kubeadm_node import KubeadmNodeExecutor, KubeadmNodeSpec
from kubexms.step.observation import Observation
from tests.steps.council import KEY, READY, STEPS, TOKEN, UNREADY, WAYS, Host, done, has_pods_at

KIND = KubeadmNodeExecutor()
JOIN = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: JoinConfiguration\n"
JOIN_AT = JOIN + "controlPlane: {localAPIEndpoint: {advertiseAddress: 192.0.2.12}}\n"
CONFIG = "apiVersion: kubeadm.k8s.io/v1beta2\nkind: ClusterConfiguration\n"


def spec(name: str, role: str, *peers: str, **more: Any) -> KubeadmNodeSpec:
    return KubeadmNodeSpec.from_json(
        {
            "cluster": "prod",
            "nodeName": name,
            "role": role,
            "version": "1.20.2",
            "endpoint": "k8s.test:6443",
            "peers": list(peers),
            "config": CONFIG if role == "control-plane" else "",
            "joinConfig": JOIN,
            **more,
        }
    )


def plane(name: str, *peers: str, **more: Any) -> KubeadmNodeSpec:
    return spec(name, "control-plane", *peers, **more)


def join(host: Host, node: KubeadmNodeSpec) -> Outcome:
    return KIND.run(host, node, ChangeRequest(ActionKind.CREATE, Observation.absent()))


def leave(host: Host, node: KubeadmNodeSpec) -> Outcome:
    return KIND.run_undo(host, node, Observation.absent())


# joining ----------------------------------------------------------------------------------
def test_the_first_one_begins_if_all_others_are_absent() -> None:
    host = Host("cp1", {"cp2": "", "cp3": ""})
    join(host, plane("cp1", "cp1", "cp2", "cp3"))
    assert host.did("kubeadm init", "kubeadm join") == ["cp1 kubeadm init"]
    assert host.alone_in == ["kubeadmNode prod"]


def test_what_has_the_endpoints_address_is_there_before_kubeadm() -> None:
    more = {"endpointPod": "kind: Pod # of a member\n", "firstEndpointPod": "kind: Pod # first\n"}
    first = Host("cp1", {"cp2": ""})
    join(first, plane("cp1", "cp1", "cp2", **more))
    [(_, begun)] = [item for item in first.log if "kubeadm init --config" in item[1].script]
    assert begun.payloads["pod"].data == b"kind: Pod # first\n"
    assert begun.script.index("payload pod") < begun.script.index("kubeadm init --config")
    other = Host("cp2", {"cp1": READY})
    join(other, plane("cp2", "cp1", "cp2", **more))
    [(_, joined)] = [item for item in other.log if "kubeadm join --config" in item[1].script]
    assert joined.payloads["pod"].data == b"kind: Pod # of a member\n"
    join(first, plane("cp1", "cp1", "cp2", endpointPod="kind: Pod\n"))
    assert first.log[-1][1].payloads["pod"].data == b"kind: Pod\n"


@pytest.mark.parametrize(
    ("peers", "why"),
    [
        ({"cp2": "", "cp3": None}, "cp3: cp3: no route"),
        ({"cp2": UNREADY, "cp3": ""}, "cp2 is a member, but its API server is not ready"),
        ({"cp2": "has pki/ca.crt\nunfinished join\n", "cp3": ""}, "cp2 is only partly a member"),
        ({"cp2": "has etcd data\n", "cp3": ""}, "cp2 is only partly a member"),
    ],
)
def test_a_second_cluster_is_never_begun(peers: dict[str, str | None], why: str) -> None:
    host = Host("cp1", peers)
    with pytest.raises(StepError, match="not all of them are known to be absent") as caught:
        join(host, plane("cp1", "cp1", "cp2", "cp3"))
    assert why in caught.value.detail
    assert not host.log


def test_only_the_first_one_begins() -> None:
    for node in (plane("cp2", "cp1", "cp2"), spec("w1", "worker", "cp1")):
        host = Host(node.node_name, {"cp1": ""})
        with pytest.raises(StepError, match="no cluster to join yet"):
            join(host, node)
        assert not host.log


def test_a_reordered_list_joins_what_there_is() -> None:
    host = Host("cp0", {"cp1": READY})
    join(host, plane("cp0", "cp0", "cp1"))
    assert host.did("kubeadm init --config", "kubeadm join") == ["cp0 kubeadm join"]


def test_secrets_of_a_join_are_in_payloads_alone_and_revoked() -> None:
    host = Host("cp2", {"cp1": READY}, says=lambda action: done(stdout=f"joined with {TOKEN} and {KEY}"))
    outcome = join(host, plane("cp2", "cp1", "cp2"))
    assert outcome.stdout == b"joined with (hidden) and (hidden)"
    for _, action in host.log:
        assert TOKEN not in action.script
        assert KEY not in action.script
    (joined,) = [action for who, action in host.log if who == "cp2"]
    payload = joined.payloads["config"]
    assert payload.sensitive
    document = yaml.safe_load(payload.data or b"")
    assert document["controlPlane"]["certificateKey"] == KEY
    discovery = document["discovery"]["bootstrapToken"]
    assert discovery == {
        "apiServerEndpoint": "k8s.test:6443",
        "token": TOKEN,
        "caCertHashes": ["sha256:" + "a" * 64],
    }
    assert host.did("token create", "upload-certs", "kubeadm join", "token delete abcdef") == [
        "cp1 token create",
        "cp1 upload-certs",
        "cp2 kubeadm join",
        "cp1 token delete abcdef",
    ]


def test_a_worker_asks_no_further_than_it_must_and_gets_no_key() -> None:
    host = Host("w1", {"cp1": None, "cp2": READY, "cp3": None})
    join(host, spec("w1", "worker", "cp1", "cp2", "cp3"))
    (joined,) = [action for who, action in host.log if who == "w1"]
    assert "controlPlane" not in yaml.safe_load(joined.payloads["config"].data or b"")
    assert host.did("token create", "upload-certs") == ["cp2 token create"]
    assert not host.alone_in


def test_control_planes_of_two_clusters_are_refused() -> None:
    host = Host("cp3", {"cp1": READY, "cp2": READY.replace("ca one", "ca two")})
    with pytest.raises(StepError, match="cp1, cp2 are members of different clusters"):
        join(host, plane("cp3", "cp1", "cp2", "cp3"))


def test_a_machine_that_replaces_a_dead_one_is_not_hindered_by_its_member_of_etcd() -> None:
    """Only a member that does not work may go: one that does is another machine's."""
    host = Host("cp2", {"cp1": READY.replace("cluster prod", "node cp1\ncluster prod"), "cp3": None})
    join(host, plane("cp2", "cp1", "cp2", "cp3", joinConfig=JOIN_AT))
    [(who, action)] = [(who, action) for who, action in host.log if "member remove" in action.script]
    assert who == "cp1"
    assert "node=cp2\nown=cp1\naddress=192.0.2.12\n" in action.script
    assert action.script.index('get node "$node" -o name') < action.script.index("lame=1\n")
    assert host.did("member remove", "token create", "kubeadm join") == [
        "cp1 member remove",
        "cp1 token create",
        "cp2 kubeadm join",
    ]


def test_a_worker_that_joins_is_no_matter_of_etcds() -> None:
    host = Host("w1", {"cp1": READY})
    join(host, spec("w1", "worker", "cp1"))
    assert host.did("member remove") == []


def test_a_token_is_given_only_where_no_node_of_the_name_works() -> None:
    host = Host("w1", {"cp1": READY})
    join(host, spec("w1", "worker", "cp1"))
    [action] = [action for who, action in host.log if who == "cp1" and "token create" in action.script]
    assert "node=w1\n" in action.script
    assert action.script.index('get node "$node"') < action.script.index("kubeadm token create")


def test_what_kubeadm_says_ends_with_what_went_wrong() -> None:
    wrong = "\t[ERROR DirAvailable--etc-kubernetes-manifests]: /etc/kubernetes/manifests is not empty\n"
    advice = (
        "[preflight] If you know what you are doing, you can make a check non-fatal with `--ignore`\n"
        "To see the stack trace of this error execute with --v=5 or higher\n"
    )
    host = Host("w1", {"cp1": READY}, says=lambda action: done(1, stderr=f"error\n{wrong}{advice}"))
    assert join(host, spec("w1", "worker", "cp1")).stderr == f"error\n{wrong}".encode()


# leaving ----------------------------------------------------------------------------------
def test_a_worker_leaves_in_order() -> None:
    host = Host("w1", {"cp1": READY}, "member")
    leave(host, spec("w1", "worker", "cp1"))
    assert host.did(*STEPS) == ["cp1 admin drain", "w1 kubeadm reset", "cp1 admin delete node"]


def test_the_others_forget_the_way_to_its_pods_and_one_that_is_away_does_not_matter() -> None:
    host = Host("w1", {"cp1": READY, "w2": ""}, status="member", says=has_pods_at("10.244.3.0/24"))
    leave(host, spec("w1", "worker", "cp1", neighbours=["cp1", "w2", "w3", "w1"]))
    assert host.did("route delete 10.244.3.0/24 proto 75") == [
        f"{name} route delete 10.244.3.0/24 proto 75" for name in ("cp1", "w2")
    ]


def test_a_control_plane_leaves_etcd_first() -> None:
    host = Host("cp2", {"cp1": READY}, "member")
    leave(host, plane("cp2", "cp1", "cp2"))
    assert host.did(*STEPS) == [
        "cp1 admin drain",
        "cp1 member remove",
        "cp2 kubeadm reset",
        "cp1 admin delete node",
    ]


def test_a_budget_that_forbids_it_leaves_the_node_as_it_is() -> None:
    host = Host("w1", {"cp1": READY}, "member", fails="admin drain")
    with pytest.raises(StepError, match="cp1 could not drain w1: error: cannot evict"):
        leave(host, spec("w1", "worker", "cp1"))
    assert host.did("kubeadm reset") == []


def test_a_quorum_is_kept() -> None:
    host = Host("cp3", {"cp1": READY, "cp2": UNREADY}, "member")
    with pytest.raises(StepError, match="1 of 2 would be ready; etcd needs 2"):
        leave(host, plane("cp3", "cp1", "cp2", "cp3"))
    assert host.did(*STEPS) == []


def test_the_last_one_needs_nobody() -> None:
    for peers in ({"cp2": ""}, {}):  # absent, and out of the inventory
        host = Host("cp1", peers, "member")
        leave(host, plane("cp1", "cp1", "cp2"))
        assert host.did(*STEPS) == ["cp1 kubeadm reset"]


def test_nobody_leaves_while_the_others_are_silent() -> None:
    for node in (plane("cp1", "cp1", "cp2"), spec("w1", "worker", "cp2")):
        host = Host(node.node_name, {"cp2": None}, "member")
        with pytest.raises(StepError, match="no control plane is ready") as caught:
            leave(host, node)
        assert "no route" in caught.value.detail
        assert host.did(*STEPS) == []


def test_half_of_a_worker_is_cleared_by_itself() -> None:
    host = Host("w1", {"cp1": None}, "partial")
    leave(host, spec("w1", "worker", "cp1"))
    assert host.did(*STEPS) == ["w1 kubeadm reset"]


@pytest.mark.parametrize(("role", "peers"), [("worker", ["cp1"]), ("control-plane", ["cp1", "cp2"])])
def test_nobody_joins_with_a_kubelet_that_is_newer_than_the_api_server(role: str, peers: list[str]) -> None:
    host = Host("cp2", {"cp1": f"{READY}version 1.20.2\n"})
    with pytest.raises(StepError, match=r"a kubelet 1\.20\.3 would be newer than the API server") as caught:
        join(host, spec("cp2", role, *peers, version="v1.20.3"))
    assert caught.value.detail.startswith("cp1 runs 1.20.2\nControl planes are upgraded first")
    assert not host.log


# another version --------------------------------------------------------------------------
def upgrade(host: Host, node: KubeadmNodeSpec) -> Outcome:
    before = Observation.present({"status": "member", "version": "1.20.2"})
    return KIND.run(host, node, ChangeRequest(ActionKind.UPDATE, before, frozenset({"version"})))


def test_kubeadm_then_the_kubelet_then_pods_again() -> None:
    host = Host("w1", {"cp1": READY}, "member")
    upgrade(host, spec("w1", "worker", "cp1", version="1.20.3"))
    assert [step for step in host.did(*WAYS) if "\n" not in step] == [
        "w1 kubeadm upgrade",
        "cp1 admin drain",
        "w1 restart kubelet",
        "w1 version=1.20.3",
    ]
    assert host.log[-2][0] == "cp1"
    assert host.log[-2][1].script.endswith('admin uncordon "$node"\n')


def test_a_kubelet_that_is_a_package_comes_when_the_pods_are_elsewhere() -> None:
    host = Host("w1", {"cp1": READY}, "member")
    upgrade(host, spec("w1", "worker", "cp1", version="1.20.3", kubeletPackage="kubelet=1.20.3"))
    assert host.did("kubeadm upgrade", "admin drain", "there kubelet 1.20.3", "restart kubelet") == [
        "w1 kubeadm upgrade",
        "cp1 admin drain",
        "w1 there kubelet 1.20.3",
        "w1 restart kubelet",
    ]
    first = next(action.script for _, action in host.log if "kubeadm upgrade" in action.script)
    assert "kubelet --version" not in first


def test_a_host_that_joins_gets_the_kubelet_that_it_is_to_have() -> None:
    host = Host("w1", {"cp1": READY})
    join(host, spec("w1", "worker", "cp1", kubeletPackage="kubelet=1.20.2"))
    assert host.did("there kubelet 1.20.2", "kubeadm join")


def test_what_a_person_cordoned_stays_so() -> None:
    host = Host(
        "cp1",
        {},
        "member",
        says=lambda action: done(stdout="cordoned" if "echo cordoned" in action.script else ""),
    )
    upgrade(host, plane("cp1", "cp1", version="1.20.3"))
    assert not [action for _, action in host.log if action.script.endswith('admin uncordon "$node"\n')]
    assert host.did("upgrade apply") == ["cp1 upgrade apply"]


def test_what_was_cut_off_after_cordoning_is_uncordoned() -> None:
    def says(action: Action) -> Outcome:
        return done(
            stdout="cordoned"
            if "echo cordoned" in action.script
            else "ours"
            if "echo ours" in action.script
            else ""
        )

    host = Host("cp1", {}, "member", says=says)
    upgrade(host, plane("cp1", "cp1", version="1.20.3"))
    assert [who for who, action in host.log if action.script.endswith('admin uncordon "$node"\n')] == ["cp1"]


def test_a_node_that_cannot_be_drained_keeps_its_kubelet() -> None:
    host = Host("w1", {"cp1": READY}, "member", fails="admin drain")
    with pytest.raises(StepError, match="could not drain w1"):
        upgrade(host, spec("w1", "worker", "cp1", version="1.20.3"))
    assert host.did("restart kubelet") == []
    assert "rm -f" in host.log[-1][1].script


def test_a_worker_waits_for_a_control_plane() -> None:
    host = Host("w1", {"cp1": UNREADY}, "member")
    with pytest.raises(StepError, match="no control plane is ready to drain"):
        upgrade(host, spec("w1", "worker", "cp1", version="1.20.3"))
    assert host.did(*WAYS) == []


def test_a_worker_is_not_upgraded_before_its_control_plane() -> None:
    host = Host("w1", {"cp1": f"{READY}version 1.20.2\n"}, "member")
    with pytest.raises(StepError, match=r"a kubelet 1\.20\.3 would be newer than the API server"):
        upgrade(host, spec("w1", "worker", "cp1", version="1.20.3"))
    assert host.did(*WAYS) == []
