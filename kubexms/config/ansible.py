"""Ansible's inventory JSON, as `ansible-inventory --list` and dynamic inventory scripts print it.

Format: https://docs.ansible.com/ansible/latest/dev_guide/developing_inventory.html
(`_meta.hostvars`, groups with `hosts`, `children` and `vars`, or a bare list of hosts).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from kubexms.config.yaml import read_documents
from kubexms.errors import ConfigError
from kubexms.spec.base import Json
from kubexms.spec.inventory import HostSpec

_FIELDS: Mapping[str, tuple[str, ...]] = {
    "address": ("ansible_host", "ansible_ssh_host"),
    "port": ("ansible_port", "ansible_ssh_port"),
    "user": ("ansible_user", "ansible_ssh_user"),
    "identityFiles": ("ansible_ssh_private_key_file", "ansible_private_key_file"),
    "connectTimeout": ("ansible_timeout", "ansible_ssh_timeout"),
}
_LOCAL = {"local"}
_SSH = {"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh"}
_TRUE = {"true", "yes", "on", "1"}
_JUMP = re.compile(r"-J\s*(\S+)|-o\s*['\"]?ProxyJump[= ](\S+?)['\"]?(?:\s|$)")
_IMPLICIT = ("all", "ungrouped")


def imported(data: bytes, origin: str) -> list[HostSpec]:
    """Hosts of an inventory: groups become roles, their vars and the hosts' become vars.

    What `ansible_*` variables say goes to the connection.

    Raises `ConfigError` for an empty answer too: an import that fails silently would remove every host.
    """
    if not data.strip():
        raise ConfigError(
            f"{origin} is empty", detail="It must be Ansible's inventory JSON (`ansible-inventory --list`)."
        )
    name = origin if origin.endswith(".json") else f"{origin}.json"
    try:
        documents = read_documents(data, name)
    except ConfigError as error:
        place = error.diagnostics[0].source
        where = f" (line {place.line}, column {place.column})" if place is not None else ""
        problem = error.summary.removeprefix(f"{name} is ")
        raise ConfigError(f"{origin} is {problem}{where}", detail=error.detail) from None
    value = documents[0].value if documents else None
    if not isinstance(value, dict):
        raise ConfigError(
            f"{origin} is not an inventory",
            detail="It must be Ansible's inventory JSON: a mapping of groups.",
        )
    reader = _Reader(value, origin)
    hosts = reader.hosts()
    if not hosts:
        raise ConfigError(
            f"{origin} names no hosts",
            detail="An import without hosts would remove every host; check what it is made from.",
        )
    return hosts


class _Reader:
    def __init__(self, data: Mapping[str, Json], origin: str) -> None:
        self._data = data
        self._origin = origin
        meta = data.get("_meta")
        hostvars = meta.get("hostvars") if isinstance(meta, dict) else None
        self._hostvars: Mapping[str, Json] = hostvars if isinstance(hostvars, dict) else {}

    def hosts(self) -> list[HostSpec]:
        """Every host, groups in the order of the inventory."""
        roles: dict[str, list[str]] = {}
        variables: dict[str, dict[str, Json]] = {}
        for group in self._data:
            if group == "_meta":
                continue
            own = self._vars(group)
            for name in dict.fromkeys(self._members(group, ())):
                known = roles.setdefault(name, [])
                if group not in _IMPLICIT:
                    known.append(group)
                variables.setdefault(name, {}).update(own)
        for name in self._hostvars:
            roles.setdefault(name, [])
        return [self._host(name, groups, variables.get(name, {})) for name, groups in roles.items()]

    def _vars(self, group: str) -> dict[str, Json]:
        body = self._data[group]
        found = body.get("vars") if isinstance(body, dict) else None
        return found if isinstance(found, dict) else {}

    def _members(self, group: str, trail: tuple[str, ...]) -> Iterator[str]:
        body = self._data.get(group)
        if group in trail:
            raise ConfigError(f"{self._origin}: group '{group}' contains itself")
        if isinstance(body, list):
            yield from map(str, body)
        elif isinstance(body, dict):
            yield from map(str, _list(body.get("hosts")))
            for child in _list(body.get("children")):
                yield from self._members(str(child), (*trail, group))

    def _host(self, name: str, groups: list[str], group_vars: Mapping[str, Json]) -> HostSpec:
        own = self._hostvars.get(name)
        variables: dict[str, Json] = {**group_vars, **(own if isinstance(own, dict) else {})}
        roles: list[Json] = [_role(group) for group in groups]
        plain: dict[str, Json] = {key: v for key, v in variables.items() if not key.startswith("ansible_")}
        try:
            return HostSpec.from_json(
                {"name": name, "roles": roles, "vars": plain, "connection": self._connection(name, variables)}
            )
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(str(part) for part in first["loc"])
            raise ConfigError(f"{self._origin}: host '{name}': {field}: {first['msg']}") from None

    def _connection(self, name: str, variables: Mapping[str, Json]) -> dict[str, Json]:
        found: dict[str, Json] = {}
        for field, names in _FIELDS.items():
            given = next((variables[key] for key in names if variables.get(key) is not None), None)
            if given is not None:
                found[field] = [given] if field == "identityFiles" else _number(given, field)
        kind = variables.get("ansible_connection")
        if kind is not None and kind not in _LOCAL | _SSH:
            raise ConfigError(
                f"{self._origin}: host '{name}' is reached by '{kind}'",
                detail="Only ssh and local are supported.",
            )
        if kind is not None:
            found["type"] = "local" if kind in _LOCAL else "ssh"
        jump = _JUMP.search(str(variables.get("ansible_ssh_common_args") or ""))
        if jump is not None:
            found["proxyJump"] = [*(jump[1] or jump[2]).split(",")]
        become = variables.get("ansible_become")
        if become is not None:
            found["become"] = _become(str(become).lower() in _TRUE, variables)
        return found


def _become(wanted: bool, variables: Mapping[str, Json]) -> dict[str, Json]:
    user = variables.get("ansible_become_user")
    method: dict[str, Json] = {"method": "sudo" if wanted else "none"}
    return {**method, "user": str(user)} if user else method


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _number(value: Json, field: str) -> Json:
    if field in ("port", "connectTimeout") and isinstance(value, str) and value.isdecimal():
        return int(value)
    return value


def _role(group: str) -> str:
    name = re.sub(r"[^A-Za-z0-9_.-]", "_", group)
    return name if name[:1].isalpha() or name.startswith("_") else f"_{name}"
