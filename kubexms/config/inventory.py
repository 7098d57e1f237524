"""From inventory documents to hosts: ranges, roles, defaults, and hosts taken from Ansible."""

from __future__ import annotations

import fnmatch
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from kubexms.errors import ConfigError
from kubexms.spec.inventory import ConnectionSpec, Host, HostSpec, InventorySpec, RoleSpec

RunCommand = Callable[..., Any]
"""`runtime.connect.run_local_command`, or a stand-in."""

_RANGE = re.compile(r"\[([^\[\]]+)\]")
_LIMIT = 10_000


def expand_name(name: str) -> list[str]:
    """The names of a range: `n[01-03]` is n01, n02, n03; `[a,b]` a list; several ranges multiply.

    Raises `ConfigError` for a range that is none, or of more than 10,000 names.
    """
    pieces = _RANGE.split(name)
    choices: list[list[str]] = []
    for index, piece in enumerate(pieces):
        choices.append(list(_members(piece, name)) if index % 2 else [piece])
    count = 1
    for choice in choices:
        count *= len(choice)
    if count > _LIMIT:
        raise ConfigError(
            f"the range {name} stands for {count} hosts", detail=f"At most {_LIMIT} are allowed."
        )
    if any(mark in piece for piece in pieces[::2] for mark in "[],"):
        raise ConfigError(f"the range in {name} is not closed", detail="Write it as n[01-30] or n[a,b].")
    return ["".join(parts) for parts in itertools.product(*choices)]


def _members(text: str, name: str) -> Iterator[str]:
    for part in text.split(","):
        match = re.fullmatch(r"(\d+)[-:](\d+)", part)
        if match is None:
            if not re.fullmatch(r"[A-Za-z0-9_.-]+", part):
                raise ConfigError(
                    f"[{text}] in {name} is not a range", detail="Write it as n[01-30] or n[a,b]."
                )
            yield part
            continue
        first, last = match.groups()
        if int(last) < int(first):
            raise ConfigError(
                f"the range [{part}] in {name} runs backwards", detail=f"Write [{last}-{first}]."
            )
        if int(last) - int(first) > _LIMIT:
            raise ConfigError(
                f"the range [{part}] in {name} is too long", detail=f"At most {_LIMIT} hosts are allowed."
            )
        width = len(first)
        yield from (str(number).zfill(width) for number in range(int(first), int(last) + 1))


def merge_hosts(
    spec: InventorySpec,
    base: Path,
    run_command: RunCommand,
    *,
    now: datetime | None = None,
    untrusted: bool = False,
) -> tuple[Host, ...]:
    """All hosts with roles, defaults and imports merged: defaults < roles (later wins) < host.

    Raises `ConfigError`: a name twice, an import that is empty or unreadable.
    """
    hosts: dict[str, HostSpec] = {}
    for host in _all(spec, base, run_command, untrusted):
        if host.name in hosts:
            raise ConfigError(f"host '{host.name}' is there twice", detail="Each host may be listed once.")
        hosts[host.name] = host
    return tuple(_merge(spec, host, now or datetime.now(UTC)) for host in hosts.values())


def _all(spec: InventorySpec, base: Path, run_command: RunCommand, untrusted: bool) -> Iterator[HostSpec]:
    for host in spec.hosts:
        for name in expand_name(host.name):
            yield host.model_copy(update={"name": name})
    if spec.from_ is not None:
        yield from imported(_source_text(spec, base, run_command, untrusted))


def _source_text(spec: InventorySpec, base: Path, run_command: RunCommand, untrusted: bool) -> str:
    source = spec.from_
    assert source is not None
    if source.file is not None:
        path = base / source.file
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read the inventory {path}: {error}") from error
    if untrusted:
        raise ConfigError("an inventory from a command is not run with --untrusted")
    done = run_command(list(source.command or ()), timeout=60.0, directory=str(base))
    if done.status != 0:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise ConfigError(
            f"the inventory command {source.command} failed with status {done.status}", detail=said
        )
    return str(done.stdout.decode("utf-8", "replace"))


_CONNECTION = {
    "ansible_host": "address",
    "ansible_port": "port",
    "ansible_user": "user",
    "ansible_ssh_user": "user",
}


