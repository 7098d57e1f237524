"""Bastions: one shared connection per bastion and process, however many hosts lie behind it."""

from __future__ import annotations

import dataclasses
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import paramiko

from kubexms.errors import ConfigError, ConnectionFailed, Unreachable
from kubexms.runtime.ssh.endpoint import ByteSocket, OpenSocket, connect, disconnect
from kubexms.runtime.ssh.settings import SshSettings, resolve
from kubexms.runtime.target import HostTarget

_HOP = re.compile(
    r"(?:ssh://)?(?:(?P<user>[^@]+)@)?(?:\[(?P<v6>[^\]]+)\]|(?P<host>[^:]+))(?::(?P<port>\d+))?/?"
)
_IDLE = 60.0
"""Seconds that a bastion's connection is kept for the next host."""


@dataclass(slots=True)
class _Shared:
    lock: threading.Lock = field(default_factory=threading.Lock)
    transport: paramiko.Transport | None = None
    users: int = 0
    idle_since: float = 0.0


class BastionPool:
    """Connections to bastions. Thread-safe."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._shared: dict[tuple[str, ...], _Shared] = {}

    def way_to(self, target: HostTarget, settings: SshSettings) -> OpenSocket | None:
        """How to open a socket to an end point; None if it is reached directly."""
        if not settings.jumps:
            return None
        hops = [_hop(target, text) for text in settings.jumps]

        def open_socket(timeout: float) -> ByteSocket:
            return self._through(hops, settings, timeout)

        return open_socket

    def _through(self, hops: list[SshSettings], settings: SshSettings, timeout: float) -> ByteSocket:
        slot = tuple(f"{hop.user}@{hop.hostname}:{hop.port}" for hop in hops)
        with self._lock:
            shared = self._shared.setdefault(slot, _Shared())
            shared.users += 1
        try:
            # one at a time connects; the others wait and find the connection
            with shared.lock:
                if shared.transport is None or not shared.transport.is_active():
                    shared.transport = self._connect(hops)
                transport = shared.transport
            channel = _tunnel(transport, hops[-1], settings, timeout)
        except BaseException:
            self._release(shared)
            raise
        return _Tunnel(channel, lambda: self._release(shared))

    def _connect(self, hops: list[SshSettings]) -> paramiko.Transport:
        *before, last = hops
        try:
            if not before:
                return connect(last)
            return connect(last, lambda timeout: self._through(before, last, timeout))
        except ConnectionFailed as error:
            raise type(error)(f"bastion: {error.summary}", detail=error.detail) from error

    def _release(self, shared: _Shared) -> None:
        now = self._clock()
        with self._lock:
            shared.users -= 1
            shared.idle_since = now
            idle = [
                (slot, other)
                for slot, other in self._shared.items()
                if other.users == 0 and now - other.idle_since > _IDLE
            ]
            for slot, _ in idle:
                del self._shared[slot]
        for _, other in idle:
            if other.transport is not None:
                disconnect(other.transport)

    def close(self) -> None:
        """End every connection, used or not."""
        with self._lock:
            shared, self._shared = list(self._shared.values()), {}
        for item in reversed(shared):
            if item.transport is not None:
                disconnect(item.transport)


class _Tunnel:
    """A channel of a bastion as a socket: paramiko runs a connection over it."""

    def __init__(self, channel: paramiko.Channel, released: Callable[[], None]) -> None:
        self._channel = channel
        self._released = released
        self._open = True
        self._lock = threading.Lock()

    @property
    def _closed(self) -> bool:
        return not self._open

    def send(self, data: bytes) -> int:
        return self._channel.send(data)

    def recv(self, size: int) -> bytes:
        return self._channel.recv(size)

    def settimeout(self, timeout: float | None) -> None:
        self._channel.settimeout(timeout)

    def close(self) -> None:
        with self._lock:
            was_open, self._open = self._open, False
        if was_open:
            self._channel.close()
            self._released()


def _tunnel(
    transport: paramiko.Transport, bastion: SshSettings, settings: SshSettings, timeout: float
) -> paramiko.Channel:
    try:
        return transport.open_channel(
            "direct-tcpip", (settings.hostname, settings.port), ("127.0.0.1", 0), timeout=timeout
        )
    except paramiko.ChannelException as error:
        raise Unreachable(
            f"{settings.hostname} port {settings.port} cannot be reached from the bastion "
            f"{bastion.hostname}: {error.text}",
            detail="Is the host up, and does the bastion's sshd allow forwarding (AllowTcpForwarding)?",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        raise Unreachable(f"the bastion {bastion.hostname} went away: {error}") from error


def _hop(target: HostTarget, text: str) -> SshSettings:
    match = _HOP.fullmatch(text)
    if match is None:
        raise ConfigError(f"{target.name}: not a jump host: {text!r}", detail="Write [user@]host[:port].")
    hop = dataclasses.replace(
        target,
        name=match["v6"] or match["host"],
        address=None,
        user=match["user"],
        port=int(match["port"]) if match["port"] else None,
        # the host's own password is not for others to see; its keys prove themselves without being shown
        password=None,
        proxy_jump="none",
    )
    return resolve(hop)
