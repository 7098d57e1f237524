"""The testbed holds what it promises; every other test on real hosts builds on this."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import paramiko
import pytest

from tests.e2e.conftest import FreshHost
from tests.e2e.testbed import Fleet, Host, cgroups, network, registry, sshlog


def _traces(name: str) -> list[str]:
    """Whatever of a fleet can be seen on this machine."""
    found = [str(path) for path in Path("/run/netns").glob(f"kubexms-{name}*")]
    for own in cgroups.own_directories():
        found += [str(path) for path in own.glob(f"kubexms-{name}")]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if f"/runs/{name}/" in line]
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"/runs/{name}/".encode() in environ.read_bytes():
                found.append(str(environ))
        except OSError:  # gone while we looked
            continue
    return found + [str(path) for path in [registry.directory_of(name)] if path.exists()]


def test_hosts_run_systemd_and_reach_each_other(fleet: Fleet) -> None:
    assert [host.run("systemctl is-system-running").stdout for host in fleet.hosts] == ["running\n"] * 3
    assert len({host.read("/etc/machine-id") for host in fleet.hosts}) == 3
    reached = fleet.hosts[0].run("timeout 5 bash -c 'head -c4 </dev/tcp/host3/22'")
    assert reached.stdout == "SSH-"


@pytest.mark.parametrize(
    ("user", "command", "expected"),
    [
        ("root", "id -un", "root\n"),
        ("ops", "sudo -n id -un", "root\n"),
        ("opspw", "echo secret | sudo -S -p '' id -un", "root\n"),
        ("opspw", "sudo -n id -un || echo refused", "refused\n"),
        ("nosudo", "sudo -n id -un || echo refused", "refused\n"),
    ],
)
def test_logins(fleet: Fleet, user: str, command: str, expected: str) -> None:
    done = fleet.ssh(fleet.hosts[0], command, user=user)
    assert done.stdout == expected, done.stderr


def test_paramiko_from_inside_the_network(fleet: Fleet) -> None:
    host = fleet.hosts[0]
    with fleet.network(), paramiko.SSHClient() as client:
        client.load_host_keys(str(fleet.known_hosts))
        client.connect(host.address, username="ops", key_filename=str(fleet.key), look_for_keys=False)
        _, stdout, _ = client.exec_command("id -un")
        assert stdout.read() == b"ops\n"
    with fleet.network(), paramiko.SSHClient() as client:
        client.load_host_keys(str(fleet.known_hosts))
        client.connect(
            host.address, username="opspw", password="secret", look_for_keys=False, allow_agent=False
        )
        _, stdout, _ = client.exec_command("id -un")
        assert stdout.read() == b"opspw\n"


def test_connections_and_channels_are_counted(fleet: Fleet) -> None:
    host = fleet.hosts[1]
    before = host.ssh_activity()
    with fleet.network(), paramiko.SSHClient() as client:
        client.load_host_keys(str(fleet.known_hosts))
        client.connect(host.address, username="root", key_filename=str(fleet.key), look_for_keys=False)
        for _ in range(3):
            _, stdout, _ = client.exec_command("true")
            assert stdout.channel.recv_exit_status() == 0
        client.open_sftp().close()
    happened = host.ssh_activity() - before
    assert happened == sshlog.SshActivity(connections=1, accepted=1, channels=4, commands=3, subsystems=1)


def test_the_upper_listing_shows_writes_and_nothing_else(fleet: Fleet) -> None:
    host = fleet.hosts[2]
    before = host.upper_listing()
    assert fleet.ssh(host, "sudo -n cat /etc/shadow && systemctl status ssh", user="ops").returncode == 0
    assert fleet.ssh(host, "echo secret | sudo -S id; logger hello", user="opspw").returncode == 0
    assert host.upper_listing() == before
    try:
        host.run("echo text >/etc/marker; chmod 600 /etc/marker; rm /etc/motd; touch /etc/issue", check=True)
        written = {entry.path: entry for entry in set(host.upper_listing()) - set(before)}
        assert {path: entry.type for path, entry in written.items() if entry.type != "directory"} == {
            "etc/marker": "file",
            "etc/motd": "whiteout",
            "etc/issue": "file",
        }
        assert written["etc/marker"].mode == "0600"
        assert host.read("/etc/marker") == "text\n"
        assert host.read("/etc/motd") is None
    finally:
        host.run("rm -f /etc/marker; touch /etc/motd")


def test_the_machine_is_not_touched_by_a_host(fleet: Fleet) -> None:
    before = Path("/proc/sys/vm/swappiness").read_text()
    done = fleet.hosts[0].run("sysctl -qw vm.swappiness=7 net.ipv4.ip_forward=1; sysctl -n vm.swappiness")
    assert done.stdout == "7\n"
    assert Path("/proc/sys/vm/swappiness").read_text() == before
    outside = fleet.hosts[0].run("timeout 5 bash -c '</dev/tcp/192.0.2.1/80'")
    assert outside.returncode == 1, "no way out, and it says so at once"


def test_packages_come_from_the_local_repository(fresh_host: FreshHost) -> None:
    host = fresh_host()
    host.run("apt-get install -y kubexms-sample=1.0 kubexms-sampled", check=True)
    assert host.run("kubexms-sample").stdout == "kubexms-sample 1.0\n"
    host.run("apt-get install -y kubexms-sample hello jq", check=True)
    assert host.run("kubexms-sample").stdout == "kubexms-sample 1.1\n"
    host.run("systemctl start kubexms-sampled && systemctl is-active kubexms-sampled", check=True)


def test_reboot_crash_and_start_keep_the_disk(fresh_host: FreshHost) -> None:
    host = fresh_host(files={"/etc/extra": "placed\n"})
    assert host.read("/etc/extra") == "placed\n"
    host.run("echo kept >/root/kept; touch /tmp/gone")
    first = host.init
    host.reboot()
    assert host.init != first
    assert host.read("/root/kept") == "kept\n"
    assert host.run("test -e /tmp/gone").returncode == 1
    host.crash()
    assert host.init is None
    assert fresh_host.fleet.ssh(host, "true").returncode == 255
    host.start()
    host.wait_ready()
    assert fresh_host.fleet.ssh(host, "cat /root/kept").stdout == "kept\n"


def test_a_new_machine_in_the_place_of_another(fresh_host: FreshHost) -> None:
    host = fresh_host(data=["/var/lib/data"])
    fleet = fresh_host.fleet
    host.run("touch /root/gone /var/lib/data/gone && ip route add 192.0.2.0/24 dev eth0", check=True)
    identity, key = host.read("/etc/machine-id"), host.read("/etc/ssh/ssh_host_ed25519_key.pub")
    fleet.reinstall(host)
    assert host.read("/etc/machine-id") not in (identity, None, "")
    assert host.read("/etc/ssh/ssh_host_ed25519_key.pub") != key
    assert host.run("ls -A /root/gone /var/lib/data").stdout == "/var/lib/data:\n"
    assert not host.run("ip route show 192.0.2.0/24").stdout
    assert fleet.ssh(host, "hostname").stdout == f"{host.name}\n"


def test_a_light_host_has_neither_systemd_nor_bash(fresh_host: FreshHost) -> None:
    host = fresh_host("busybox")
    done = fresh_host.fleet.ssh(host, "which sh bash systemctl sudo python3")
    assert done.stdout == "/bin/sh\n"
    before = host.upper_listing()
    assert fresh_host.fleet.ssh(host, "id -un", user="ops").stdout == "ops\n"
    assert host.upper_listing() == before
    first = host.init
    host.run("echo kept >/root/kept")
    host.reboot()
    assert host.init != first
    assert host.read("/root/kept") == "kept\n"


def _exchange_seconds(fleet: Fleet, host: Host) -> float:
    started = time.monotonic()
    done = fleet.exec(["bash", "-c", f"exec 3<>/dev/tcp/{host.address}/22; head -c4 <&3"])
    assert done.stdout == "SSH-", done.stderr
    return time.monotonic() - started


def test_the_wire_can_be_slow_and_cut(fresh_host: FreshHost) -> None:
    host = fresh_host("busybox")
    fleet = fresh_host.fleet
    host.netem(delay_ms=100)
    slow = _exchange_seconds(fleet, host)
    assert slow > 0.3, "connect and banner are two round trips, less the last way"
    payload = "x" * 300_000
    echoed = fleet.exec([*fleet.ssh_argv(host), "cat"], stdin=payload)
    assert echoed.stdout == payload, "large segments cross whole"
    host.netem_clear()
    assert min(_exchange_seconds(fleet, host) for _ in range(3)) < slow
    host.disconnect()
    cut = fleet.exec(["timeout", "1", "bash", "-c", f"</dev/tcp/{host.address}/22"])
    assert cut.returncode in (1, 124)
    host.reconnect()
    _exchange_seconds(fleet, host)


def test_down_leaves_nothing() -> None:
    with Fleet() as fleet:
        systemd, light = fleet.up(1)[0], fleet.up(1, kind="busybox", data=["/var/lib/data"])[0]
        light.netem(delay_ms=1)
        systemd.run("systemd-run --quiet sleep 1000; nohup sleep 1000 >/dev/null 2>&1 &")
        assert _traces(fleet.name)
    assert _traces(fleet.name) == []
    fleet.down()


def test_two_fleets_do_not_meet(fleet: Fleet) -> None:
    with Fleet() as other:
        host = other.up(1, kind="busybox")[0]
        assert host.address == fleet.hosts[0].address
        assert network.namespace_path(other.name) != network.namespace_path(fleet.name)
        assert other.ssh(host, "cat /etc/os-release").stdout.startswith("ID=testbed-light")
        assert fleet.ssh(fleet.hosts[0], "cat /etc/os-release").stdout.startswith("PRETTY_NAME")


def test_what_a_dead_run_left_is_removed_by_the_next() -> None:
    program = (
        "import time; from tests.e2e.testbed import Fleet\n"
        "fleet = Fleet(); fleet.up(1, kind='busybox'); print(fleet.name, flush=True); time.sleep(1000)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as dying:
        assert dying.stdout is not None
        name = dying.stdout.readline().strip()
        assert _traces(name)  # now: once it is dead, any other run on this machine may remove them
        dying.send_signal(signal.SIGKILL)
    with Fleet():
        assert _traces(name) == []
