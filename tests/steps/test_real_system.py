"""Kinds of the system, for real, on a machine of their own: apply, converge, repeat, undo."""

from __future__ import annotations

import shutil

import pytest

from kubexms.step.kinds._kubeadm.aftermath import PUT_BACK, REMEMBER
from kubexms.step.kinds._kubeadm.scripts import PID
from kubexms.step.observation import Observation
from tests.steps.machine import Machine
from tests.steps.on_machine import REGISTRY, Step
from tests.steps.sandbox import Subject


class TestSysctl:
    def test_both_sides_and_back(self, host: Machine) -> None:
        step = Step(host, "sysctl", key="net.ipv4.ip_forward", value="1")
        prior = step.apply()
        assert host.sh("cat /proc/sys/net/ipv4/ip_forward") == "1\n"
        assert host.sh("cat /etc/sysctl.d/90-kubexms-net.ipv4.ip_forward.conf") == "net.ipv4.ip_forward = 1\n"
        step.subject.undo(step.spec, prior)
        assert step.observe() == prior
        assert host.sh("ls /etc/sysctl.d; cat /proc/sys/net/ipv4/ip_forward").endswith("\n0\n")

    def test_at_least_leaves_more_alone(self, host: Machine) -> None:
        host.sh("echo 999999 >/proc/sys/vm/max_map_count")
        step = Step(host, "sysctl", key="vm.max_map_count", value="262144", atLeast=True)
        assert step.subject.request(step.spec).action == "no-op"
        host.sh("echo 1 >/proc/sys/vm/max_map_count")
        step.there_and_back()

    def test_a_later_file_that_wins_is_named(self, host: Machine) -> None:
        host.sh("echo 'net/ipv4/ip_forward=0' >/etc/sysctl.d/zz.conf")
        step = Step(host, "sysctl", key="net.ipv4.ip_forward", value="1")
        assert step.observe().attributes["overriddenBy"] == "/etc/sysctl.d/zz.conf"
        assert "/etc/sysctl.d/zz.conf sets net.ipv4.ip_forward" in step.fails()

    def test_a_masked_file_does_not_count(self, host: Machine) -> None:
        host.sh(
            "mkdir -p /usr/lib/sysctl.d; echo 'net.ipv4.ip_forward = 1' >/usr/lib/sysctl.d/50-x.conf;"
            "ln -s /dev/null /etc/sysctl.d/50-x.conf"
        )
        step = Step(host, "sysctl", key="net.ipv4.ip_forward", value="1")
        assert step.observe().attributes["persistent"] is None

    def test_a_missing_key(self, host: Machine) -> None:
        step = Step(host, "sysctl", key="net.bridge.bridge-nf-call-iptables", value="1")
        assert step.observe().presence == "absent"
        assert "the kernel has no net.bridge.bridge-nf-call-iptables" in step.fails()
        Step(host, "sysctl", key="net.bridge.x", value="1", ignoreMissing=True).there_and_back()


