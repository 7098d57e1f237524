"""Snapshots of etcd, and the way back to one after its data is gone: a control plane and a worker."""

from __future__ import annotations

import subprocess

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import TESTBED, ClusterProject
from tests.e2e.cluster.restoring import ALLOW, fetched, marked, marks, of_the_file
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
DIRECTORY = "/var/backups/etcd"
BACKUP = {"schedule": "*-*-* 03:00:00", "directory": DIRECTORY, "keep": 2}


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    roles = {"cp1": "control-plane", "w1": "worker"}
    made = new_cluster(roles, etcd=TESTBED["etcd"] | {"backup": BACKUP})
    made.apply(timeout=700)
    made.await_ready("cp1", "w1")
    made.assert_empty_plan()
    return made


def snapshot(host: Host) -> subprocess.CompletedProcess[str]:
    """Take one; names hold the second, so in another one than the last."""
    host.run("now=$(date +%s); while [ $(date +%s) = $now ]; do :; done", check=True)
    return host.run("systemctl start kubexms-etcd-snapshot.service", timeout=120)


def snapshots(host: Host) -> list[str]:
    return host.run(f"ls {DIRECTORY}", check=True).stdout.split()


def test_snapshots_are_whole_and_old_ones_go(project: ClusterProject, hosts: dict[str, Host]) -> None:
    cp1 = hosts["cp1"]
    cp1.run(f"mkdir -p -m 0700 {DIRECTORY} && touch {DIRECTORY}/mine.db", check=True)
    taken: list[str] = []
    for _ in range(3):
        done = snapshot(cp1)
        assert done.returncode == 0, cp1.run("journalctl -u kubexms-etcd-snapshot --no-pager").stdout
        taken.append(max(set(snapshots(cp1)) - {"mine.db"}))
    assert snapshots(cp1) == [*taken[1:], "mine.db"]
    assert cp1.run(f"stat -c %a {DIRECTORY}/{taken[-1]}").stdout == "600\n"
    said = cp1.run("journalctl -u kubexms-etcd-snapshot --no-pager").stdout
    assert f"removed {DIRECTORY}/{taken[0]}" in said
    assert "kubexms-etcd-snapshot.timer" in cp1.run("systemctl list-timers --no-pager").stdout
    project.assert_empty_plan()


