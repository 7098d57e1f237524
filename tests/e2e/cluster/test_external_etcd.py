"""etcd on hosts of its own: from bare hosts to bare hosts; each test goes on from what one before left."""

from __future__ import annotations

import datetime

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.lives import Drift, assert_becomes_a_cluster, assert_drift_is_repaired, assert_serves
from tests.e2e.cluster.pki import expire_external_etcd, served_until
from tests.e2e.cluster.projects import TESTBED, ClusterProject
from tests.e2e.cluster.restoring import ALLOW, fetched, marked, marks
from tests.e2e.testbed import Host

KUBERNETES = {"version": "1.20.2", "schedulableControlPlanes": True}
ETCD = TESTBED["etcd"] | {"type": "external"}
ETCDCTL = (
    "ETCDCTL_API=3 etcdctl --endpoints https://127.0.0.1:2379 --cacert /etc/etcd/ca.crt "
    "--cert /etc/etcd/member.crt --key /etc/etcd/member.key"
)
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    roles = {"etcd1": "etcd", "cp1": "control-plane"}
    return new_cluster(roles, etcd=ETCD, kubernetes=KUBERNETES)


@pytest.fixture(scope="module")
def machines(hosts: dict[str, Host]) -> list[Host]:
    return list(hosts.values())


@pytest.fixture(scope="module")
def before(machines: list[Host]) -> Before:
    return Before(machines)


def members(host: Host) -> list[list[str]]:
    """Name, status and whether it learns, as etcd itself tells of its members."""
    listed = host.run(f"{ETCDCTL} member list", check=True).stdout.splitlines()
    fields = [line.split(", ") for line in listed]
    return sorted([field[2], field[1], field[5]] for field in fields)


def test_bare_hosts_become_a_cluster(
    project: ClusterProject, machines: list[Host], before: Before, hosts: dict[str, Host]
) -> None:
    created = ("demo-etcd/member/member@etcd1", "demo-control-plane/member/node@cp1")
    assert_becomes_a_cluster(project, machines, created, ("cp1",))
    assert members(hosts["etcd1"]) == [["etcd1", "started", "false"]]
    assert hosts["cp1"].run("ls /etc/kubernetes/manifests").stdout.split() == [
        *("kube-apiserver.yaml", "kube-controller-manager.yaml", "kube-scheduler.yaml")
    ]
    # it is no place for the authority's key, and etcd does not run as root
    assert hosts["cp1"].run("ls /etc/etcd").stdout.split() == [
        *("apiserver-etcd-client.crt", "apiserver-etcd-client.key", "ca.crt")
    ]
    assert hosts["etcd1"].run("ps -o user= -C etcd").stdout.split() == ["etcd"]


def test_a_cluster_is_served_from_there(project: ClusterProject) -> None:
    assert_serves(project, 1, ("cp1",))


DRIFT: tuple[Drift, ...] = (
    (0, "systemctl stop etcd", "demo-etcd/member/member@etcd1"),
    (0, "sed -i s/snapshot-count=10000/snapshot-count=10/ /etc/systemd/system/etcd.service",
     "demo-etcd/member/unit@etcd1"),
    (1, "chmod 0644 /etc/etcd/apiserver-etcd-client.key", "demo-pki/etcd-client/client@cp1"),
)  # fmt: skip


def test_drift_is_named_and_repaired(project: ClusterProject, machines: list[Host]) -> None:
    assert_drift_is_repaired(project, machines, DRIFT, ("cp1",))


def test_a_flag_restarts_etcd_alone(project: ClusterProject, hosts: dict[str, Host]) -> None:
    served = hosts["cp1"].run("pgrep -x kube-apiserver", check=True).stdout
    extra = ETCD["extraArgs"] | {"quota-backend-bytes": "4294967296"}
    project.describe(project.members, etcd=ETCD | {"extraArgs": extra})
    code, text = project.plan_code()
    assert code == 2, text
    assert "+     --quota-backend-bytes=4294967296" in text
    project.apply(timeout=300)
    project.assert_empty_plan()
    assert "--quota-backend-bytes" in hosts["etcd1"].run("tr '\\0' ' ' </proc/$(pidof etcd)/cmdline").stdout
    assert hosts["cp1"].run("pgrep -x kube-apiserver", check=True).stdout == served


