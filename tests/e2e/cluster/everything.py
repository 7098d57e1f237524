"""All that can be seen of a host from its inside, so that before can be compared with after."""

from __future__ import annotations

import time
from collections.abc import Iterable

from tests.e2e.testbed import Host
from tests.e2e.traces import written

# packages' own records and caches stay, and what containerd had in its data directory, which was there before
RECORDS = ("var/lib/dpkg", "var/lib/apt", "var/cache", "var/lib/containerd", "usr/share", "etc/ld.so.cache")
# dpkg leaves haproxy's directory: systemd has made a file in it (the unit's BindReadOnlyPaths=/dev/log)
DPKG_LEAVES = ("var/lib/haproxy",)
# containerd and the kubelet make directories below these for CNI, plugins and volumes
EMPTY = ("etc/cni", "opt/containerd", "usr/libexec/kubernetes")
# counters, and what any use of a host changes
VOLATILE = (
    r"^(fs\.(dentry-state|file-nr|inode-nr|inode-state|quota\.|aio-nr|nr_open)|kernel\.(random\.|ns_last_pid|pty\.nr|"
    r"sched_|threads-max|perf_|cad_pid)|net\.netfilter\.nf_conntrack_count|vm\.(drop_caches|stat)|user\.|debug\.|dev\.)"
)
LOOKS = {
    "packages": "dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\\n'",
    "unit files": "systemctl list-unit-files --no-legend --no-pager | awk '{ print $1, $2 }'",
    "failed units": "systemctl list-units --failed --no-legend --no-pager --plain | awk '{ print $1 }'",
    "services": "systemctl list-units -t service --state=active --no-legend --no-pager --plain | "
    "awk '{ print $1 }' | grep -v -e ^user@ -e ^user-runtime-dir@ -e ^systemd-hostnamed",
    "users": "getent passwd",
    "groups": "getent group",
    "links": "ip -o link | awk '{ print $2 }'",
    "routes": "{ ip -4 route show table all; ip -6 route show table all; } | "
    "sed '/ fe80::/d; s/ expires .*//; s/ pref .*//'",
    "rules of routing": "ip rule; ip -6 rule",
    # chains that are there by themselves, with their usual policy, are nothing
    "iptables": "for v in iptables ip6tables; do $v-save 2>/dev/null | sed 's/ *\\[[0-9:]*\\]//' | "
    "grep -e ^- -e ^: | grep -v -E '^:(PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) ACCEPT$'; done",
    "mounts": "awk '{ print $2, $3 }' /proc/self/mounts | grep -v -e ^/run/user/ -e ^/run/credentials/",
    "kernel parameters": f"sysctl -a 2>/dev/null | grep -v -E '{VOLATILE}'",
    "processes": "ps -eo comm= | grep -v -e ^sshd -e ^systemd -e '^(sd-pam)' -e ^nsenter "
    "-e ^ps$ -e ^sort$ -e ^sh$ -e ^grep$",
    "network namespaces": "ip netns list",
}
Everything = dict[str, set[str]]
MOMENT = 10.0
"""Seconds in which what is about to end has ended."""


def look(host: Host) -> Everything:
    """Every line of everything, by what it is about; "files" is the host's disk."""
    found = {
        about: set(host.run(f"{{ {command}; }} | sort -u", timeout=120).stdout.splitlines())
        for about, command in LOOKS.items()
    }
    found["files"] = {
        f"{path} {' '.join(told)}"
        for path, told in written(host, (*RECORDS, *DPKG_LEAVES)).items()
        if not _empty(path, told)
    }
    return found


def differences(before: Everything, after: Everything) -> str:
    """What is more (+) and what is less (-), a line for each; nothing if all is as it was."""
    lines = []
    for about in before:
        lines += [f"- {about}: {line}" for line in sorted(before[about] - after[about])]
        lines += [f"+ {about}: {line}" for line in sorted(after[about] - before[about])]
    return "\n".join(lines)


class Before:
    """What hosts were before anything was done to them."""

    def __init__(self, hosts: Iterable[Host]) -> None:
        self._was = {host.name: look(host) for host in hosts}

    def since(self, host: Host) -> str:
        """What is other now on one of them; see `differences`."""
        return differences(self._was[host.name], look(host))

    def assert_again(self, hosts: Iterable[Host]) -> None:
        """Fail the test, with all that is other, unless these are what they were."""
        left = {host.name: self._settled(host) for host in hosts}
        assert not any(left.values()), "\n".join(f"{name}:\n{what}" for name, what in left.items() if what)

    def _settled(self, host: Host) -> str:
        """What is other once processes have had time to end: a shell's watch ends half a second after it."""
        limit = time.monotonic() + MOMENT
        while left := self.since(host):
            more = all(line.startswith("+ processes: ") for line in left.splitlines())
            if not more or time.monotonic() > limit:
                break
        return left


def _empty(path: str, told: tuple[str, ...]) -> bool:
    return told[0] == "directory" and path.startswith(EMPTY)
