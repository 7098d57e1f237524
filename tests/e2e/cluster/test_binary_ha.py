"""Without kubeadm, etcd on the control planes: from one to three, one dies, back to one, and down."""

from __future__ import annotations

import json

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.lives import assert_serves
from tests.e2e.cluster.projects import TESTBED, ClusterProject
from tests.e2e.cluster.test_binary import KUBERNETES, PKI, serial, started
from tests.e2e.cluster.test_rotation import as_before, names
from tests.e2e.testbed import Host

ROLES = dict.fromkeys(("cp1", "cp2", "cp3", "cp4"), "control-plane") | {
    "w1": "worker",
    "lb": "load-balancer",
}
PLANES = ("cp1", "cp2", "cp3")
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster(ROLES, kubernetes=KUBERNETES)
    made.consist_of("cp1", "w1", "lb")
    return made


@pytest.fixture(scope="module")
def before(hosts: dict[str, Host]) -> Before:
    return Before(hosts.values())


@pytest.fixture(scope="module")
def named(hosts: dict[str, Host]) -> dict[str, list[str]]:
    """What the hosts files said before anything was done."""
    return {host.name: names(host) for host in hosts.values()}


def etcd_members(host: Host) -> dict[str, bool]:
    """Names of the members with a vote, and whether each is healthy."""
    tls = f"--cacert {PKI}/etcd/ca.crt --cert {PKI}/etcd/server.crt --key {PKI}/etcd/server.key"
    etcdctl = f"ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 {tls} -w json"
    members = json.loads(host.run(f"{etcdctl} member list", check=True).stdout)["members"]
    healthy = json.loads(host.run(f"{etcdctl} endpoint health --cluster").stdout)
    up = {entry["endpoint"] for entry in healthy if entry["health"]}
    voters = [member for member in members if not member.get("isLearner")]
    return {member["name"]: member["clientURLs"][0] in up for member in voters}


def test_one_control_plane_comes_up(
    project: ClusterProject, hosts: dict[str, Host], before: Before, named: dict[str, list[str]]
) -> None:
    project.apply(timeout=600)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
    assert etcd_members(hosts["cp1"]) == {"cp1": True}


def test_two_more_join(project: ClusterProject, hosts: dict[str, Host]) -> None:
    first = started(hosts["cp1"], "kube-apiserver", "etcd")
    project.consist_of(*PLANES, "w1", "lb")
    project.apply(timeout=900)
    project.await_ready(*PLANES, "w1")
    project.assert_empty_plan()
    assert etcd_members(hosts["cp3"]) == dict.fromkeys(PLANES, True)
    assert started(hosts["cp1"], "kube-apiserver", "etcd") == first
    assert len({serial(hosts[name], "ca") for name in (*PLANES, "w1")}) == 1
    assert len({serial(hosts[name], "apiserver") for name in PLANES}) == 3
    for name in PLANES:
        assert project.kubectl("get --raw /readyz", on=name) == "ok"


def test_a_flag_is_rolled(project: ClusterProject, hosts: dict[str, Host]) -> None:
    units = [started(hosts[name], "kube-apiserver", "etcd") for name in PLANES]
    project.consist_of(
        *PLANES,
        "w1",
        "lb",
        kubernetes={**KUBERNETES, "apiServer": {"extraArgs": {"event-ttl": "2h"}}},
        etcd={"extraArgs": TESTBED["etcd"]["extraArgs"] | {"snapshot-count": "9000"}},
    )
    project.apply(timeout=600)
    project.await_ready(*PLANES, "w1")
    project.assert_empty_plan()
    after = [started(hosts[name], "kube-apiserver", "etcd") for name in PLANES]
    assert not {unit for pair in units for unit in pair} & {unit for pair in after for unit in pair}
    assert etcd_members(hosts["cp1"]) == dict.fromkeys(PLANES, True)


def test_members_without_a_record_are_taken_over_as_they_run(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    running = [started(hosts[name], "etcd") for name in PLANES]
    for name in PLANES:
        hosts[name].run("rm /var/lib/kubexms/etcd/member", check=True)
    code, text = project.plan_code()
    assert code == 2, text
    assert "Plan: 0 to add, 3 to change, 0 to destroy." in text
    assert '~ status = "unrecorded" -> "member"' in text
    project.apply(timeout=300)
    project.assert_empty_plan()
    assert [started(hosts[name], "etcd") for name in PLANES] == running


def test_a_dead_control_plane_is_replaced(project: ClusterProject, hosts: dict[str, Host]) -> None:
    hosts["cp3"].crash()
    project.kubectl("wait --for=condition=Ready=Unknown node/cp3 --timeout=180s", timeout=190)
    forgotten = project.run("state", "forget", "--host", "cp3")
    assert forgotten.returncode == 0, forgotten.stdout + forgotten.stderr
    project.consist_of("cp1", "cp2", "cp4", "w1", "lb", lostNodes=["cp3"])
    code, text = project.plan_code()
    assert code == 2, text
    assert '# demo-etcd/lost/member["cp3"]@cp1 will be destroyed' in text
    assert '# demo-control-plane/lost/node["cp3"]@cp1 will be destroyed' in text
    project.apply(timeout=900)
    project.await_ready("cp1", "cp2", "cp4", "w1")
    project.assert_empty_plan()
    assert etcd_members(hosts["cp4"]) == dict.fromkeys(("cp1", "cp2", "cp4"), True)


def test_one_stays(project: ClusterProject, hosts: dict[str, Host], before: Before) -> None:
    first = started(hosts["cp1"], "etcd")
    project.consist_of("cp1", "w1", "lb", lostNodes=[])
    project.apply("--allow-destroy", "cp*", timeout=900)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
    assert etcd_members(hosts["cp1"]) == {"cp1": True}
    assert started(hosts["cp1"], "etcd") == first
    assert_serves(project, 2, ("cp1", "w1"))
    before.assert_again([hosts["cp2"], hosts["cp4"]])


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, hosts: dict[str, Host], before: Before, named: dict[str, list[str]]
) -> None:
    # its Deployment changes by itself while the plan and the removal look at it
    project.kubectl("-n kube-system delete pod -l k8s-app=kube-dns --wait=false")
    project.destroy(timeout=900)
    as_before(before, [hosts["cp1"], hosts["w1"], hosts["lb"]], named)
