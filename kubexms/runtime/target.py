"""How a host is reached: plain data, every reference to a secret already resolved."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


class HostKeyPolicy(StrEnum):
    """What to do with a host key that no known_hosts file names. A changed key is always refused."""

    STRICT = "strict"
    """Refuse it."""
    ACCEPT_NEW = "accept-new"
    """Accept it and write it to the user's known_hosts file."""
    OFF = "off"
    """Accept any key, also a changed one: for throwaway machines only."""


@dataclass(frozen=True, slots=True, repr=False)
class HostTarget:
    """One host's connection options. What is None is left to ~/.ssh/config, then to ssh's defaults."""

    name: str
    connection: str = "ssh"
    """``ssh`` or ``local``."""
    address: str | None = None
    """Name or address, IPv6 without brackets; None: `name`. It is looked up in ~/.ssh/config."""
    port: int | None = None
    user: str | None = None
    identity_files: tuple[str, ...] = ()
    password: str | None = None
    passphrase: str | None = None
    proxy_jump: str | None = None
    """``[user@]host[:port]``, several separated by commas; ``none`` switches off what ~/.ssh/config says."""
    ssh_config: Path | None = None
    """None: ~/.ssh/config and /etc/ssh/ssh_config; ``/dev/null``: none."""
    known_hosts: Path | None = None
    """None: as in ~/.ssh/config, else ~/.ssh/known_hosts and /etc/ssh/ssh_known_hosts."""
    host_key_policy: HostKeyPolicy | None = None
    connect_timeout: float | None = None
    """Seconds for everything up to a usable connection; 10 where nothing says otherwise."""
    keepalive: float | None = None
    """Seconds between keepalive messages; 15 where nothing says otherwise, 0 for none."""
    become: str = "none"
    """``none`` or ``sudo``."""
    become_user: str = "root"
    become_password: str | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    """For `connection: local` only: added to the controller's environment."""

    def __repr__(self) -> str:
        """Without secrets."""
        return f"HostTarget({self.name!r}, {self.connection}, {self.address or self.name})"
