"""The examples on real hosts: as they are in the checkout, with other addresses."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.conftest import FreshHost
from tests.e2e.testbed import Fleet, Host

EXAMPLES = Path(__file__).parents[2] / "examples"


class Example:
    """A copy of an example whose ssh_config leads to hosts of the fleet."""

    def __init__(
        self, name: str, root: Path, fleet: Fleet, names: Sequence[str], hosts: Sequence[Host]
    ) -> None:
        self.fleet = fleet
        self.root = root / name
        shutil.copytree(EXAMPLES / name, self.root, ignore=shutil.ignore_patterns("state"))
        entries = [f"Host {n}\n  HostName {h.address}\n" for n, h in zip(names, hosts, strict=True)]
        common = (
            f"Host *\n  User root\n  IdentityFile {fleet.key}\n  UserKnownHostsFile {fleet.known_hosts}\n"
        )
        (self.root / "ssh_config").write_text("".join(entries) + common)

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run kubexms in the copy; returns what it printed."""
        environment = {"CI": "", "NO_COLOR": "1", "PYTHONPATH": str(EXAMPLES.parent)}
        command = [sys.executable, "-m", "kubexms", *arguments]
        done: subprocess.CompletedProcess[str] = self.fleet.exec(
            command, cwd=self.root, env=environment, timeout=240
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


def test_three_hosts(fresh_host: FreshHost, tmp_path: Path) -> None:
    hosts = [fresh_host() for _ in range(3)]
    example = Example("three-hosts", tmp_path, fresh_host.fleet, ["web1", "web2", "db1"], hosts)
    web1, _, db1 = hosts
    motd = [host.read("/etc/motd") for host in hosts]

    example.run("plan", "--detailed-exitcode", code=2)
    example.run("apply", "--auto-approve")
    assert "No changes." in example.run("plan", "--detailed-exitcode")
    assert web1.run("systemctl is-active orders-web").stdout == "active\n"
    assert "PORT=8080" in str(web1.read("/etc/orders/web.conf"))
    assert db1.read("/var/lib/orders/schema") == "schema 1\n"
    assert db1.read("/etc/orders/web.conf") is None

    started = web1.run("systemctl show -P InvocationID orders-web").stdout
    example.run("apply", "--auto-approve", "--var", "workers=4")
    assert "WORKERS=4" in str(web1.read("/etc/orders/web.conf"))
    assert web1.run("systemctl show -P InvocationID orders-web").stdout != started
    example.run("plan", "--detailed-exitcode", "--var", "workers=4")

    example.run("destroy", "--auto-approve")
    assert [host.read("/etc/motd") for host in hosts] == motd
    for host in hosts:
        left = host.run("ls -d /etc/orders /var/lib/orders /usr/local/bin/orders-web").stdout
        assert left == ""


@pytest.mark.slow
def test_node_baseline(fresh_host: FreshHost, tmp_path: Path) -> None:
    hosts = [fresh_host() for _ in range(4)]
    example = Example("node-baseline", tmp_path, fresh_host.fleet, ["n1", "n2", "n3", "n4"], hosts)

    example.run("plan", "--detailed-exitcode", code=2)
    example.run("apply", "--auto-approve")
    assert "No changes." in example.run("plan", "--detailed-exitcode")
    for host in hosts:
        assert host.run("sysctl -n net.ipv4.ip_forward").stdout == "1\n"
        assert host.run("systemctl is-active containerd chrony").stdout == "active\nactive\n"
        assert "SystemdCgroup = true" in str(host.read("/etc/containerd/config.toml"))

    hosts[2].run("sed -i s/true/false/ /etc/containerd/config.toml")
    assert "runtime/containerd/config@n3" in example.run("drift", code=2)
    assert "runtime/containerd/service@n3" in example.run("plan")
    example.run("apply", "--auto-approve")
    assert example.run("drift") == ""

    assert "n[1-4] has" in example.run("plan", "--var", "min_memory_mb=99999999", code=1)
