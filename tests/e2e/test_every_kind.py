"""Every kind on a real host: apply, an empty plan, drift found and repaired, and destroy leaves no trace."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kubexms.step.registry import BUILT_IN
from kubexms.step.shell import quote
from tests.e2e.projects import ProjectDirectory
from tests.e2e.testbed import Fleet, Host
from tests.e2e.traces import written

UNIT = "[Service]\nExecStart=/bin/sleep infinity\n[Install]\nWantedBy=multi-user.target\n"
DUMP = "[Service]\nType=oneshot\nExecStart=/bin/cp /etc/hostname /srv/dumps/dump-new\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ6Y5l2mV8l0JrGmq2ZbqkG1nKq3wK9w9bq0yQh3Zx1T somebody@example"


@dataclass(frozen=True)
class Case:
    """Steps of which the last is about the kind, what makes them drift, and what the host holds before."""

    steps: tuple[dict[str, Any], ...]
    breaks: str = ""
    """Empty: there is nothing that could drift."""
    before: str = ":"
    leaves: tuple[str, ...] = ()
    """Paths below which destroy may leave traces (a package manager's own records)."""


def step(kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": "it", "kind": kind, **fields}


CASES: dict[str, Case] = {
    "file": Case(
        (step("file", path="/etc/kt/f i'le", content="one\n", mode="0640"),),
        'echo no >"/etc/kt/f i\'le"',
        "mkdir /etc/kt",
    ),
    "file-existing": Case((step("file", path="/etc/issue", content="ours\n"),), "rm /etc/issue"),
    "file-absent": Case((step("file", path="/etc/issue.net", state="absent"),), "echo back >/etc/issue.net"),
    "directory": Case((step("directory", path="/srv/a/b/c", mode="0750"),), "chmod 0700 /srv/a/b/c"),
    "symlink": Case(
        (step("symlink", path="/srv/link", target="/etc/hosts"),), "ln -sfn /etc/passwd /srv/link"
    ),
    "directory-existing": Case(
        (step("directory", path="/srv/old", mode="0755", owner="ops"),),
        "chmod 0700 /srv/old",
        "mkdir -m 0711 /srv/old",
    ),
    "symlink-existing": Case(
        (step("symlink", path="/srv/oldlink", target="/etc/hosts"),),
        "rm /srv/oldlink",
        "ln -s /etc/passwd /srv/oldlink",
    ),
    "line": Case(
        (step("line", path="/etc/profile", line="export KUBEXMS=1"),), "sed -i /KUBEXMS/d /etc/profile"
    ),
    "block": Case(
        (step("block", path="/etc/profile", block="a=1\nb=2\n"),), "sed -i s/^a=1/a=2/ /etc/profile"
    ),
    "hostsEntry": Case(
        (step("hostsEntry", ip="192.0.2.1", names=["api", "api.example"]),), "sed -i /192.0.2.1/d /etc/hosts"
    ),
    "authorizedKey": Case(
        (step("authorizedKey", user="ops", key=KEY),), "sed -i /somebody@example/d ~ops/.ssh/authorized_keys"
    ),
    "user": Case(
        (step("user", user="worker", shell="/bin/sh", createHome=True),), "usermod -s /bin/false worker"
    ),
    "group": Case((step("group", group="workers", gid=4711),), "groupmod -g 4712 workers"),
    "user-existing": Case(
        (step("user", user="ops", comment="managed", groups=["games"]),), "usermod -c else ops"
    ),
    "group-existing": Case((step("group", group="games", members=["ops"]),), "gpasswd -d ops games"),
    "download-existing": Case(
        (
            step(
                "download",
                source="blob.bin",
                path="/srv/oldblob",
                sha256="9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a",
            ),
        ),
        "rm /srv/oldblob",
        r"printf '\377\000old' >/srv/oldblob",
    ),
    "package": Case(
        (step("package", packages=["hello", "tree"]),),
        "apt-get -qq remove -y tree",
        leaves=("var/lib/dpkg", "var/lib/apt", "var/cache", "usr/share/info"),
    ),
    "systemdUnit": Case(
        (step("systemdUnit", unit="kt.service", content=UNIT),), "echo '# x' >>/etc/systemd/system/kt.service"
    ),
    "service": Case(
        (
            {"name": "unit", "kind": "systemdUnit", "unit": "ktrun.service", "content": UNIT},
            step("service", unit="ktrun.service", enabled=True, running=True, restartOn=["unit"]),
        ),
        "systemctl stop ktrun.service",
    ),
    "service-existing": Case(
        (step("service", unit="ktold.service", enabled=False, running=False),),
        "systemctl start ktold.service",
        f"printf {quote(UNIT)} >/etc/systemd/system/ktold.service; systemctl enable -q --now ktold.service",
    ),
    "recentFile": Case(
        (
            {"name": "unit", "kind": "systemdUnit", "unit": "ktdump.service", "content": DUMP},
            step("recentFile", directory="/srv/dumps", names="dump-*", schedule="daily", unit="ktdump"),
        ),
        "touch -d '2020-01-01 00:00' /srv/dumps/*",
        "mkdir /srv/dumps && touch -d '2020-01-01 00:00' /srv/dumps/dump-old",
        leaves=("srv/dumps",),
    ),
    "sysctl": Case(
        (step("sysctl", key="net.ipv4.ip_forward", value="1"),), "sysctl -qw net.ipv4.ip_forward=0"
    ),
    "kernelModule": Case((step("kernelModule", module="overlay"),), ""),
    "swap": Case(
        (step("swap", state="off"),),
        "sed -i 's,^#.*/swapfile,/swapfile,' /etc/fstab",
        "echo '/swapfile none swap sw 0 0' >>/etc/fstab",
    ),
    "mount": Case(
        (
            step(
                "mount",
                path="/srv/scratch",
                src="tmpfs",
                fstype="tmpfs",
                opts="size=1m,mode=0755",
                state="mounted",
            ),
        ),
        "umount /srv/scratch",
    ),
    "hostname": Case((step("hostname", hostname="renamed"),), "hostname other"),
    "timezone": Case(
        (step("timezone", timezone="Europe/Berlin"),), "ln -sfn /usr/share/zoneinfo/UTC /etc/localtime"
    ),
    "download": Case(
        (
            step(
                "download",
                source="blob.bin",
                path="/opt/blob",
                sha256="9f64a747e1b97f131fabb6b447296c9b6f0201e79fb3c5356e6c77e89b6a806a",
            ),
        ),
        "echo x >>/opt/blob",
    ),
    "archive": Case((step("archive", source="tree.tar.gz", dest="/opt/tree"),), "echo x >/opt/tree/a"),
    "command": Case(
        (step("command", run="touch /opt/made", creates="/opt/made", undo="rm /opt/made"),), "rm /opt/made"
    ),
    "assert": Case((step("assert", check="test -e /etc/passwd", message="no passwd"),)),
    "wait": Case((step("wait", tcp={"host": "127.0.0.1", "port": 22}),)),
}
APART = {
    "reboot": "it has a host and a test of its own",
    "certificateAuthority": "it is about several hosts, and has tests of its own",
    "issuedCertificate": "it is about several hosts, and has tests of its own",
    "keyPair": "it is about several hosts, and has tests of its own",
    "kubeadmConfig": "it needs a cluster",
    "apiServerNames": "it needs a cluster",
    "encryptionKeys": "it only looks, and needs a cluster",
    "storedObjects": "it needs a cluster",
    "retiredNames": "it needs a cluster",
    "kubeadmNode": "it needs a cluster",
    "containerdImage": "it needs containerd, and has tests of its own",
    "controlPlaneManifest": "it needs a cluster",
    "certificate": "it needs a cluster",
    "etcdMember": "it is about several hosts, and has tests of its own",
    "etcdRestore": "it needs a cluster",
    "helmRelease": "it needs a cluster",
    "kubeconfig": "it needs a cluster",
    "kubeletConfig": "it needs a cluster",
    "kubeletNode": "it needs a cluster",
    "manifest": "it needs a cluster",
    "node": "it needs a cluster",
    "nodeEndpoint": "it needs a cluster",
    "podNetwork": "it needs a cluster",
    "publishedEndpoint": "it needs a cluster",
}


def test_every_kind_has_a_case() -> None:
    assert {name.partition("-")[0] for name in CASES} | set(APART) == set(BUILT_IN)


@pytest.fixture(scope="module")
def host(fleet: Fleet) -> Host:
    return fleet.hosts[0]


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet, host: Host) -> ProjectDirectory:
    assets(tmp_path)
    return ProjectDirectory(tmp_path, fleet, [host])


def assets(directory: Path) -> None:
    """The controller's files that cases name."""
    (directory / "blob.bin").write_bytes(bytes([1, 2, 3, 4]))
    with tarfile.open(directory / "tree.tar.gz", "w:gz") as archive:
        for name in ("a", "sub/b"):
            entry = tarfile.TarInfo(name)
            entry.size = 5
            archive.addfile(entry, io.BytesIO(b"hello"))


def facts(host: Host) -> str:
    """What a file tree does not tell."""
    return host.run(
        "hostname; systemctl list-units --no-legend --plain --all --type=service"
        " | awk '/kt/ {print $1, $2, $4}';"
        " systemctl is-enabled ktold.service 2>/dev/null;"
        " sysctl -n net.ipv4.ip_forward; getent passwd | sort; getent group | sort;"
        " dpkg-query -W -f '${db:Status-Abbrev} ${Package}\\n' | grep '^i' | sort;"
        " awk '{print $1, $2}' /proc/mounts | sort"
    ).stdout


@contextmanager
def only_looking(host: Host) -> Iterator[None]:
    """What is done meanwhile writes nothing on the host, in memory neither."""
    before = host.upper_listing(), host.scratch_listing()
    yield
    assert (host.upper_listing(), host.scratch_listing()) == before, "a plan wrote to the host"


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_kind(project: ProjectDirectory, host: Host, name: str) -> None:
    """Alone, so that no other kind makes up for what it leaves; `test_every_kind_at_once.py` has them all."""
    case = CASES[name]
    assert host.run(case.before).returncode == 0
    before, facts_before = written(host, case.leaves), facts(host)
    project.pipeline(*case.steps)
    with only_looking(host):
        code, text = project.plan_code()
    assert code in (0, 2), text

    project.apply()
    with only_looking(host):
        project.assert_empty_plan()
    if case.breaks:
        assert host.run(case.breaks).returncode == 0
        with only_looking(host):
            drift = project.run("drift")
        assert drift.returncode == 2, drift.stdout + drift.stderr
        assert f"m/t/it@{host.name}" in drift.stdout
        project.apply()
        project.assert_empty_plan()
    project.destroy()
    assert written(host, case.leaves) == before
    assert facts(host) == facts_before
