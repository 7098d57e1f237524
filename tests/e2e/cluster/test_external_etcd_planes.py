"""Two control planes beside an etcd on a host of its own: each has its own key to it, and either may go."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.stamping import stamped
from tests.e2e.cluster.test_external_etcd import ETCD, KUBERNETES
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
KEY = "/etc/etcd/apiserver-etcd-client.key"
BACKUP = {"schedule": "*-*-* 03:00:00", "directory": "/var/backups/etcd", "keep": 2}


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    roles = {"etcd1": "etcd", "cp1": "control-plane", "cp2": "control-plane"}
    made = new_cluster(roles, etcd=ETCD | {"backup": BACKUP}, kubernetes=KUBERNETES)
    made.consist_of(*roles, endpoint={"host": "k8s.test", "address": made.machines["cp1"].address})
    return made


@pytest.fixture(scope="module")
def before(hosts: dict[str, Host]) -> Before:
    return Before([hosts["cp2"]])


def test_both_come_up_and_share_no_key(
    project: ClusterProject, hosts: dict[str, Host], before: Before
) -> None:
    project.apply(timeout=700)
    project.await_ready("cp1", "cp2")
    project.assert_empty_plan()
    keys = {hosts[name].run(f"sha256sum <{KEY}", check=True).stdout for name in ("cp1", "cp2")}
    assert len(keys) == 2
    # each serves by itself
    for name in ("cp1", "cp2"):
        assert project.kubectl(f"--server https://{hosts[name].address}:6443 get --raw /readyz") == "ok"


def test_a_snapshot_is_taken_there_before_an_upgrade(project: ClusterProject, hosts: dict[str, Host]) -> None:
    project.describe(
        project.members, kubernetes=KUBERNETES | {"version": "1.20.3"}, artifacts=str(stamped("v1.20.3"))
    )
    project.apply(timeout=900)
    project.await_ready("cp1", "cp2")
    project.assert_empty_plan()
    assert hosts["etcd1"].run("ls /var/backups/etcd | wc -l").stdout == "1\n"
    assert '"gitVersion": "v1.20.3"' in project.kubectl("get --raw /version")


def test_one_of_two_leaves(project: ClusterProject, hosts: dict[str, Host], before: Before) -> None:
    project.describe({name: project.members[name] for name in ("etcd1", "cp1")})
    project.apply("--allow-destroy", "cp2", timeout=400)
    project.await_ready("cp1")
    project.assert_empty_plan()
    before.assert_again([hosts["cp2"]])
