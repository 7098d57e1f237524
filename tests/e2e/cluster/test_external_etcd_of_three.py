"""Three members of etcd on hosts of their own: they come, fail, and go; each test goes on from one before."""

from __future__ import annotations

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.everything import Before
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.cluster.restoring import ALLOW, fetched, marked, marks
from tests.e2e.cluster.running import Applying
from tests.e2e.cluster.test_external_etcd import ETCD, KUBERNETES, members
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
VOTERS = [[name, "started", "false"] for name in ("etcd1", "etcd2", "etcd3")]
BACKUP = {"schedule": "*-*-* 03:00:00", "directory": "/var/backups/etcd", "keep": 2}


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    roles = {"etcd1": "etcd", "etcd2": "etcd", "etcd3": "etcd", "cp1": "control-plane"}
    return new_cluster(roles, etcd=ETCD | {"backup": BACKUP}, kubernetes=KUBERNETES)


@pytest.fixture(scope="module")
def before(hosts: dict[str, Host]) -> Before:
    return Before(hosts.values())


def servers(host: Host) -> str:
    """Where the API server that runs looks for etcd."""
    return host.run(
        "tr '\\0' '\\n' </proc/$(pgrep -xo kube-apiserver)/cmdline | sed -n s/^--etcd-servers=//p", check=True
    ).stdout.strip()


def urls(hosts: dict[str, Host], *names: str) -> str:
    return ",".join(f"https://{hosts[name].address}:2379" for name in names)


def test_three_members_come_up(project: ClusterProject, hosts: dict[str, Host], before: Before) -> None:
    project.apply(timeout=600)
    project.await_ready("cp1")
    project.assert_empty_plan()
    assert members(hosts["etcd2"]) == VOTERS
    assert servers(hosts["cp1"]) == urls(hosts, "etcd1", "etcd2", "etcd3")


def test_the_api_serves_while_one_is_off_and_its_drift_is_named(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    hosts["etcd1"].run("systemctl stop etcd", check=True)
    project.kubectl("create configmap written --from-literal=while=off", timeout=60)
    report = project.run("drift")
    assert report.returncode == 2, report.stderr
    assert "demo-etcd/member/member@etcd1" in report.stdout

    # without another one there would be no quorum
    remaining = {name: member for name, member in project.members.items() if name != "etcd3"}
    everybody = dict(project.members)
    project.describe({name: member for name, member in remaining.items() if name != "etcd2"})
    code, text = project.plan_code("--allow-destroy", "etcd*")
    assert code == 1, text
    assert "members of the etcd of cluster demo would work (not working: etcd1)" in text

    project.describe(everybody)
    project.apply(timeout=300)
    project.assert_empty_plan()
    assert members(hosts["etcd1"]) == VOTERS


def test_a_member_whose_data_is_lost_joins_anew(project: ClusterProject, hosts: dict[str, Host]) -> None:
    hosts["etcd2"].run("rm -rf /var/lib/etcd/member && pkill -KILL -x etcd; sleep 7", check=True)
    code, text = project.plan_code()
    assert code == 2, text
    assert "# demo-etcd/member/member@etcd2 will be updated in-place" in text
    project.apply(timeout=300)
    project.assert_empty_plan()
    assert members(hosts["etcd2"]) == VOTERS


def test_all_members_go_back_to_one_snapshot(project: ClusterProject, hosts: dict[str, Host]) -> None:
    marked(project, "before")
    hosts["etcd2"].run("systemctl start kubexms-etcd-snapshot", check=True, timeout=120)
    restore = fetched(project, hosts["etcd2"], "/var/backups/etcd/*.db")
    marked(project, "after")
    # no quorum, and so no API any more
    for name in ("etcd1", "etcd3"):
        hosts[name].run("rm -rf /var/lib/etcd/member; pkill -KILL -x etcd", check=True)
    project.describe(project.members, etcd=project.spec["etcd"] | {"restore": restore})
    code, text = project.plan_code(*ALLOW)
    assert code == 2, text
    project.apply(*ALLOW, timeout=600)
    assert marks(project) == {"before"}
    project.await_ready("cp1")
    # the restore stays in the document: members that come later are not asked to go back
    project.assert_empty_plan()
    assert members(hosts["etcd3"]) == VOTERS
    hosts["etcd2"].run("rm -r /var/backups/etcd", check=True)


def test_a_member_leaves_with_its_host(
    project: ClusterProject, hosts: dict[str, Host], before: Before
) -> None:
    assert hosts["etcd3"].run("systemctl start kubexms-etcd-snapshot", timeout=120).returncode == 0
    assert hosts["etcd3"].run("ls /var/backups/etcd | wc -l").stdout == "1\n"
    hosts["etcd3"].run("rm -r /var/backups/etcd", check=True)
    project.describe({name: project.members[name] for name in ("etcd1", "cp1")})
    refused, text = project.plan_code()
    assert refused == 2, text
    assert "refused: pass --allow-destroy etcd2" in text
    project.apply("--allow-destroy", "etcd*", timeout=400)
    project.await_ready("cp1")
    project.assert_empty_plan()
    assert members(hosts["etcd1"]) == VOTERS[:1]
    assert servers(hosts["cp1"]) == urls(hosts, "etcd1")
    before.assert_again([hosts["etcd2"], hosts["etcd3"]])


def test_members_come_one_at_a_time_also_when_the_controller_is_killed(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    project.consist_of("etcd1", "etcd2", "etcd3", "cp1")
    with Applying(project) as running:
        assert running.until("apply_start", "demo-etcd/member/member@etcd2"), running.said()
        hosts["etcd2"].run(
            "n=0; until [ -e /var/lib/kubexms/etcd/unfinished ] || [ $n -gt 300 ]; "
            "do n=$((n+1)); sleep 0.1; done",
            check=True,
            timeout=60,
        )
        running.kill()
    code, text = project.plan_code()
    assert code == 2, text
    project.apply(timeout=400)
    project.await_ready("cp1")
    project.assert_empty_plan()
    assert members(hosts["etcd3"]) == VOTERS
    assert marks(project) == {"before"}


def test_what_is_destroyed_leaves_nothing(
    project: ClusterProject, hosts: dict[str, Host], before: Before
) -> None:
    project.destroy(timeout=400)
    before.assert_again(hosts.values())
