"""Facts: what a host is. One cheap fragment, asked in the same round trip as everything else.

Shape of `parse_facts` (JSON-able; a key is missing where the host did not tell)::

    os: {id, id_like: [..], version_id, codename, name, pretty}
    arch: amd64|arm64|...            machine: uname -m         kernel: uname -r
    hostname, fqdn, machine_id       cpus: int                 memory_mb, swap_mb: int
    init: systemd|openrc|sysvinit|busybox|none                 systemd: int
    interfaces: {name: {mac, ipv4: [..], ipv6: [..]}}          addresses: {ipv4: [..], ipv6: [..]}
    default_ipv4: {address, interface, gateway}                default_ipv6: the same
    virtualization: str              selinux: disabled|permissive|enforcing
    package_manager: apt|dnf|yum|apk|zypper|pacman|none        cgroup: 1|2|hybrid
    user, home: str; uid: int        shell: dash|bash|busybox|sh
    tools: {name: bool}              time: seconds since the epoch, on the host

`time` changes at every look (`VOLATILE`); `lasting` makes `clock_skew` of it. Loopback and link-local
addresses are not listed in `addresses`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic import JsonValue

from kubexms.runtime.network_facts import network_facts
from kubexms.runtime.protocol import Fragment, Record
from kubexms.runtime.quoting import shell_source

VOLATILE: Final = frozenset({"time"})
"""Facts that differ at every look: never compared, never stored."""

MEASURED: Final = frozenset({"clock_skew"})
"""Facts that are estimates: two looks at an unchanged host may tell them a little differently."""

FACTS: Final = Fragment(shell_source("facts.sh"), timeout=20.0)

_ARCH: Final = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i386": "386",
    "i686": "386",
}
_PACKAGE_MANAGERS: Final = {
    "apt-get": "apt",
    "dnf": "dnf",
    "yum": "yum",
    "apk": "apk",
    "zypper": "zypper",
    "pacman": "pacman",
}
_SELINUX: Final = {"0": "permissive", "1": "enforcing"}
_VIRTUAL: Final = {
    "QEMU": "kvm",
    "VMware, Inc.": "vmware",
    "innotek GmbH": "virtualbox",
    "Xen": "xen",
    "Microsoft Corporation": "hyperv",
    "Amazon EC2": "kvm",
    "Google": "kvm",
}


def parse_facts(record: Record) -> dict[str, JsonValue]:
    """The facts that the record of `FACTS` holds. Never raises: what is not understood is left out."""
    raw: dict[str, str] = {}
    for entry in record.text.decode("utf-8", "replace").split("\n.\n"):
        key, _, value = entry.partition("=")
        raw.setdefault(key, value.strip())
    sought = raw.get("tools", "").split()
    tools: dict[str, JsonValue] = {name.lstrip("!"): not name.startswith("!") for name in sought}
    machine = raw.get("machine", "")
    facts: dict[str, JsonValue] = {
        "os": _os(raw),
        "arch": _ARCH.get(machine, machine),
        "init": raw.get("init", "none"),
        "selinux": _SELINUX.get(raw.get("selinux", ""), "disabled"),
        "virtualization": _VIRTUAL.get(raw.get("virtual", "none"), _bare(raw.get("virtual", "none"))),
        "package_manager": next(
            (name for tool, name in _PACKAGE_MANAGERS.items() if tools.get(tool)), "none"
        ),
        "tools": tools,
        **network_facts(raw),
    }
    for key in ("machine", "kernel", "hostname", "machine_id", "user", "home", "shell", "cgroup"):
        if raw.get(key):
            facts[key] = raw[key]
    facts["fqdn"] = raw.get("fqdn") or raw.get("hostname", "")
    for key, name, divisor in (("uid", "uid", 1), ("time", "time", 1), ("memory_kb", "memory_mb", 1024)):
        _integer(facts, name, raw.get(key), divisor)
    _integer(facts, "swap_mb", raw.get("swap_kb", "0"), 1024)
    _integer(facts, "cpus", str(_cpu_list(raw.get("cpus", "0"))), 1)
    version = re.search(r"\d+", raw.get("systemd", ""))
    _integer(facts, "systemd", version.group() if version else None, 1)
    return facts


def lasting(told: Mapping[str, JsonValue], asked: float, answered: float) -> dict[str, JsonValue]:
    """The facts that are compared and kept: without `VOLATILE` ones, with `clock_skew` instead of `time`.

    `asked` and `answered` are the controller's clock around the question, in seconds since the epoch.
    `clock_skew` is how many seconds the host's clock is ahead (negative: behind), 0 where the time that
    asking took explains the difference, and in steps of ten, so that it is the same at the next look.
    """
    facts = {name: value for name, value in told.items() if name not in VOLATILE}
    time = told.get("time")
    if isinstance(time, int):
        ahead, behind = max(0.0, time - answered), max(0.0, asked - 1 - time)
        facts["clock_skew"] = 10 * round((ahead - behind) / 10)
    return facts


def _os(raw: Mapping[str, str]) -> dict[str, JsonValue]:
    value = {key[3:]: text.strip("\"'") for key, text in raw.items() if key.startswith("os.")}
    id_like: list[JsonValue] = list(value.get("ID_LIKE", "").split())
    return {
        "id": value.get("ID", raw.get("kernel_name", "linux").lower()),
        "id_like": id_like,
        "version_id": value.get("VERSION_ID", ""),
        "codename": value.get("VERSION_CODENAME", ""),
        "name": value.get("NAME", ""),
        "pretty": value.get("PRETTY_NAME", ""),
    }


def _bare(vendor: str) -> str:
    """Containers name themselves in lower case without spaces; any other vendor makes hardware."""
    return vendor if vendor == vendor.lower() and " " not in vendor else "none"


def _integer(facts: dict[str, JsonValue], name: str, text: str | None, divisor: int) -> None:
    if text is not None and text.isdigit():
        facts[name] = int(text) // divisor


def _cpu_list(text: str) -> int:
    """How many CPUs ``0-3,8`` names."""
    count = 0
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdigit():
            count += (int(last) if last.isdigit() else int(first)) - int(first) + 1
    return count
