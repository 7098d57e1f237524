"""What a target and ssh_config say together: everything needed to reach one host.

The target comes first, then ~/.ssh/config, then /etc/ssh/ssh_config; the first value obtained counts,
identity and certificate files add up, as in ssh.
"""

from __future__ import annotations

import fnmatch
import getpass
import hashlib
import os
import re
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kubexms.runtime.local_command import run_local_command
from kubexms.runtime.ssh.config_file import Condition, Directive, read_config
from kubexms.runtime.target import HostKeyPolicy, HostTarget

DEFAULT_TIMEOUT = 10.0
DEFAULT_KEEPALIVE = 15.0
_SEVERAL = frozenset({"identityfile", "certificatefile"})
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


@dataclass(frozen=True, slots=True, repr=False)
class SshSettings:
    """One SSH end point with everything resolved. Paths are expanded."""

    name: str
    hostname: str
    port: int
    user: str
    named_keys: tuple[Path, ...]
    """Identity files that somebody named."""
    default_keys: tuple[Path, ...]
    """What ssh tries if nobody named any."""
    certificates: tuple[Path, ...]
    identities_only: bool
    agent: str | None
    """Path of the agent's socket; None: there is none."""
    password: str | None
    passphrase: str | None
    jumps: tuple[str, ...]
    proxy_command: str | None
    user_known_hosts: tuple[Path, ...]
    global_known_hosts: tuple[Path, ...]
    hash_known_hosts: bool
    host_key_alias: str | None
    policy: HostKeyPolicy
    timeout: float
    keepalive: float
    family: int

    def __repr__(self) -> str:
        """Without secrets."""
        return f"SshSettings({self.user}@{self.hostname}:{self.port})"

    @property
    def known_name(self) -> str:
        """The name under which known_hosts files list this host."""
        if self.host_key_alias:
            return self.host_key_alias
        name = self.hostname.lower()
        return name if self.port == 22 else f"[{name}]:{self.port}"


def resolve(target: HostTarget) -> SshSettings:
    """The settings of a target. Raises `ConfigError` for an ssh_config that cannot be read."""
    address = (target.address or target.name).strip("[]")
    found = _lookup(_directives(target.ssh_config), address, target.user)
    hostname = _tokens(_first(found, "hostname") or address, {"h": address, "n": address})
    local_user = getpass.getuser()
    user = target.user or _first(found, "user") or local_user
    port = target.port or int(_first(found, "port") or 22)
    tokens = _token_values(address, hostname, port, user, local_user)
    named = (*target.identity_files, *(word for words in found.get("identityfile", []) for word in words))
    agent = _first(found, "identityagent")
    known = (target.known_hosts,) if target.known_hosts else _paths(found, "userknownhostsfile", tokens)
    shared = () if target.known_hosts else _paths(found, "globalknownhostsfile", tokens)
    interval = _first(found, "serveraliveinterval")
    proxy_command = None if target.proxy_jump else _command(found, tokens)
    return SshSettings(
        name=target.name,
        hostname=hostname,
        port=port,
        user=user,
        named_keys=tuple(dict.fromkeys(_path(name, tokens) for name in named if name != "none")),
        default_keys=() if named else tuple(Path.home() / ".ssh" / name for name in _DEFAULT_KEYS),
        certificates=tuple(_path(w, tokens) for words in found.get("certificatefile", []) for w in words),
        identities_only=(_first(found, "identitiesonly") or "no") == "yes",
        agent=_agent(agent, tokens),
        password=target.password,
        passphrase=target.passphrase,
        jumps=() if proxy_command else _jumps(target.proxy_jump or _first(found, "proxyjump")),
        proxy_command=proxy_command,
        user_known_hosts=known or (Path.home() / ".ssh/known_hosts", Path.home() / ".ssh/known_hosts2"),
        global_known_hosts=shared
        if shared or target.known_hosts
        else (Path("/etc/ssh/ssh_known_hosts"), Path("/etc/ssh/ssh_known_hosts2")),
        hash_known_hosts=_first(found, "hashknownhosts") == "yes",
        host_key_alias=_first(found, "hostkeyalias"),
        policy=target.host_key_policy or _policy(_first(found, "stricthostkeychecking")),
        timeout=target.connect_timeout or float(_first(found, "connecttimeout") or DEFAULT_TIMEOUT),
        keepalive=target.keepalive
        if target.keepalive is not None
        else float(interval)
        if interval is not None and interval != "0"
        else DEFAULT_KEEPALIVE,
        family={"inet": socket.AF_INET, "inet6": socket.AF_INET6}.get(
            _first(found, "addressfamily") or "any", socket.AF_UNSPEC
        ),
    )


def _directives(config: Path | None) -> tuple[Directive, ...]:
    home = Path.home() / ".ssh"
    if config is not None:
        return read_config(config.expanduser(), base=home)
    system = Path("/etc/ssh")
    return read_config(home / "config", base=home) + read_config(system / "ssh_config", base=system)


