"""The modules `backup`, `restore`, `snapshots`: snapshots of etcd, the way back, and whether they succeed."""

from __future__ import annotations

from kubexms.builder import etcd
from kubexms.builder.plans import ClusterPlan
from kubexms.builder.runtime import PROGRAMS, program
from kubexms.builder.steps import step, task
from kubexms.builder.topology import node_address
from kubexms.spec.cluster import CONTROL_PLANE, ETCD
from kubexms.spec.cluster.etcd import EtcdBackupSpec
from kubexms.spec.pipeline import Dependency, StepSpec, TaskSpec, WaitScope

UNIT = "kubexms-etcd-snapshot"
SNAPSHOT = f"/usr/local/sbin/{UNIT}"
"""The program that takes one snapshot; upgrades run it too."""
RESTORED_FROM = "/var/backups/kubexms-etcd-restore.db"
"""Where the snapshot of a restore is put on each host of etcd."""

STACKED = ("/etc/kubernetes/pki/etcd/ca", "/etc/kubernetes/pki/etcd/healthcheck-client")
"""The authority of kubeadm's etcd, and a client: paths without their endings."""

PHASES = ("stop", "restore", "etcd", "serve")
_NAMES = "etcd-????????T??????Z.db"

_SCRIPT = """\
#!/bin/sh
# A snapshot of this host's etcd. It counts once it was read back and found whole; older ones go after that.
set -eu
umask 077
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin
ETCDCTL_API=3
export PATH ETCDCTL_API
mkdir -p DIRECTORY
# all names below are relative to the directory, so that nothing else can be meant
cd DIRECTORY
# the timer and an upgrade may want one at once
exec 9<.
flock 9
# of one that was cut off
rm -f ./.etcd-*.db.new ./.etcd-*.db.new.part
name=etcd-$(date -u +%Y%m%dT%H%M%SZ).db
new=.$name.new
trap 'rm -f "./$new" "./$new.part"' EXIT
etcdctl --endpoints https://127.0.0.1:2379 --dial-timeout 10s --command-timeout 10m \\
    --cacert AUTHORITY.crt --cert CLIENT.crt --key CLIENT.key \\
    snapshot save "./$new"
# from 3.6 on a program of its own reads snapshots
reader=etcdctl
if command -v etcdutl >/dev/null; then reader=etcdutl; fi
"$reader" snapshot status "./$new"
sync "./$new"
mv "./$new" "./$name"
sync .
echo "the snapshot is $PWD/$name"
for old in $(ls | grep -x 'etcd-[0-9]\\{8\\}T[0-9]\\{6\\}Z\\.db' | sort -r | tail -n +AFTER); do
    rm "./$old"
    echo "removed $PWD/$old"
done
"""

_SERVICE = """\
[Unit]
Description=A snapshot of etcd
ConditionPathExists=CLIENT.key

[Service]
Type=oneshot
ExecStart=SNAPSHOT
TimeoutStartSec=30min
Nice=10
"""

_TIMER = """\
[Unit]
Description=Snapshots of etcd, at set times

[Timer]
OnCalendar=SCHEDULE
Persistent=true
RandomizedDelaySec=2min

[Install]
WantedBy=timers.target
"""


def backup_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """A timer on every host with a member of etcd."""
    given = plan.spec.etcd.backup
    if given is None:
        return []
    timer = step(
        "running", "service", unit=f"{UNIT}.timer", enabled=True, running=True, restart_on=["schedule"]
    )
    role, pki = (ETCD, (etcd.CA, etcd.MEMBER)) if plan.spec.etcd.external else (CONTROL_PLANE, STACKED)
    service = _SERVICE.replace("CLIENT", pki[1]).replace("SNAPSHOT", SNAPSHOT)
    steps = [
        step(
            "script",
            "file",
            path=SNAPSHOT,
            content=script(given, pki),
            mode="0755",
            owner="root",
            group="root",
        ),
        step("service", "systemdUnit", unit=f"{UNIT}.service", content=service),
        step(
            "schedule",
            "systemdUnit",
            unit=f"{UNIT}.timer",
            content=_TIMER.replace("SCHEDULE", given.schedule),
        ),
        timer,
    ]
    return [task("snapshots", [role], steps)]


