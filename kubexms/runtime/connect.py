"""Where connections come from: a target in, a connection out. Nothing is contacted before the first use."""

from __future__ import annotations

from kubexms.runtime.become import Become
from kubexms.runtime.local import LocalTransport
from kubexms.runtime.local_command import CompletedResult, Ending, run_local_command
from kubexms.runtime.protocol import Connection, ReadOnlyConnection
from kubexms.runtime.shell_connection import ShellConnection, ShellReader
from kubexms.runtime.target import HostTarget
from kubexms.runtime.transport import Transport

__all__ = ["CompletedResult", "Ending", "load", "open_connection", "open_readonly", "run_local_command"]


def load(connection: str) -> None:
    """Import what connections of that type need, which else the first one does."""
    if connection == "ssh":
        import kubexms.runtime.ssh.transport  # noqa: F401


def open_readonly(target: HostTarget) -> ReadOnlyConnection:
    """A connection that can only ask. Thread-safe; the connection is for one thread."""
    return ShellReader(
        target.name,
        _transport(target),
        become=_become(target),
        connect_timeout=target.connect_timeout or 10.0,
    )


def open_connection(target: HostTarget) -> Connection:
    """A connection that can act. Thread-safe; the connection is for one thread."""
    return ShellConnection(
        target.name,
        _transport(target),
        become=_become(target),
        connect_timeout=target.connect_timeout or 10.0,
    )


def _become(target: HostTarget) -> Become | None:
    if target.become == "none":
        return None
    if target.become == "sudo":
        return Become(target.become_user, target.become_password)
    raise ValueError(f"unknown way to become another user: {target.become!r}")


def _transport(target: HostTarget) -> Transport:
    if target.connection == "local":
        return LocalTransport(target.environment)
    if target.connection == "ssh":
        from kubexms.runtime.ssh.transport import SshTransport

        return SshTransport(target)
    raise ValueError(f"unknown connection {target.connection!r}")