def imported(text: str) -> list[HostSpec]:
    """Hosts from Ansible's inventory JSON (`ansible-inventory --list`): groups become roles.

    Raises `ConfigError` for an empty answer: an import that fails silently would remove every host.
    """
    try:
        data = json.loads(text) if text.strip() else None
    except ValueError as error:
        raise ConfigError(f"the imported inventory is not JSON: {error}") from error
    if not isinstance(data, dict) or not data:
        raise ConfigError(
            "the imported inventory is empty", detail="It should print Ansible's inventory JSON."
        )
    roles: dict[str, list[str]] = {}
    for group, members in data.items():
        if group in ("_meta", "all", "ungrouped"):
            names = members.get("hosts", []) if group != "_meta" and isinstance(members, dict) else []
            for name in names:
                roles.setdefault(name, [])
            continue
        for name in _group(data, group, set()):
            roles.setdefault(name, []).append(group)
    variables: Mapping[str, Any] = data.get("_meta", {}).get("hostvars", {})
    for name in variables:
        roles.setdefault(name, [])
    if not roles:
        raise ConfigError(
            "the imported inventory names no hosts", detail="It should print Ansible's inventory JSON."
        )
    return [_host(name, groups, dict(variables.get(name, {}))) for name, groups in roles.items()]


def _group(data: Mapping[str, Any], group: str, seen: set[str]) -> Iterator[str]:
    if group in seen:
        return
    seen.add(group)
    members = data.get(group)
    if isinstance(members, list):
        yield from members
    elif isinstance(members, dict):
        yield from members.get("hosts", [])
        for child in members.get("children", []):
            yield from (name for name in _group(data, child, seen))


def _host(name: str, groups: Sequence[str], variables: dict[str, Any]) -> HostSpec:
    connection: dict[str, JsonValue] = {
        field: variables[key] for key, field in _CONNECTION.items() if variables.get(key) is not None
    }
    if "port" in connection:
        connection["port"] = int(str(connection["port"]))
    kind = variables.get("ansible_connection")
    if kind is not None:
        connection["type"] = "local" if kind == "local" else "ssh"
    if variables.get("ansible_ssh_private_key_file"):
        connection["identityFiles"] = [variables["ansible_ssh_private_key_file"]]
    if variables.get("ansible_become"):
        connection["become"] = {"user": variables.get("ansible_become_user", "root")}
    own = {key: value for key, value in variables.items() if not key.startswith("ansible_")}
    roles = list(dict.fromkeys(re.sub(r"[^A-Za-z0-9_.-]", "_", group) for group in groups))
    return HostSpec.model_validate({"name": name, "roles": roles, "vars": own, "connection": connection})


def _merge(spec: InventorySpec, host: HostSpec, now: datetime) -> Host:
    roles = list(dict.fromkeys([*spec.defaults.roles, *host.roles, *_roles_naming(spec.roles, host.name)]))
    layers = [spec.roles[role] for role in roles if role in spec.roles]
    variables: dict[str, JsonValue] = dict(spec.defaults.vars)
    for layer in layers:
        variables.update(layer.vars)
    variables.update(host.vars)
    connection = merge_connections(
        [spec.defaults.connection, *(layer.connection for layer in layers), host.connection]
    )
    maintenance = host.maintenance
    if maintenance is not None and maintenance.until is not None:
        until = maintenance.until if maintenance.until.tzinfo else maintenance.until.replace(tzinfo=UTC)
        maintenance = maintenance if until > now else None
    return Host(
        name=host.name, roles=tuple(roles), vars=variables, connection=connection, maintenance=maintenance
    )


def _roles_naming(roles: Mapping[str, RoleSpec], host: str) -> Iterator[str]:
    for name, role in roles.items():
        for pattern in role.hosts:
            names = expand_name(pattern) if "[" in pattern and not set(pattern) & set("*?") else [pattern]
            if any(fnmatch.fnmatchcase(host, one) for one in names):
                yield name
                break


def merge_connections(layers: Iterable[ConnectionSpec]) -> ConnectionSpec:
    """Connections laid over each other: what a later one says wins."""
    merged: dict[str, Any] = {}
    for layer in layers:
        merged.update({name: getattr(layer, name) for name in layer.model_fields_set})
    return ConnectionSpec.model_construct(
        **{**{n: f.default for n, f in ConnectionSpec.model_fields.items()}, **merged}
    )