def last_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """One that has failed, or is overdue, is taken again. It is the end of a run: nothing waits for it."""
    given = plan.spec.etcd.backup
    if given is None:
        return []
    last = step("succeeded", "service", unit=f"{UNIT}.service", succeeded=True)
    recent = step(
        "recent",
        "recentFile",
        directory=given.directory,
        names=_NAMES,
        schedule=given.schedule,
        unit=f"{UNIT}.service",
    )
    return [task("last", [ETCD if plan.spec.etcd.external else CONTROL_PLANE], [last, recent])]


def script(given: EtcdBackupSpec, pki: tuple[str, str] = STACKED) -> str:
    """What takes one snapshot. The names in it hold nothing that a shell could take for something else."""
    text = _SCRIPT.replace("AUTHORITY", pki[0]).replace("CLIENT", pki[1])
    return text.replace("DIRECTORY", given.directory).replace("AFTER", str(given.keep + 1))


def schedule_checks(plan: ClusterPlan) -> list[StepSpec]:
    """Whether systemd understands when snapshots are to be taken."""
    given = plan.spec.etcd.backup
    if given is None:
        return []
    return [
        step(
            "backup-schedule",
            "assert",
            check=f"systemd-analyze calendar '{given.schedule}' >/dev/null",
            message=f"systemd does not understand etcd.backup.schedule, '{given.schedule}': "
            "`systemd-analyze calendar` says why, `man systemd.time` what it takes",
        )
    ]


def restore_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """One phase after the other, each on all hosts that have a part in it before the next."""
    given = plan.spec.etcd.restore
    if given is None:
        return []
    digest = given.sha256.removeprefix("sha256:").lower()
    snapshot = step(
        "file",
        "download",
        path=RESTORED_FROM,
        source=given.snapshot,
        sha256=digest,
        mode="0600",
        owner="root",
    )
    hosts, servers = CONTROL_PLANE, None
    members = plan.topology.control_planes
    phases = [(phase, phase, CONTROL_PLANE) for phase in PHASES]
    if plan.spec.etcd.external:
        hosts, members, servers = ETCD, plan.topology.etcd, [host.name for host in members]
        phases = [
            ("stop", "stop", CONTROL_PLANE),
            ("halt", "stop", ETCD),
            ("restore", "restore", ETCD),
            ("etcd", "etcd", ETCD),
            ("serve", "serve", CONTROL_PLANE),
        ]
    tasks = [task("snapshot", [hosts], [snapshot])]
    workers = [host.name for host in plan.topology.nodes if host not in plan.topology.control_planes]
    for name, phase, role in phases:
        restore = step(
            "etcd",
            "etcdRestore",
            phase=phase,
            snapshot=RESTORED_FROM,
            sha256=digest,
            attempt=given.attempt,
            members={host.name: node_address(host) for host in members},
            servers=servers,
            workers=workers if phase == "serve" else None,
        )
        wait = [Dependency(task=tasks[-1].name, scope=WaitScope.ALL)]
        tasks.append(task(name, [role], [restore], after=wait))
    return tasks


def client_tasks(plan: ClusterPlan) -> list[TaskSpec]:
    """etcdctl (and etcdutl, which reads snapshots from 3.6 on), from the artifacts where these have them."""
    settings = plan.spec.etcd
    if settings.external or (settings.backup is None and settings.restore is None):
        return []
    found = plan.artifacts
    names = [name for name in ("etcdctl", "etcdutl") if found is not None and found.program(name)]
    if found is None or "etcdctl" not in names:
        steps = [step("package", "package", packages=["etcd-client"])]
    else:
        steps = [program(found, name, f"{PROGRAMS}/{name}") for name in names]
    return [task("etcd-client", [CONTROL_PLANE], steps)]
