"""Bad targets and bad luck: each a clear error, nothing half done, and the rest goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kubexms.step.shell import quote
from tests.e2e.conftest import FreshHost
from tests.e2e.projects import ProjectDirectory, file
from tests.e2e.testbed import Fleet


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet) -> ProjectDirectory:
    return ProjectDirectory(tmp_path, fleet, [fleet.hosts[0]])


def failure(project: ProjectDirectory, *, sudo_password: str = "") -> str:
    """What a failing apply says."""
    done = project.run("apply", "--auto-approve", SUDO_PASSWORD=sudo_password)
    assert done.returncode == 1, done.stdout + done.stderr
    text = done.stdout + done.stderr
    assert "Traceback" not in text
    assert "mistake in kubexms" not in text
    return text


def test_data_that_a_removal_takes_needs_a_word(project: ProjectDirectory) -> None:
    """Also where a step becomes about another directory; `destroy` is word enough."""
    host, data = project.hosts[0], {"name": "data", "kind": "directory", "path": "/srv/a", "force": True}
    user = {"name": "user", "kind": "user", "user": "kt", "createHome": True, "removeHome": True}
    project.pipeline(data, user)
    project.apply()
    host.run("touch /srv/a/file /home/kt/file", check=True)
    project.pipeline(data | {"path": "/srv/b"})
    text = failure(project)
    assert f"m/t/data@{host.name} would lose data" in text
    assert f"m/t/user@{host.name} would lose data" in text
    assert host.run("ls /srv/a /home/kt").stdout.count("file") == 2
    project.apply("--allow-destroy", "m/t/data", "--allow-destroy", f"@{host.name}")
    assert host.run("ls -d /srv/a /srv/b /home/kt 2>/dev/null").stdout == "/srv/b\n"
    host.run("touch /srv/b/file", check=True)
    project.destroy()
    assert host.run("ls -A /srv").stdout == "repo\n"


def test_a_full_disk_leaves_the_old_bytes(project: ProjectDirectory) -> None:
    host = project.hosts[0]
    host.run(
        "mkdir -p /srv/full && mount -t tmpfs -o size=64k tmpfs /srv/full && echo old >/srv/full/a",
        check=True,
    )
    try:
        project.pipeline(file("big", "/srv/full/a", "x" * 200_000))
        assert "KiB left" in failure(project)
        assert host.read("/srv/full/a") == "old\n"
        assert host.run("ls -A /srv/full").stdout == "a\n"
    finally:
        host.run("umount /srv/full && rmdir /srv/full", check=True)


def test_a_read_only_target_is_said(project: ProjectDirectory) -> None:
    host = project.hosts[0]
    host.run("mkdir -p /srv/ro && mount -t tmpfs -o ro tmpfs /srv/ro", check=True)
    try:
        project.pipeline(file("a", "/srv/ro/a", "x"), file("b", "/etc/kubexms-b", "x", dependsOn=[]))
        assert "Read-only file system" in failure(project)
    finally:
        host.run("umount /srv/ro && rmdir /srv/ro", check=True)
        host.run("rm -f /etc/kubexms-b")


@pytest.mark.parametrize("how", ["full", "ro"])
def test_a_host_that_kubexms_cannot_keep_anything_on_is_not_changed(
    project: ProjectDirectory, how: str
) -> None:
    host, own = project.hosts[0], "/var/lib/kubexms"
    host.run("echo old >/etc/kubexms-own", check=True)
    mount = f"mkdir -p {own} && mount -t tmpfs -o size=64k tmpfs {own}"
    fill = f"dd if=/dev/zero of={own}/ballast 2>/dev/null; true"
    host.run(f"{mount}; {fill if how == 'full' else f'mount -o remount,ro {own}'}", check=True)
    try:
        project.pipeline(file("a", "/etc/kubexms-own", "new\n"))
        text = " ".join(failure(project).split())
        assert f"kubexms cannot write below {own} on this host; its file system has " in text
        assert "nothing was changed" in text
        assert host.read("/etc/kubexms-own") == "old\n"
    finally:
        host.run(f"umount {own}", check=True)
    project.apply()
    project.assert_empty_plan()
    project.destroy()
    assert host.read("/etc/kubexms-own") == "old\n"
    host.run("rm /etc/kubexms-own", check=True)


def test_a_flood_and_an_endless_command(project: ProjectDirectory) -> None:
    project.pipeline(
        {"name": "flood", "kind": "command", "run": "yes | head -c 30000000", "runs": "once"},
        {"name": "endless", "kind": "command", "run": "sleep 1000", "runs": "once", "timeout": 2},
    )
    text = failure(project)
    assert "2 seconds" in text
    assert len(text) < 20_000
    assert project.hosts[0].run("pgrep -f 'sleep 100[0]' || echo none").stdout == "none\n"


NAMES = ("with space", 'it\'s "quoted"', "new\nline", "back\\slash", "$HOME `id`", "-rf", "ünï")


def test_any_name_is_only_a_name(project: ProjectDirectory) -> None:
    place = "/etc/kubexms-names"
    files = [file(f"f{number}", f"{place}/{name}", f"{name}\n") for number, name in enumerate(NAMES)]
    project.pipeline({"name": "d", "kind": "directory", "path": place}, *files)
    project.apply()
    project.assert_empty_plan()
    listing = project.hosts[0].run(f"cd {place} && find . -type f -print0 | sort -z").stdout
    assert listing.split("\0") == [*sorted(f"./{name}" for name in NAMES), ""]
    for name in NAMES:
        assert project.hosts[0].run(f"cat {quote(f'{place}/{name}')}").stdout == f"{name}\n"
    project.destroy()
    assert project.hosts[0].run(f"ls {place}").returncode


def test_sudo_with_a_password_and_without_the_right(project: ProjectDirectory) -> None:
    project.pipeline(file("f", "/etc/kubexms-sudo", "x"))
    become = {"method": "sudo", "password": {"env": "SUDO_PASSWORD"}}
    project.inventory(user="opspw", become=become)
    assert "password" in failure(project, sudo_password="wrong").lower()
    done = project.run("apply", "--auto-approve", SUDO_PASSWORD="secret")
    assert done.returncode == 0, done.stdout + done.stderr
    assert project.hosts[0].read("/etc/kubexms-sudo") == "x"
    project.inventory(user="nosudo", become={"method": "sudo"})
    text = failure(project)
    assert "sudo" in text
    project.inventory(user="ops", become={"method": "sudo"})
    project.assert_empty_plan()
    project.destroy()


def test_who_is_not_root_is_told_how_to_be(project: ProjectDirectory) -> None:
    """The plan where it may not look, the apply where it may not act; and nobody waits for a lock in vain."""
    own, hidden = file("own", "/etc/kubexms-rights", "x"), file("hidden", "/root/kubexms-rights", "x")
    tree = {"name": "tree", "kind": "package", "packages": ["tree"], "dependsOn": []}
    project.pipeline(own, hidden | {"dependsOn": []}, tree)
    project.inventory(user="ops")
    advice = "It was ops, not root: with `become: {method: sudo}` in the host's connection it is root."
    plan = " ".join(project.plan_code()[1].split())
    assert (
        f"m/t/hidden@{project.hosts[0].name} could not be observed The host denied permission. {advice}"
        in plan
    )
    text = " ".join(failure(project).split())
    assert f"file failed on {project.hosts[0].name}" in text
    assert "/etc/.kubexms" in text
    assert advice in text
    assert "waiting for another package tool" not in text
    project.inventory(user="ops", become={"method": "sudo"})
    assert "not seen whole" not in project.plan_code()[1]


def test_a_changed_host_key_and_a_wrong_key_are_refused(project: ProjectDirectory, tmp_path: Path) -> None:
    project.pipeline(file("f", "/etc/kubexms-key", "x"))
    host = project.hosts[0]
    other = tmp_path / "known_hosts"
    key = project.fleet.hosts[1]
    lines = project.fleet.known_hosts.read_text().splitlines()
    theirs = next(line for line in lines if line.startswith(f"{key.address},")).split(" ", 1)[1]
    other.write_text(f"{host.address} {theirs}\n")
    project.inventory(knownHosts=str(other))
    assert "host key" in failure(project).lower()
    project.inventory(user="nobody-here", identityFiles=[])
    text = failure(project).lower()
    assert "key" in text or "authentic" in text


def test_a_host_without_bash_or_systemd(tmp_path: Path, fresh_host: FreshHost) -> None:
    host = fresh_host("busybox")
    project = ProjectDirectory(tmp_path, fresh_host.fleet, [host])
    project.pipeline(
        {"name": "d", "kind": "directory", "path": "/etc/kt", "mode": "0750"},
        file("f", "/etc/kt/f", "hello\n", mode="0600"),
        {"name": "l", "kind": "symlink", "path": "/etc/kt/l", "target": "f"},
        {
            "name": "c",
            "kind": "command",
            "run": "echo made >/etc/kt/c",
            "creates": "/etc/kt/c",
            "undo": "rm /etc/kt/c",
        },
    )
    project.apply()
    project.assert_empty_plan()
    host.run("echo vandal >/etc/kt/f")
    assert project.run("drift").returncode == 2
    project.apply()
    project.assert_empty_plan()
    project.destroy()
    assert host.run("test -e /etc/kt || echo gone").stdout == "gone\n"


def test_what_a_busybox_host_cannot_do_is_said_and_leaves_nothing(
    tmp_path: Path, fresh_host: FreshHost
) -> None:
    host = fresh_host("busybox")
    project = ProjectDirectory(tmp_path, fresh_host.fleet, [host])
    cases: dict[str, tuple[dict[str, Any], str]] = {
        "service": ({"unit": "x", "running": True}, "this host does not run systemd"),
        "package": ({"packages": ["tree"]}, "this host has neither dpkg nor rpm"),
        "group": (
            {"group": "workers"},
            "this host has neither groupadd nor addgroup",
        ),
        "user": (
            {"user": "worker"},
            "this host has neither useradd nor adduser",
        ),
    }
    project.pipeline(
        *({"name": kind, "kind": kind, "ignoreErrors": True, **fields} for kind, (fields, _) in cases.items())
    )
    done = project.run("apply", "--auto-approve")
    assert done.returncode == 0, done.stdout + done.stderr
    for _, said in cases.values():
        assert f"exit status 1: {said}" in done.stdout
    assert "ok=0  changed=0  failed=0  skipped=0  ignored=4" in done.stdout
    project.destroy()
    assert project.run("state", "list").stdout == ""
    assert host.run("ls -A /var/lib/kubexms/objects /var/lib/kubexms/steps").stdout.split() == [
        "/var/lib/kubexms/objects:",
        "/var/lib/kubexms/steps:",
    ]


def test_a_reboot_is_waited_for(tmp_path: Path, fresh_host: FreshHost) -> None:
    host = fresh_host()
    host.run("touch /run/reboot-required", check=True)
    before = host.init
    project = ProjectDirectory(tmp_path, fresh_host.fleet, [host])
    project.pipeline(
        {"name": "reboot", "kind": "reboot", "check": "test -e /run/reboot-required"},
        file("after", "/etc/kubexms-after", "x"),
    )
    code, text = project.plan_code()
    assert code == 2
    assert "reboot" in text
    project.apply(timeout=240)
    assert host.init != before
    assert host.read("/etc/kubexms-after") == "x"
    project.assert_empty_plan()
