"""One SSH connection: a socket, the key exchange, the host key, the login."""

from __future__ import annotations

import contextlib
import logging
import random
import socket
import time
from collections.abc import Callable
from typing import Protocol

import paramiko
from paramiko.common import MSG_CHANNEL_REQUEST
from paramiko.ssh_exception import IncompatiblePeer

from kubexms.errors import ConnectionFailed, Unreachable
from kubexms.runtime.ssh.authentication import Authentication
from kubexms.runtime.ssh.host_keys import HostKeyCheck
from kubexms.runtime.ssh.settings import SshSettings

# paramiko logs what it raises as well; without a handler Python would print that on stderr
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_ATTEMPTS = 6
_FIRST_DELAY = 0.2


class ByteSocket(Protocol):
    """What a connection runs over: a socket, or a channel of another connection."""

    def close(self) -> None:
        """Close it."""
        ...


OpenSocket = Callable[[float], ByteSocket]
"""Opens a way to the end point within so many seconds; raises `OSError` or `ConnectionFailed`."""


class _RefusedError(Exception):
    """The far side hung up before it had said who it is: sshd does that when too many knock at once."""


def _channel_request(channel: paramiko.Channel, message: paramiko.Message) -> None:
    """paramiko knows ``exit-status``, but not ``exit-signal`` (RFC 4254, 6.10): a killed shell
    would seem to live."""
    if message.get_text() == "exit-signal":
        channel.exit_status = 255
        channel.status_event.set()
        return
    message.rewind()
    message.get_int()
    channel._handle_request(message)  # type: ignore[attr-defined]


class _Transport(paramiko.Transport):
    """Asks for the kinds of host keys that are known first, certificates included, and for quick ciphers."""

    _channel_handler_table = {  # noqa: RUF012 - paramiko's own class attribute, with one entry replaced
        **paramiko.Transport._channel_handler_table,  # type: ignore[attr-defined]
        MSG_CHANNEL_REQUEST: _channel_request,
    }
    wanted_keys: tuple[str, ...] = ()

    @property
    def preferred_keys(self) -> tuple[str, ...]:
        return self.wanted_keys or tuple(super().preferred_keys)

    @property
    def preferred_ciphers(self) -> tuple[str, ...]:
        """Those first that need no digest beside them: sending files takes half of the processor's time."""
        known = tuple(super().preferred_ciphers)
        return tuple(sorted(known, key=lambda name: "-gcm@" not in name))


def connect(
    settings: SshSettings,
    open_socket: OpenSocket | None = None,
    *,
    pause: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
    clock: Callable[[], float] = time.monotonic,
) -> paramiko.Transport:
    """A connection that is logged in. Raises `ConnectionFailed`.

    `settings.timeout` seconds bound each attempt. A banner or key exchange that the far side breaks off
    is tried again with growing, random delays, all within three times that time.
    """
    opener = open_socket or (lambda timeout: _tcp(settings, timeout))
    limit = clock() + 3 * settings.timeout
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return _attempt(settings, opener)
        except _RefusedError as refused:
            delay = _FIRST_DELAY * 2 ** (attempt - 1) * (0.5 + jitter())
            if attempt == _ATTEMPTS or clock() + delay > limit:
                raise Unreachable(
                    f"{settings.hostname} port {settings.port} hangs up before the key exchange",
                    detail=f"{refused} Tried {attempt} times. Is sshd overloaded (MaxStartups), does a "
                    "firewall or fail2ban block this address, or is it not SSH that listens there?",
                ) from refused
        pause(delay)
    raise AssertionError("the last attempt returns or raises")


def _attempt(settings: SshSettings, open_socket: OpenSocket) -> paramiko.Transport:
    check = HostKeyCheck(settings)
    sock = open_socket(settings.timeout)
    transport: paramiko.Transport | None = None
    try:
        transport = _handshake(settings, sock, check)
        check.accept(transport.get_remote_server_key())
        Authentication(transport, settings).run()
        if settings.keepalive:
            transport.set_keepalive(max(1, round(settings.keepalive)))
    except BaseException:
        disconnect(transport) if transport is not None else sock.close()
        raise
    return transport


def _handshake(settings: SshSettings, sock: ByteSocket, check: HostKeyCheck) -> paramiko.Transport:
    transport = _Transport(sock)  # type: ignore[arg-type]
    transport.wanted_keys = check.algorithms()
    # longer than the time that `start_client` takes: there is one limit, and one message for it
    transport.banner_timeout = transport.handshake_timeout = settings.timeout + 5.0
    transport.auth_timeout = max(settings.timeout, 30.0)
    try:
        transport.start_client(timeout=settings.timeout)
    except IncompatiblePeer as error:
        disconnect(transport)
        raise Unreachable(
            f"{settings.hostname} speaks no common SSH algorithm",
            detail=f"{error} Its sshd is too old or too strict.",
        ) from error
    except (paramiko.SSHException, EOFError, OSError) as error:
        disconnect(transport)
        raise _RefusedError(f"{str(error) or type(error).__name__}.") from error
    if not transport.initial_kex_done:  # paramiko returns all the same when the time has passed
        disconnect(transport)
        raise Unreachable(
            f"{settings.hostname} port {settings.port}: no key exchange within {settings.timeout:g} s",
            detail="The network or the host is very slow. connectTimeout can be raised.",
        )
    return transport


def disconnect(transport: paramiko.Transport) -> None:
    """End a connection at once: without the shutdown its thread would notice only at its next look."""
    sock = transport.sock
    if isinstance(sock, socket.socket):
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
    with contextlib.suppress(Exception):
        transport.close()


def _tcp(settings: SshSettings, timeout: float) -> ByteSocket:
    where = f"{settings.hostname} port {settings.port}"
    if settings.proxy_command is not None:
        return paramiko.ProxyCommand(settings.proxy_command)
    try:
        found = socket.getaddrinfo(settings.hostname, settings.port, settings.family, socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise Unreachable(
            f"the name {settings.hostname} is not known: {error.strerror}",
            detail="Set the host's address in the inventory, or HostName in ~/.ssh/config.",
        ) from error
    limit = time.monotonic() + timeout
    failure: Exception | None = None
    for family, kind, protocol, _, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max(0.1, limit - time.monotonic()))
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise _unreachable(where, timeout, failure) from failure


def _unreachable(where: str, timeout: float, failure: Exception | None) -> ConnectionFailed:
    if isinstance(failure, ConnectionRefusedError):
        return Unreachable(
            f"{where}: connection refused", detail="Nothing listens there. Does sshd run, on this port?"
        )
    if isinstance(failure, TimeoutError):
        return Unreachable(
            f"{where}: no answer within {timeout:g} s",
            detail="The host is down, or a firewall drops the packets. connectTimeout can be raised.",
        )
    reason = failure.strerror if isinstance(failure, OSError) and failure.strerror else str(failure)
    return Unreachable(f"{where}: {reason}", detail="Check the address and the route to it.")
