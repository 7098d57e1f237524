"""Members of etcd whose machines are lost; no Kubernetes is needed to see that."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.restoring import ALLOW, fetched
from tests.e2e.cluster.test_external_etcd import ETCD, ETCDCTL, members
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]
ETCD_ALONE = ("--target", "demo-etcd/*")
NAMES = ("etcd1", "etcd2", "etcd3")


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    roles = dict.fromkeys((*NAMES, "etcd4"), "etcd") | {"cp1": "control-plane", "w1": "worker"}
    made = new_cluster(roles, etcd=ETCD)
    made.consist_of(*NAMES, "cp1", "w1")
    return made


@pytest.fixture(scope="module")
def before(hosts: dict[str, Host]) -> Before:
    return Before([hosts[name] for name in ("etcd1", "etcd2", "etcd4")])


def voters(*names: str) -> list[list[str]]:
    return [[name, "started", "false"] for name in names]


def assert_nothing_to_do(project: ClusterProject) -> None:
    code, text = project.plan_code(*ETCD_ALONE)
    assert code == 0, text


def test_a_new_machine_of_the_same_name_takes_the_place(
    project: ClusterProject, hosts: dict[str, Host], before: Before
) -> None:
    project.apply(*ETCD_ALONE, timeout=400)
    assert members(hosts["etcd1"]) == voters(*NAMES)
    assert_nothing_to_do(project)

    project.fleet.reinstall(hosts["etcd2"])
    code, text = project.plan_code(*ETCD_ALONE)
    assert code == 2, text
    assert "# demo-etcd/member/member@etcd2 will be created" in text
    project.apply(*ETCD_ALONE, timeout=300)
    assert members(hosts["etcd2"]) == voters(*NAMES)
    assert_nothing_to_do(project)


def test_one_that_works_is_not_lost(project: ClusterProject, hosts: dict[str, Host]) -> None:
    project.run("state", "forget", "--host", "etcd3")
    project.consist_of("etcd1", "etcd2", "etcd4", "cp1", "w1", lostNodes=["etcd3"])
    code, text = project.plan_code(*ETCD_ALONE)
    assert code == 1, text
    assert "the member etcd3 of etcd works, so that its machine is not lost" in text


def test_another_machine_takes_the_place_of_one_that_is_gone(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    hosts["etcd3"].crash()
    code, text = project.plan_code(*ETCD_ALONE)
    assert code == 2, text
    assert '# demo-etcd/lost/member["etcd3"]@etcd1 will be destroyed' in text
    project.apply(*ETCD_ALONE, timeout=300)
    assert members(hosts["etcd4"]) == voters("etcd1", "etcd2", "etcd4")
    assert_nothing_to_do(project)


def test_all_go_back_to_a_snapshot_of_one(project: ClusterProject, hosts: dict[str, Host]) -> None:
    """There is no control plane yet: etcd's hosts alone have a part in it."""
    etcd1 = hosts["etcd1"]
    etcd1.run(f"{ETCDCTL} put was there && {ETCDCTL} snapshot save /root/kept.db", check=True)
    restore = fetched(project, etcd1, "/root/kept.db")
    etcd1.run(f"{ETCDCTL} put is lost && rm /root/kept.db", check=True)
    for name in ("etcd1", "etcd2", "etcd4"):
        hosts[name].run("systemctl stop etcd && rm -rf /var/lib/etcd/member", check=True)
    project.consist_of("etcd1", "etcd2", "etcd4", "cp1", "w1", lostNodes=[], etcd=ETCD | {"restore": restore})
    project.apply(*ETCD_ALONE, "--target", "demo-restore/*", *ALLOW, timeout=400)
    assert members(hosts["etcd4"]) == voters("etcd1", "etcd2", "etcd4")
    assert hosts["etcd4"].run(f"{ETCDCTL} get --keys-only ''  --prefix", check=True).stdout.split() == ["was"]
    assert_nothing_to_do(project)


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, hosts: dict[str, Host], before: Before
) -> None:
    project.destroy(timeout=300)
    before.assert_again([hosts[name] for name in ("etcd1", "etcd4")])