def test_a_snapshot_that_fails_removes_nothing_and_is_drift(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    cp1 = hosts["cp1"]
    before = snapshots(cp1)
    cp1.run(
        f"mount -t tmpfs -o size=64k none {DIRECTORY} && touch {DIRECTORY}/etcd-20200101T000000Z.db",
        check=True,
    )
    try:
        assert snapshot(cp1).returncode != 0
        assert snapshots(cp1) == ["etcd-20200101T000000Z.db"]
        assert cp1.run(f"ls -A {DIRECTORY}").stdout.split() == ["etcd-20200101T000000Z.db"]
        drift = project.run("drift").stdout
        assert "demo-snapshots/last/succeeded@cp1" in drift
        assert "~ failed = false -> true" in drift
        done = project.run("apply", "--auto-approve")
        assert done.returncode == 1, done.stdout
        assert "no space left on device" in done.stdout + done.stderr
    finally:
        cp1.run(f"umount {DIRECTORY}", check=True)
    assert snapshots(cp1) == before
    assert "~ failed = true -> false" in project.plan_code()[1]
    project.apply()
    assert len(set(snapshots(cp1)) - set(before)) == 1
    project.assert_empty_plan()


def test_snapshots_that_are_no_longer_taken_are_drift(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    cp1 = hosts["cp1"]
    # somebody stops the timer, and days go by
    cp1.run(
        f"systemctl disable --now kubexms-etcd-snapshot.timer; touch -d '75 hours ago' {DIRECTORY}/etcd-*",
        check=True,
    )
    before = snapshots(cp1)
    drift = project.run("drift").stdout
    assert "demo-backup/snapshots/running@cp1" in drift
    assert "demo-snapshots/last/recent@cp1" in drift
    newest = max(set(before) - {"mine.db"})
    at = cp1.run(f"date -u -r {DIRECTORY}/{newest} '+%Y-%m-%d %H:%M UTC'", check=True).stdout.strip()
    assert f'~ newest = "recent" -> "{newest} of {at}; another one was due at' in drift
    project.apply()
    assert len(set(snapshots(cp1)) - set(before)) == 1
    project.assert_empty_plan()


def test_a_schedule_that_systemd_does_not_understand_is_refused(project: ClusterProject) -> None:
    project.describe(project.members, etcd=TESTBED["etcd"] | {"backup": BACKUP | {"schedule": "every day"}})
    code, text = project.plan_code()
    assert code == 1
    assert "systemd does not understand etcd.backup.schedule, 'every day'" in text
    project.describe(project.members, etcd=TESTBED["etcd"] | {"backup": BACKUP})


def test_what_was_there_comes_back_after_the_data_is_gone(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    cp1 = hosts["cp1"]
    address = project.serve(2)
    marked(project, "before")
    assert snapshot(cp1).returncode == 0
    newest = f"{DIRECTORY}/{max(set(snapshots(cp1)) - {'mine.db'})}"
    restore = fetched(project, cp1, newest)
    marked(project, "after")
    pids = hosts["w1"].run("systemctl show -P InvocationID kubelet").stdout

    # the worst: the data of etcd is gone while it runs, and comes up empty
    cp1.run("rm -rf /var/lib/etcd/member; pkill -KILL -x etcd", check=True)
    project.describe(project.members, etcd=TESTBED["etcd"] | {"backup": BACKUP, "restore": restore})
    refused, text = project.plan_code()
    assert refused == 1
    assert "demo-restore/restore/etcd@cp1 would lose data" in text
    code, text = project.plan_code(*ALLOW)
    assert code == 2, text
    assert "# demo-restore/restore/etcd@cp1 will be updated in-place" in text
    project.apply(*ALLOW, timeout=700)

    assert marks(project) == {"before"}
    project.await_ready("cp1", "w1")
    assert hosts["w1"].run("systemctl show -P InvocationID kubelet").stdout != pids
    project.assert_empty_plan()
    pods = project.pods_of_web()
    for pod in pods:
        assert project.reached_from(pod, address, set(pods)) == set(pods)
    # the cluster is alive: controllers, the scheduler and kubelets make a new pod
    project.kubectl(f"delete pod {min(pods)}", timeout=90)
    project.kubectl("rollout status deploy/web --timeout=120s", timeout=130)
    assert min(pods) not in project.pods_of_web()

    project.describe(project.members, etcd=TESTBED["etcd"] | {"backup": BACKUP})
    code, text = project.plan_code()
    assert "demo-restore" in text
    assert "will be destroyed" not in text.replace("demo-restore/snapshot/file@cp1 will be destroyed", "")
    project.apply()
    assert marks(project) == {"before"}


def test_the_same_snapshot_again_and_a_controller_that_is_killed(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    restore = of_the_file(project)
    etcd = TESTBED["etcd"] | {"backup": BACKUP, "restore": restore}
    project.describe(project.members, etcd=etcd)
    project.apply()  # the file alone: this restore has happened
    project.assert_empty_plan()
    marked(project, "after")

    project.describe(project.members, etcd=etcd | {"restore": restore | {"attempt": 2}})
    with project.start("apply", "--auto-approve", *ALLOW) as running:
        hosts["cp1"].run(
            "n=0; until [ -e /var/lib/kubexms/kubeadm/held/etcd.yaml ] || [ $n -gt 600 ]; do "
            "n=$((n+1)); sleep 0.2; done",
            check=True,
            timeout=150,
        )
        running.kill()
        running.wait()
    code, text = project.plan_code(*ALLOW)
    assert code == 2, text
    project.apply(*ALLOW, timeout=700)
    assert marks(project) == {"before"}
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()


def test_destroy_keeps_the_snapshots_and_nothing_else(
    project: ClusterProject, hosts: dict[str, Host]
) -> None:
    project.destroy(timeout=400)
    left = hosts["cp1"].run("ls -A /var/lib/etcd /var/lib/kubexms /usr/local/sbin 2>/dev/null").stdout
    assert "before-restore" not in left
    assert "kubexms-etcd-snapshot" not in left
    assert any(name.startswith("etcd-") for name in snapshots(hosts["cp1"]))