def _lookup(
    directives: Sequence[Directive], address: str, user: str | None
) -> Mapping[str, list[tuple[str, ...]]]:
    found: dict[str, list[tuple[str, ...]]] = {}
    holds: dict[Condition, bool] = {}
    for directive in directives:
        if directive.key in found and directive.key not in _SEVERAL:
            continue
        for condition in directive.conditions:
            if condition not in holds:
                holds[condition] = _holds(condition, address, user, found)
        if all(holds[condition] for condition in directive.conditions):
            words = (directive.rest,) if directive.key == "proxycommand" else directive.words
            found.setdefault(directive.key, []).append(words)
    return found


def _holds(
    condition: Condition, address: str, user: str | None, found: Mapping[str, list[tuple[str, ...]]]
) -> bool:
    if condition.kind == "host":
        return _matches(address, condition.words)
    words = list(condition.words)
    while words:
        word = words.pop(0).lower()
        negated, word = word.startswith("!"), word.lstrip("!")
        if word in ("all", "final"):
            result = True
        elif word == "canonical":
            result = False
        else:
            if not words:
                return False
            result = _criterion(word, words.pop(0), address, user, found)
        if result == negated:
            return False
    return True


def _criterion(
    word: str, value: str, address: str, user: str | None, found: Mapping[str, list[tuple[str, ...]]]
) -> bool:
    local_user = getpass.getuser()
    hostname = _tokens(_first(found, "hostname") or address, {"h": address, "n": address})
    remote_user = user or _first(found, "user") or local_user
    match word:
        case "host":
            return _matches(hostname, value.split(","))
        case "originalhost":
            return _matches(address, value.split(","))
        case "user":
            return _matches(remote_user, value.split(","))
        case "localuser":
            return _matches(local_user, value.split(","))
        case "exec":
            port = int(_first(found, "port") or 22)
            tokens = _token_values(address, hostname, port, remote_user, local_user)
            return _succeeds(_tokens(value, tokens))
        case _:
            return False


@lru_cache(maxsize=256)
def _succeeds(command: str) -> bool:
    return run_local_command(["/bin/sh", "-c", command], timeout=10.0).status == 0


def _matches(name: str, patterns: Sequence[str]) -> bool:
    """As ssh's patterns: ``*`` and ``?``; one that is negated and matches decides against."""
    matched = False
    for pattern in patterns:
        if fnmatch.fnmatchcase(name.lower(), pattern.lstrip("!").lower().replace("[", "[[]")):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _first(found: Mapping[str, list[tuple[str, ...]]], key: str) -> str | None:
    return found[key][0][0] if key in found else None


def _token_values(address: str, hostname: str, port: int, user: str, local_user: str) -> dict[str, str]:
    local = socket.gethostname()
    joined = f"{local}{hostname}{port}{user}"
    return {
        "h": hostname,
        "n": address,
        "p": str(port),
        "r": user,
        "u": local_user,
        "d": str(Path.home()),
        "i": str(os.getuid()),
        "l": local,
        "L": local.split(".", maxsplit=1)[0],
        "k": hostname,
        "j": "",
        "C": hashlib.sha1(joined.encode(), usedforsecurity=False).hexdigest(),
    }


def _tokens(text: str, values: Mapping[str, str]) -> str:
    return re.sub("%(.)", lambda match: "%" if match[1] == "%" else values.get(match[1], match[0]), text)


def _path(text: str, tokens: Mapping[str, str]) -> Path:
    text = re.sub(r"\$\{(\w+)\}", lambda match: os.environ.get(match[1], ""), text)
    return Path(_tokens(text, tokens)).expanduser()


def _paths(
    found: Mapping[str, list[tuple[str, ...]]], key: str, tokens: Mapping[str, str]
) -> tuple[Path, ...]:
    return tuple(_path(word, tokens) for word in found.get(key, [()])[0] if word != "none")


def _command(found: Mapping[str, list[tuple[str, ...]]], tokens: Mapping[str, str]) -> str | None:
    command = _first(found, "proxycommand")
    return None if command is None or command.lower() == "none" else _tokens(command, tokens)


def _agent(configured: str | None, tokens: Mapping[str, str]) -> str | None:
    if configured == "none":
        return None
    if configured is None or configured == "SSH_AUTH_SOCK":
        return os.environ.get("SSH_AUTH_SOCK") or None
    return str(_path(configured, tokens))


def _jumps(text: str | None) -> tuple[str, ...]:
    if text is None or text.lower() == "none":
        return ()
    return tuple(hop.strip() for hop in text.split(",") if hop.strip())


def _policy(strict: str | None) -> HostKeyPolicy:
    """``ask`` is strict here: nobody is there to be asked."""
    match (strict or "ask").lower():
        case "no" | "off":
            return HostKeyPolicy.OFF
        case "accept-new":
            return HostKeyPolicy.ACCEPT_NEW
        case _:
            return HostKeyPolicy.STRICT
