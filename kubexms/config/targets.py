"""From a host of the inventory to what its connection needs, secrets resolved."""

from __future__ import annotations

from pathlib import Path

from kubexms.config.secrets import REFERRED, SecretResolver
from kubexms.errors import SecretError
from kubexms.runtime.target import HostKeyPolicy, HostTarget
from kubexms.spec.inventory import Host
from kubexms.spec.variable import SecretRef

_POLICIES = {"verify": HostKeyPolicy.STRICT, "accept-new": HostKeyPolicy.ACCEPT_NEW, "off": HostKeyPolicy.OFF}


def connection_target(host: Host, resolver: SecretResolver, root: Path | None = None) -> HostTarget:
    """The target of one host. Raises `SecretError`.

    Relative paths in it are relative to `root`, by default the project's.
    """
    spec = host.connection

    def path(text: str) -> Path:
        expanded = Path(text).expanduser()
        return (root or resolver.root) / expanded

    def secret(reference: SecretRef | None, field: str) -> str | None:
        try:
            return resolver.text(reference)
        except SecretError as error:
            where = f"It is connection.{field} of {host.name}."
            detail = where if error.detail == REFERRED else f"{where} {error.detail}".rstrip()
            raise SecretError(error.summary, detail=detail) from error

    become = spec.become
    jump = spec.proxy_jump
    return HostTarget(
        name=host.name,
        connection=spec.type or "ssh",
        address=spec.address,
        port=spec.port,
        user=spec.user,
        identity_files=tuple(str(path(name)) for name in spec.identity_files),
        password=secret(spec.password, "password"),
        passphrase=secret(spec.passphrase, "passphrase"),
        proxy_jump=None if jump is None else ",".join(jump) or "none",
        ssh_config=path(spec.ssh_config) if spec.ssh_config else None,
        known_hosts=path(spec.known_hosts) if spec.known_hosts else None,
        host_key_policy=_POLICIES[spec.host_keys] if spec.host_keys else None,
        connect_timeout=spec.connect_timeout,
        keepalive=spec.keepalive,
        become=become.method if become else "none",
        become_user=become.user if become else "root",
        become_password=secret(become.password, "become.password") if become else None,
    )
