"""The fleet's network: a bridge in a network namespace of its own, a namespace per host.

Nothing touches the machine's own network, so every fleet uses the same addresses: the bridge is
10.99.0.1 and host i 10.99.0.(10+i). There is no way out: connections elsewhere fail at once.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

GATEWAY = "10.99.0.1"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def address_of(index: int) -> str:
    """Return the address of host number `index`, from 1 to 240."""
    if not 1 <= index <= 240:
        raise ValueError(f"a fleet has hosts 1 to 240, not {index}")
    return f"10.99.0.{10 + index}"


def namespace_path(fleet: str, index: int | None = None) -> Path:
    """Return the namespace file of the fleet's own network, or of one host's."""
    return Path("/run/netns") / (f"kubexms-{fleet}" if index is None else f"kubexms-{fleet}-{index}")


def create(fleet: str) -> None:
    """Make the fleet's namespace with its bridge."""
    space = namespace_path(fleet).name
    ip("netns", "add", space)
    ip_batch(
        space,
        "link set lo up",
        "link add br0 type bridge",
        f"addr add {GATEWAY}/24 dev br0",
        "link set br0 up",
        "route add unreachable default",
    )
    sysctls = ["net.ipv4.ip_forward=1", "net.ipv4.icmp_ratelimit=0", "net.ipv6.conf.default.disable_ipv6=1"]
    ip("netns", "exec", space, "sysctl", "-qw", *sysctls)


def attach(fleet: str, index: int) -> None:
    """Make the namespace of one host and plug it into the bridge, where it is port p<i>."""
    space, own = namespace_path(fleet).name, namespace_path(fleet, index).name
    ip("netns", "add", own)
    ip("link", "add", f"p{index}", "netns", space, "type", "veth", "peer", "name", "eth0", "netns", own)
    ip_batch(space, f"link set p{index} master br0 up")
    ip_batch(
        own,
        "link set lo up",
        f"addr add {address_of(index)}/24 dev eth0",
        "link set eth0 up",
        f"route add default via {GATEWAY}",
    )


def detach(fleet: str, index: int) -> None:
    """Unplug one host and remove its namespace, with all routes, devices and rules in it."""
    ip("-n", namespace_path(fleet).name, "link", "del", f"p{index}")
    ip("netns", "del", namespace_path(fleet, index).name)


def delete(fleet: str) -> None:
    """Remove every namespace of the fleet, and with them their devices."""
    for path in [*Path("/run/netns").glob(f"kubexms-{fleet}-*"), namespace_path(fleet)]:
        if path.exists():
            ip("netns", "del", path.name)


def ip(*arguments: str) -> None:
    """Run one ip(8) command; raises RuntimeError with what it said."""
    _run(["ip", *arguments], None)


def ip_batch(space: str, *commands: str) -> None:
    """Run several ip(8) commands inside a namespace, in one process."""
    _run(["ip", "-n", space, "-batch", "-"], "\n".join(commands) + "\n")


def _run(argv: list[str], stdin: str | None) -> None:
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} failed: {done.stderr.strip()}")


@contextmanager
def inside(path: Path) -> Iterator[None]:
    """Put the calling thread into a network namespace.

    Sockets opened meanwhile, and threads and processes started meanwhile, belong there and stay there;
    other threads are not affected.
    """
    with Path("/proc/thread-self/ns/net").open("rb") as before, path.open("rb") as target:
        _setns(target.fileno())
        try:
            yield
        finally:
            _setns(before.fileno())


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"setns: {os.strerror(number)}")