def test_certificates_that_end_are_renewed(project: ClusterProject, hosts: dict[str, Host]) -> None:
    kept = hosts["etcd1"].run("sha256sum </etc/etcd/ca.crt", check=True).stdout
    expire_external_etcd(hosts["etcd1"], hosts["cp1"])
    # the API server is not let in any more: what there is of it is asked anew
    hosts["etcd1"].run("systemctl restart etcd", check=True, timeout=60)
    code, text = project.plan_code()
    assert code == 2, text
    assert "demo-etcd/member/certificate@etcd1" in text
    assert "demo-pki/etcd-client/client@cp1" in text
    project.apply(timeout=400)
    project.await_ready("cp1")
    project.assert_empty_plan()
    assert served_until(hosts["etcd1"], 2379) > datetime.datetime.now(datetime.UTC) + datetime.timedelta(300)
    assert hosts["etcd1"].run("sha256sum </etc/etcd/ca.crt", check=True).stdout == kept


def test_where_etcd_is_cannot_change(project: ClusterProject) -> None:
    without = {name: member for name, member in project.members.items() if name != "etcd1"}
    project.describe(without, etcd=TESTBED["etcd"])
    code, text = project.plan_code("--allow-destroy", "etcd1")
    assert code == 1, text
    assert "made with another value of etcd.type" in text


def test_an_etcd_whose_data_is_gone_does_not_begin_anew(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    etcd1 = hosts["etcd1"]
    project.describe({"etcd1": (etcd1, "etcd")} | project.members, etcd=ETCD)
    project.apply(timeout=300)
    marked(project, "before")
    etcd1.run(f"{ETCDCTL} snapshot save /root/kept.db", check=True)
    marked(project, "after")
    etcd1.run("rm -rf /var/lib/etcd/member; pkill -KILL -x etcd; sleep 7", check=True)
    assert etcd1.run("pgrep -x etcd").returncode == 1, "it has begun empty"
    code, text = project.plan_code()
    assert code == 2, text
    assert "there is no data in /var/lib/etcd" in text
    refused = project.run("apply", "--auto-approve", timeout=300)
    assert refused.returncode == 1
    assert "an empty etcd is never begun" in refused.stdout + refused.stderr


def test_it_comes_back_from_a_snapshot(project: ClusterProject, hosts: dict[str, Host]) -> None:
    restore = fetched(project, hosts["etcd1"], "/root/kept.db")
    hosts["etcd1"].run("rm /root/kept.db", check=True)
    project.describe(project.members, etcd=ETCD | {"restore": restore})
    refused, text = project.plan_code()
    assert refused == 1, text
    assert "demo-restore/restore/etcd@etcd1 would lose data" in text
    code, text = project.plan_code(*ALLOW)
    assert code == 2, text
    for address in ("stop/etcd@cp1", "halt/etcd@etcd1", "restore/etcd@etcd1", "serve/etcd@cp1"):
        assert f"# demo-restore/{address} will be updated in-place" in text
    assert "etcd has no data, and what was written since the snapshot is lost" in text
    project.apply(*ALLOW, timeout=500)
    assert marks(project) == {"before"}
    project.await_ready("cp1")
    project.assert_empty_plan()
    assert members(hosts["etcd1"]) == [["etcd1", "started", "false"]]
    assert_serves(project, 1, ("cp1",))


def test_the_same_snapshot_again_and_a_controller_that_is_killed(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    etcd1 = hosts["etcd1"]
    marked(project, "after")
    restore = project.spec["etcd"]["restore"] | {"attempt": 2}
    project.describe(project.members, etcd=ETCD | {"restore": restore})
    code, text = project.plan_code(*ALLOW)
    assert code == 2, text
    assert "what etcd has is renamed to /var/lib/etcd/before-restore-" in text
    with project.start("apply", "--auto-approve", *ALLOW) as running:
        etcd1.run(
            "n=0; until ls -d /var/lib/etcd/before-restore-*-2 2>/dev/null || [ $n -gt 600 ]; do "
            "n=$((n+1)); sleep 0.2; done",
            check=True,
            timeout=150,
        )
        running.kill()
        running.wait()
    # a host that starts anew in the middle begins nothing by itself
    assert etcd1.run("systemctl is-enabled etcd").stdout == "disabled\n"
    code, text = project.plan_code(*ALLOW)
    assert code == 2, text
    project.apply(*ALLOW, timeout=500)
    assert marks(project) == {"before"}
    project.await_ready("cp1")
    project.assert_empty_plan()
    assert etcd1.run("systemctl is-enabled etcd").stdout == "enabled\n"
    assert etcd1.run("ls -d /var/lib/etcd/before-restore-*-2/wal").returncode == 0


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, machines: list[Host], before: Before
) -> None:
    project.destroy(timeout=400)
    before.assert_again(machines)