class TestKernelModule:
    def test_loaded_now_and_at_boot_and_back(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        step = Step(host, "kernelModule", module="br-netfilter", params={"a": "1"})
        prior = step.apply()
        assert host.sh("ls /sys/module; cat /etc/modules-load.d/kubexms-*") == "br_netfilter\nbr_netfilter\n"
        assert host.sh("cat /etc/modprobe.d/kubexms-*") == "options br_netfilter a=1\n"
        step.subject.undo(step.spec, prior)
        assert step.observe() == prior
        assert host.sh("ls /sys/module") == ""

    def test_built_in_needs_nothing(self, host: Machine) -> None:
        host.sh('echo kernel/fs/over-lay.ko >"/lib/modules/$(uname -r)/modules.builtin"')
        step = Step(host, "kernelModule", module="over_lay")
        assert step.subject.request(step.spec).action == "no-op"

    def test_absent_and_back(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh("mkdir /sys/module/floppy; echo floppy >/etc/modules-load.d/kubexms-floppy.conf")
        Step(host, "kernelModule", module="floppy", state="absent").there_and_back()

    def test_unknown_module(self, host_with_stand_ins: Machine) -> None:
        assert "not found" in Step(host_with_stand_ins, "kernelModule", module="nothing").fails()


class TestNames:
    def test_hostname_and_back(self, host: Machine) -> None:
        step = Step(host, "hostname", hostname="node-1.example.com")
        host.sh("echo before >/etc/hostname")
        step.there_and_back()

    def test_hostname_without_a_file(self, host: Machine) -> None:
        host.sh("rm -f /etc/hostname")
        step = Step(host, "hostname", hostname="node-1")
        step.there_and_back()
        assert host.sh("ls /etc/hostname 2>/dev/null || echo none") == "none\n"

    @pytest.mark.parametrize(
        "before", ["ln -sf ../usr/share/zoneinfo/Asia/Tokyo", "cp /usr/share/zoneinfo/UTC"]
    )
    def test_timezone_and_back(self, host: Machine, before: str) -> None:
        host.sh(f"rm -f /etc/localtime; {before} /etc/localtime; rm -f /etc/timezone")
        was = host.sh("ls -l /etc/localtime; sha256sum /etc/localtime")
        step = Step(host, "timezone", timezone="Europe/Berlin")
        prior = step.apply()
        assert host.sh("readlink /etc/localtime") == "/usr/share/zoneinfo/Europe/Berlin\n"
        step.subject.undo(step.spec, prior)
        now = host.sh("ls -l /etc/localtime; sha256sum /etc/localtime")
        assert now.split()[-1:] == was.split()[-1:]
        assert step.observe().attributes == prior.attributes

    def test_timezone_file_of_debian(self, host: Machine) -> None:
        host.sh("ln -sf /usr/share/zoneinfo/Etc/UTC /etc/localtime; echo Etc/UTC >/etc/timezone")
        Step(host, "timezone", timezone="Europe/Berlin").there_and_back()
        assert host.sh("cat /etc/timezone") == "Etc/UTC\n"

    def test_no_such_zone(self, host: Machine) -> None:
        assert "does not exist" in Step(host, "timezone", timezone="Mars/Olympus").fails()


ACCOUNTS = "cat /etc/passwd /etc/shadow /etc/group /etc/gshadow; ls -A /home /srv"


class TestAccounts:
    def test_user_and_back(self, host: Machine) -> None:
        was = host.sh(ACCOUNTS)
        step = Step(
            host,
            "user",
            user="deploy",
            groups=["adm", "tty"],
            shell="/bin/sh",
            comment="De Ploy",
            password="$6$salt$" + "x" * 86,
        )
        prior = step.apply()
        assert host.sh("grep ^deploy: /etc/shadow").startswith("deploy:$6$salt$xxx")
        assert host.sh("stat -c %U /home/deploy") == "deploy\n"
        assert step.subject.observe(step.spec).attributes["groups"] == ["adm", "tty"]
        step.subject.undo(step.spec, prior)
        assert host.sh(ACCOUNTS) == was

    def test_what_was_there_comes_back(self, host: Machine) -> None:
        host.sh("useradd -m -s /bin/sh -c old -G tty kim; echo 'kim:$6$a$b' | chpasswd -e")
        was = host.sh(ACCOUNTS)
        Step(
            host,
            "user",
            user="kim",
            uid=4711,
            groups=["adm"],
            append=False,
            shell="/bin/bash",
            home="/srv/kim",
            createHome=True,
            locked=True,
        ).there_and_back()
        assert host.sh(ACCOUNTS) == was

    def test_removed_and_back(self, host: Machine) -> None:
        host.sh("useradd -m -s /bin/sh -G tty kim; echo 'kim:$6$a$b' | chpasswd -e")
        Step(host, "user", user="kim", state="absent").there_and_back()
        assert host.sh("grep ^kim: /etc/shadow").startswith("kim:$6$a$b:")

    def test_a_home_with_files_of_its_own_stays(self, host: Machine) -> None:
        step = Step(host, "user", user="kim")
        prior = step.apply()
        host.sh("echo mine >/home/kim/mine")
        step.subject.undo(step.spec, prior)
        assert host.sh("cat /home/kim/mine") == "mine\n"

    def test_system_account_in_a_group_of_its_name(self, host: Machine) -> None:
        host.sh("groupadd -r etcd")
        step = Step(host, "user", user="etcd", system=True, home="/var/lib/etcd", shell="/usr/sbin/nologin")
        step.there_and_back()

    def test_group_and_back(self, host: Machine) -> None:
        host.sh("useradd kim; useradd lee")
        was = host.sh(ACCOUNTS)
        step = Step(host, "group", group="ops", gid=3333, members=["kim"])
        prior = step.apply()
        Step(host, "group", group="ops", gid=3334, members=["lee"], append=False).there_and_back()
        step.subject.undo(step.spec, prior)
        assert host.sh(ACCOUNTS) == was

    def test_asked_together_or_alone(self, host: Machine) -> None:
        host.sh("useradd kim")
        for kind, names in (
            ("user", ["root", "nobody", "nosuch", "kim", "root"]),
            ("group", ["adm", "x", "kim"]),
        ):
            executor = REGISTRY.get(kind)
            specs = [executor.spec.from_json({kind: name}) for name in names]
            subject = Subject(executor, host)
            assert subject.observe_all(specs) == [subject.observe(spec) for spec in specs]


FSTAB = "# a comment\n/dev/sda1  /\text4 errors=remount-ro 0 1\n/dev/sda2 none swap sw 0 0\n"


class TestMounts:
    def test_mounted_and_back(self, host: Machine) -> None:
        host.sh(f"printf %s '{FSTAB}' >/etc/fstab")
        step = Step(host, "mount", path="/srv/a b/c", src="tmpfs", fstype="tmpfs", opts=["size=1m", "noexec"])
        prior = step.apply()
        assert host.sh("tail -n 1 /etc/fstab") == "tmpfs /srv/a\\040b/c tmpfs size=1m,noexec 0 0\n"
        host.sh("mount -o remount,exec '/srv/a b/c'")
        assert step.observe().attributes["notInEffect"] == ["noexec"]
        step.apply()
        step.subject.undo(step.spec, prior)
        assert host.sh("cat /etc/fstab; ls -A /srv") == FSTAB
        assert step.observe() == prior

    def test_an_entry_that_was_there_comes_back(self, host: Machine) -> None:
        text = FSTAB + "tmpfs\t/mnt tmpfs   size=2m 0 0\n"
        host.sh(f"printf %s '{text}' >/etc/fstab; mount /mnt")
        for fields in (
            {"src": "tmpfs", "fstype": "tmpfs", "opts": "size=1m"},
            {"state": "absent"},
            {"state": "unmounted"},
        ):
            Step(host, "mount", path="/mnt", **fields).there_and_back()
            assert host.sh("cat /etc/fstab") == text
            shutil.rmtree(host.store)

    def test_what_somebody_else_mounted_stays(self, host: Machine) -> None:
        host.sh("mount -t tmpfs other /mnt; echo x >/mnt/x")
        message = Step(host, "mount", path="/mnt", src="/dev/vdz", fstype="ext4").fails()
        assert "other is mounted at /mnt, not /dev/vdz" in message
        assert host.sh("cat /mnt/x") == "x\n"

    def test_swap_off_and_back(self, host_with_stand_ins: Machine) -> None:
        host = host_with_stand_ins
        host.sh(f"printf %s '{FSTAB}' >/etc/fstab; swapon /etc/passwd")
        step = Step(host, "swap", state="off")
        prior = step.apply()
        assert prior.attributes == {"active": ["/etc/passwd"], "fstab": ["/dev/sda2"], "units": []}
        assert "#kubexms-swap-off# /dev/sda2 none swap sw 0 0" in host.sh("cat /etc/fstab")
        step.subject.undo(step.spec, prior)
        assert host.sh("cat /etc/fstab") == FSTAB
        assert step.observe() == prior

    def test_swap_units_that_boot_will_start(self, host: Machine) -> None:
        host.sh(
            "mkdir -p /run/systemd/system; cd /etc/systemd/system\n"
            "mkdir swap.target.wants x.target.requires\n"
            "for u in a b c d; do printf '[Swap]\\nWhat=/none\\n' >/usr/lib/systemd/system/$u.swap; done\n"
            "ln -s /usr/lib/systemd/system/a.swap swap.target.wants/\n"
            "ln -s /usr/lib/systemd/system/b.swap b.swap; ln -s ../b.swap x.target.requires/\n"
            "ln -s /usr/lib/systemd/system/c.swap swap.target.wants/; ln -s /dev/null c.swap\n"
            "ln -s /nowhere/gone.swap swap.target.wants/"
        )
        seen = Step(host, "swap", state="off").observe()
        # d is not enabled, c is masked, gone has no unit file
        assert seen.attributes["units"] == ["a.swap", "b.swap"]


class TestUnitFiles:
    def test_unit_and_drop_in_and_back(self, host: Machine) -> None:
        Step(host, "systemdUnit", unit="kt", content="[Service]\nExecStart=/bin/true\n").there_and_back()
        step = Step(host, "systemdUnit", unit="kt", dropIn="10-x", content="[Service]\nNice=5\n")
        step.there_and_back()
        assert host.sh("ls -d /etc/systemd/system/kt* 2>/dev/null || echo none") == "none\n"

    def test_bytes_that_were_there_come_back(self, host: Machine) -> None:
        host.sh("cd /etc/systemd/system; printf old >kt.service; chmod 0600 kt.service")
        step = Step(host, "systemdUnit", unit="kt", content="[Service]\nExecStart=/bin/true\n")
        assert step.observe().extra["content"] == "old\n"
        step.there_and_back()

    def test_written_together_and_taken_back(self, host: Machine) -> None:
        first = Step(host, "systemdUnit", unit="kt", content="[Service]\nExecStart=/bin/true\n")
        drops = [Step(host, "systemdUnit", unit="kt", dropIn=name, content=f"# {name}\n") for name in "ab"]
        steps = [first, *drops]
        outcome = first.subject.member(0).sandbox.act(first.subject.merged([step.spec for step in steps]))
        assert (outcome.status, outcome.stderr) == (0, b"")
        assert all(step.observe().attributes["mode"] == "0644" for step in steps)
        assert host.sh("cat /etc/systemd/system/kt.service.d/b.conf") == "# b\n"
        for number, step in reversed(list(enumerate(steps))):
            first.subject.member(number).undo(step.spec, Observation.absent())
        assert host.sh("ls -d /etc/systemd/system/kt* 2>/dev/null || echo none") == "none\n"

    def test_a_host_without_systemd(self, host: Machine) -> None:
        seen = Step(host, "service", unit="ssh", running=True).observe()
        assert seen.presence == "unknown"
        assert seen.reason == "this host does not run systemd"


def test_processes_with_long_names_are_found(host_with_stand_ins: Machine) -> None:
    """As kube-controller-manager must be, to be started anew: the kernel keeps less of its name."""
    name = "kubexms-test-of-a-long-name"
    host = host_with_stand_ins
    host.sh(f"cp /bin/sleep /usr/local/bin/{name}")
    found = host.sh(
        f"/usr/local/bin/{name} 60 >/dev/null 2>&1 &\n{PID}\nn=0\n"
        f'until [ -n "$(pid {name})" ] || [ $n -gt 500 ]; do n=$((n + 1)); done\n'
        f"pid {name}; echo $!; kill $!; wait $! || :"
    )
    seen, started = found.split()
    assert seen == started


class TestAftermath:
    """What a node's programs change in the kernel is put back, and only that."""

    def test_remembered_once_and_put_back(self, host: Machine) -> None:
        host.sh(
            "cd /proc/sys; echo 0 >vm/overcommit_memory; echo 7 >kernel/panic; echo 1 >kernel/panic_on_oops"
        )
        host.sh(REMEMBER)
        host.sh("cd /proc/sys; echo 1 >vm/overcommit_memory; echo 10 >kernel/panic; echo 9 >vm/max_map_count")
        host.sh(REMEMBER)  # the next attempt, after the kubelet has run
        host.sh(PUT_BACK)
        values = host.sh(
            "cd /proc/sys; cat vm/overcommit_memory kernel/panic kernel/panic_on_oops vm/max_map_count"
        )
        assert values.split() == ["0", "7", "1", "9"]

    def test_nothing_was_remembered(self, host: Machine) -> None:
        host.sh(f"echo 5 >/proc/sys/kernel/panic; {PUT_BACK}")
        assert host.sh("cat /proc/sys/kernel/panic") == "5\n"
