"""Plans and runs that the golden files show, made by hand: what users will read, one case per concern."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kubexms.plan.model import (
    HIDDEN,
    Binding,
    Change,
    HostReport,
    HostStatus,
    Plan,
    PlanDiagnostic,
    PlannedHook,
    PlanOptions,
    Reason,
    Removal,
    TextDiff,
)
from kubexms.step.contract import ActionKind, Disruption

CREATED = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def host(name: str, status: HostStatus = HostStatus.OK, error: str = "", **more: Any) -> HostReport:
    """A host that answered in one round trip."""
    rounds = 1 if status is HostStatus.OK else 0
    return HostReport(name=name, status=status, error=error, rounds=rounds, roles=("node",), **more)


def plan(*changes: Change, hosts: tuple[HostReport, ...] | None = None, **more: Any) -> Plan:
    """A plan of these changes, sorted as real ones are."""
    names = sorted({change.host for change in changes})
    return Plan(
        tool_version="0.1.0",
        created=more.pop("created", CREATED),
        project="site",
        workspace="default",
        lineage="5d2c9f3e-0000-4000-8000-000000000001",
        serial=7,
        spec_digest="0" * 64,
        hosts=tuple(host(name) for name in names) if hosts is None else hosts,
        changes=tuple(sorted(changes, key=lambda change: change.address)),
        **more,
    )


def create(address: str, kind: str, after: Mapping[str, Any], **more: Any) -> Change:
    """A new object."""
    return Change(
        address=address,
        kind=kind,
        action=ActionKind.CREATE,
        reason=more.pop("reason", Reason.NEW),
        after=dict(after),
        changed=tuple(after) + tuple(more.get("after_unknown", ())),
        binding=Binding(spec="a" * 8, observation="b" * 8),
        **more,
    )


def update(
    address: str, kind: str, before: Mapping[str, Any], after: Mapping[str, Any], **more: Any
) -> Change:
    """A change in place; what differs is found by comparing."""
    differing = tuple(name for name in {**before, **after} if before.get(name) != after.get(name))
    return Change(
        address=address,
        kind=kind,
        action=more.pop("action", ActionKind.UPDATE),
        reason=more.pop("reason", Reason.SPEC_CHANGED),
        before=dict(before),
        after=dict(after),
        changed=more.pop("changed", differing + tuple(more.get("after_unknown", ()))),
        **more,
    )


def nothing(address: str, kind: str, values: Mapping[str, Any], **more: Any) -> Change:
    """A no-op."""
    return Change(
        address=address, kind=kind, action=ActionKind.NO_OP, before=dict(values), after=dict(values), **more
    )


def _fresh() -> Plan:
    """A baseline on thirty new hosts: everything folds."""
    names = [f"n{number:02}" for number in range(1, 31)]
    changes = []
    for name in names:
        changes += [
            create(
                f"os/kernel/overlay@{name}",
                "kernelModule",
                {"loaded": True, "persistent": True},
                summary="overlay",
            ),
            create(f"os/kernel/ip-forward@{name}", "sysctl", {"value": "1"}, summary="net.ipv4.ip_forward"),
            create(
                f"runtime/containerd/package@{name}",
                "package",
                {"packages": {"containerd": "installed"}},
                summary="containerd",
            ),
            create(
                f"runtime/containerd/config@{name}",
                "file",
                {"mode": "0644", "owner": "root", "group": "root", "sha256": "9f" * 32},
                summary="/etc/containerd/config.toml",
                text={"content": TextDiff(after="version = 2\n\n[plugins]\n  # more\n")},
            ),
            create(
                f"runtime/containerd/service@{name}",
                "service",
                {"enabled": True, "running": True},
                after_unknown=("version",),
                summary="containerd",
                disruption=Disruption.RESTART,
            ),
        ]
    return plan(*changes)


def _mixed() -> Plan:
    """Every action, reason and disruption once."""
    old = "".join(f"line {number}\n" for number in range(1, 30))
    new = old.replace("line 12\n", "line twelve\nline 12b\n").replace("line 29\n", "")
    changes = [
        update(
            "os/files/motd@n1",
            "file",
            {"mode": "0644", "owner": "root", "sha256": "1" * 64},
            {"mode": "0600", "owner": "root", "sha256": "2" * 64},
            reason=Reason.DRIFT,
            summary="/etc/motd",
            text={"content": TextDiff(before=old, after=new)},
        ),
        update(
            "os/files/token@n1",
            "file",
            {"mode": "0600", "content": HIDDEN},
            {"mode": "0600", "content": HIDDEN},
            changed=("content",),
            sensitive=("content",),
            summary="/etc/token",
        ),
        update(
            "os/users/deploy@n1",
            "user",
            {"shell": "/bin/sh", "groups": ["adm", "cdrom", "dip", "docker", "plugdev", "sudo"], "uid": 1000},
            {
                "shell": "/bin/bash",
                "groups": ["adm", "cdrom", "dip", "plugdev", "wheel", "sudo"],
                "uid": 1000,
            },
            after_unknown=("home",),
            reason=Reason.INPUTS_CHANGED,
            triggered_by=("facts.distribution",),
            summary="deploy",
        ),
        update(
            "runtime/containerd/service@n1",
            "service",
            {"enabled": True, "running": True},
            {"enabled": True, "running": True},
            reason=Reason.TRIGGERED,
            triggered_by=("config", "package"),
            disruption=Disruption.RESTART,
            summary="containerd",
        ),
        update(
            "os/disks/data@n1",
            "mount",
            {"source": "/dev/sdb1", "options": {"noatime": True, "uid": "0", "errors": "panic"}},
            {"source": "/dev/sdc1", "options": {"noatime": True, "uid": "1", "discard": True}},
            action=ActionKind.REPLACE,
            disruption=Disruption.DATA_LOSS,
            summary="/data",
        ),
        Change(
            address="os/files/old@n1",
            kind="file",
            action=ActionKind.DELETE,
            reason=Reason.REMOVED_FROM_SPEC,
            before={"mode": "0644", "owner": "root"},
            changed=("mode", "owner"),
            summary="/etc/old.conf",
            text={"content": TextDiff(before="a = 1\nb = 2\n")},
        ),
        Change(
            address="os/files/gpu@n1",
            kind="kernelModule",
            action=ActionKind.FORGET,
            reason=Reason.DESELECTED,
            before={"loaded": True},
            summary="nouveau",
        ),
        Change(
            address="os/init/cluster@n1",
            kind="command",
            action=ActionKind.RUN,
            reason=Reason.INTERRUPTED,
            after={"command": "kubeadm init --config /etc/kubernetes/kubeadm.yaml"},
            changed=("command",),
            summary="kubeadm init",
            notes=("an earlier try was interrupted after 12 s: look at the host before you say yes",),
        ),
        update(
            "os/kernel/reboot@n1",
            "reboot",
            {"required": True},
            {"required": False},
            action=ActionKind.RUN,
            disruption=Disruption.REBOOT,
            reason=Reason.REINSTALLED,
            summary="when a new kernel waits",
        ),
        Change(
            address="os/checks/port@n1",
            kind="command",
            action=ActionKind.UPDATE,
            reason=Reason.NEW,
            after={"satisfied": True},
            changed=("satisfied",),
            unknown="the check did not end within 30 s",
            summary="port 6443 is free",
        ),
        nothing(
            "os/kernel/overlay@n1", "kernelModule", {"loaded": True}, previous_address="os/kernel/ovl@n1"
        ),
    ]
    drifted = update("os/kernel/limits@n1", "sysctl", {"value": "1"}, {"value": "2"}, reason=Reason.DRIFT)
    return plan(
        *changes,
        drift=(changes[0], drifted),
        hosts=(
            host("n1", guard="unavailable"),
            host("n[dead]", HostStatus.UNREACHABLE, "connection refused (192.0.2.9 port 22)"),
            host("n7", HostStatus.UNREACHABLE, "no route to host"),
            host("n8", HostStatus.UNREACHABLE, "no route to host"),
            host("n9", HostStatus.MAINTENANCE, "new disks until Friday"),
        ),
        hooks=(
            PlannedHook(
                address="runtime/containerd/hook[drain]@n1",
                phase="pre",
                run="kubectl drain {{ host.name }}\nsleep 5",
                on="hosts",
            ),
            PlannedHook(
                address="runtime/hook[notify]@controller", phase="onFailure", run="page-me", on="controller"
            ),
        ),
        removals=(Removal(host="n5", steps=12, allowed=True), Removal(host="n06", steps=1, allowed=False)),
        diagnostics=(
            PlanDiagnostic(
                severity="warning", summary="the clock of n1 is 4 s ahead", address="os/files/motd@n1"
            ),
        ),
    )


def _clean() -> Plan:
    """Nothing to do."""
    return plan(
        *(nothing(f"os/kernel/overlay@n{number}", "kernelModule", {"loaded": True}) for number in (1, 2, 3))
    )


def _refused() -> Plan:
    """A plan that holds an error."""
    return plan(
        create("os/kernel/overlay@n1", "kernelModule", {"loaded": True}, summary="overlay"),
        removals=(Removal(host="n5", steps=12, allowed=False),),
        diagnostics=(
            PlanDiagnostic(
                severity="error",
                summary="host n5 left the inventory and 12 steps on it would be destroyed",
                detail="Pass --allow-destroy n5 to plan this, or put the host back.",
            ),
        ),
    )


def _hostile() -> Plan:
    """Bytes from a host that a terminal would act on."""
    return plan(
        update(
            "os/files/motd@n1",
            "file",
            {"owner": "root\x1b[2J\x07", "title": "safe\u202egnp.exe"},
            {"owner": "root", "title": "safe\u200b"},
            summary="/etc/\x1b]0;owned\x07motd",
            text={"content": TextDiff(before="a\x1b[31mred\r\n", after="b\tc\n")},
            notes=("said \x9b2J",),
        ),
        hosts=(host("n1"), host("n2", HostStatus.UNREACHABLE, "banner: \x1b[2Jhello")),
    )


def _targeted() -> Plan:
    """Only a part was asked for."""
    return plan(
        create("os/kernel/overlay@n1", "kernelModule", {"loaded": True}, summary="overlay"),
        options=PlanOptions(targets=("os/kernel",), variables={"token": "hunter2"}),
    )


@dataclass(frozen=True, slots=True)
class Case:
    """One directory of golden files."""

    name: str
    plan: Callable[[], Plan]


CASES = (
    Case("fresh", _fresh),
    Case("mixed", _mixed),
    Case("clean", _clean),
    Case("refused", _refused),
    Case("hostile", _hostile),
    Case("targeted", _targeted),
)
