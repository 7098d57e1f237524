"""Control planes whose etcd is on hosts of its own: what they share, and when they may go."""

from __future__ import annotations

import pytest
import yaml

from kubexms.errors import StepError
from kubexms.runtime.protocol import Action, Outcome
from kubexms.step.contract import ActionKind, ChangeRequest, Prospect
from kubexms.step.kinds.kubeadm_node import KubeadmNodeExecutor, KubeadmNodeSpec
from kubexms.step.observation import Observation
from tests.steps.council import READY, UNREADY, Host, done

KIND = KubeadmNodeExecutor()
CONFIG = """\
apiVersion: kubeadm.k8s.io/v1beta2
kind: ClusterConfiguration
apiServer: {extraArgs: {v: "2"}}
etcd:
  external:
    endpoints: ["https://192.0.2.41:2379"]
    caFile: /etc/etcd/ca.crt
    certFile: /etc/etcd/apiserver-etcd-client.crt
    keyFile: /etc/etcd/apiserver-etcd-client.key
"""
SNAPSHOT = "/usr/local/sbin/kubexms-etcd-snapshot"


def plane(name: str, *peers: str, version: str = "1.20.2") -> KubeadmNodeSpec:
    return KubeadmNodeSpec.from_json(
        {
            "cluster": "prod",
            "nodeName": name,
            "role": "control-plane",
            "version": version,
            "endpoint": "k8s.test:6443",
            "peers": list(peers),
            "config": CONFIG,
            "joinConfig": "apiVersion: kubeadm.k8s.io/v1beta2\nkind: JoinConfiguration\n",
            "beforeUpgrade": SNAPSHOT,
            "beforeUpgradeOn": ["etcd1", "etcd2"],
        }
    )


def test_its_key_for_etcd_is_not_shared_among_them() -> None:
    """What is not there is neither uploaded nor written over by a join; all else is as it was."""
    host = Host("cp2", {"cp1": READY})
    KIND.run(host, plane("cp2", "cp1", "cp2"), ChangeRequest(ActionKind.CREATE, Observation.absent()))
    [minted] = [action for who, action in host.log if "upload-certs" in action.script]
    told = yaml.safe_load(minted.payloads["config"].data or b"")
    assert told["etcd"]["external"] == {
        "endpoints": ["https://192.0.2.41:2379"],
        **dict.fromkeys(("caFile", "certFile", "keyFile"), "/nonexistent/etcd"),
    }
    del told["etcd"]
    assert told == {key: value for key, value in yaml.safe_load(CONFIG).items() if key != "etcd"}


def test_one_of_two_may_go_and_one_of_three_that_do_not_all_work() -> None:
    for peers in ({"cp1": READY}, {"cp1": READY, "cp3": UNREADY}):
        host = Host("cp2", peers, "member")
        KIND.run_undo(host, plane("cp2", "cp2", *peers), Observation.absent())
        assert host.did("kubeadm reset") == ["cp2 kubeadm reset"]
    before = Observation.present({"status": "member", "role": "control-plane"})
    steps = [
        Prospect(f"demo/{name}", name, plane(name, "cp1", "cp2", "cp3"), action, before)
        for name, action in (("cp1", ActionKind.NO_OP), ("cp2", ActionKind.DELETE))
    ]
    assert KIND.review(steps) == {}, "cp3 does not answer, and is in nobody's quorum"


def says(version: str) -> Host:
    """A control plane of a cluster that has this version."""

    def answer(action: Action) -> Outcome:
        asked = "sed -n 's/^kubernetesVersion" in action.script and "kubeadm upgrade" not in action.script
        return done(stdout=f"v{version}\n" if asked else "")

    return Host("cp1", {"etcd1": "", "etcd2": ""}, "member", says=answer)


def upgrade(host: Host) -> list[str]:
    before = Observation.present({"status": "member", "version": "1.20.2"})
    request = ChangeRequest(ActionKind.UPDATE, before, frozenset({"version"}))
    KIND.run(host, plane("cp1", "cp1", version="1.20.3"), request)
    return host.did(f"{SNAPSHOT}\n", "kubeadm upgrade apply")


def test_a_snapshot_is_taken_where_etcd_is_before_an_upgrade() -> None:
    assert upgrade(says("1.20.2")) == [f"etcd1 {SNAPSHOT}\n", "cp1 kubeadm upgrade apply"]
    assert upgrade(says("1.20.3")) == ["cp1 kubeadm upgrade apply"], "only by the one that begins it"


def test_without_a_snapshot_nothing_is_upgraded() -> None:
    host = says("1.20.2")
    host.fails = SNAPSHOT
    with pytest.raises(StepError, match="nothing was upgraded") as caught:
        upgrade(host)
    assert "etcd2: error" in str(caught.value.detail)
    assert host.did("kubeadm upgrade") == []
    silent = says("1.20.2")
    silent.peers = {"etcd1": None, "etcd2": ""}
    assert upgrade(silent)[0] == f"etcd1 {SNAPSHOT}\n"
