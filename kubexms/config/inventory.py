"""From inventory documents to hosts: ranges, roles, defaults, and hosts taken from elsewhere."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from kubexms.config.ansible import imported
from kubexms.config.commands import RunCommand, advice, said
from kubexms.config.documents import Validated
from kubexms.config.problems import Problems
from kubexms.config.ranges import expand_name
from kubexms.config.yaml import Path as DocumentPath
from kubexms.diagnostics import SourceRange
from kubexms.errors import ConfigError
from kubexms.spec.inventory import ConnectionSpec, Host, HostSpec, InventorySpec, Maintenance, RoleSpec

IMPORT_TIMEOUT = 120.0
"""Seconds that an inventory command may take."""


@dataclass(frozen=True, slots=True)
class _Listed:
    """A host as one document lists it."""

    spec: HostSpec
    document: Validated
    path: DocumentPath


@dataclass(frozen=True, slots=True)
class InventoryReader:
    """Turns inventory documents into hosts. What is wrong goes to `problems`."""

    run_command: RunCommand
    problems: Problems
    now: datetime
    untrusted: bool = False

    def hosts(self, documents: Sequence[Validated]) -> tuple[Host, ...]:
        """All hosts of the documents, in their order: defaults < roles (later wins) < host."""
        found: dict[str, tuple[_Listed, Host]] = {}
        for document in documents:
            spec = document.spec
            assert isinstance(spec, InventorySpec)
            for listed in self._listed(document, spec):
                name = listed.spec.name
                if name in found:
                    self._twice(listed, found[name][0])
                    continue
                found[name] = (listed, self._merge(spec, listed))
        return tuple(host for _, host in found.values())

    def _twice(self, listed: _Listed, first: _Listed) -> None:
        place = first.document.document.range(first.path)
        summary = f"host '{listed.spec.name}' is there twice"
        detail = f"It is listed first in {place.filename} line {place.line}. List each host once."
        self.problems.add(listed.document.document.error(listed.path, summary, detail))

    def _listed(self, document: Validated, spec: InventorySpec) -> Iterator[_Listed]:
        for index, host in enumerate(spec.hosts):
            path: DocumentPath = ("spec", "hosts", index, "name")
            try:
                names = expand_name(host.name)
            except ConfigError as error:
                self.problems.add(document.document.error(path, error.summary, error.detail))
                continue
            for name in names:
                yield _Listed(host.model_copy(update={"name": name}), document, path)
        if spec.from_ is not None:
            try:
                for host in imported(*self._source(document, spec)):
                    yield _Listed(host, document, ("spec", "from"))
            except ConfigError as error:
                self.problems.add(document.document.error(("spec", "from"), error.summary, error.detail))

    def _source(self, document: Validated, spec: InventorySpec) -> tuple[bytes, str]:
        source = spec.from_
        assert source is not None
        if source.file is not None:
            path = document.directory / Path(source.file).expanduser()
            try:
                return path.read_bytes(), source.file
            except OSError as error:
                raise ConfigError(f"cannot read the inventory {source.file}: {error.strerror}") from None
        command = list(source.command or ())
        if self.untrusted:
            raise ConfigError(
                "an inventory from a command is not run with --untrusted",
                detail="Give the hosts in a file, or choose another inventory.",
            )
        done = self.run_command(command, timeout=IMPORT_TIMEOUT, directory=str(document.directory))
        if done.status != 0:
            raise ConfigError(
                f"the inventory command {command[0]} {said(done)}", detail=advice(done, document.directory)
            )
        return done.stdout, f"the output of {command[0]}"

    def _merge(self, spec: InventorySpec, listed: _Listed) -> Host:
        host = listed.spec
        roles = list(dict.fromkeys([*spec.defaults.roles, *self._named(spec, listed), *host.roles]))
        layers = [spec.roles[role] for role in roles if role in spec.roles]
        variables: dict[str, JsonValue] = dict(spec.defaults.vars)
        for layer in layers:
            variables.update(layer.vars)
        variables.update(host.vars)
        connections = [spec.defaults.connection, *(layer.connection for layer in layers), host.connection]
        return Host(
            name=host.name,
            roles=tuple(roles),
            vars=variables,
            connection=merge_connections(connections),
            maintenance=self._maintenance(host.maintenance, listed),
        )

    def _named(self, spec: InventorySpec, listed: _Listed) -> Iterator[str]:
        for name, role in spec.roles.items():
            try:
                if _has(role, listed.spec.name):
                    yield name
            except ConfigError as error:
                path = ("spec", "roles", name, "hosts")
                self.problems.add(listed.document.document.error(path, error.summary, error.detail))

    def _maintenance(self, entry: Maintenance | None, listed: _Listed) -> Maintenance | None:
        if entry is None or entry.until is None or entry.until > self.now:
            return entry
        path = (*listed.path[:-1], "maintenance", "until")
        summary = f"the maintenance of {listed.spec.name} ended on {entry.until:%Y-%m-%d at %H:%M %Z}"
        self.problems.add(
            listed.document.document.warning(path, summary, "The host takes part again; remove the entry.")
        )
        return None


def _has(role: RoleSpec, host: str) -> bool:
    for pattern in role.hosts:
        names = [pattern] if set(pattern) & set("*?") else expand_name(pattern)
        if any(fnmatch.fnmatchcase(host, name) for name in names):
            return True
    return False


def merge_connections(layers: Iterable[ConnectionSpec]) -> ConnectionSpec:
    """Connections laid over each other: what a later one says wins, also inside of `become`."""
    merged: dict[str, Any] = {}
    for layer in layers:
        said_here = layer.model_dump(exclude_unset=True)
        become = said_here.get("become")
        if isinstance(become, Mapping) and isinstance(merged.get("become"), Mapping):
            said_here["become"] = {**merged["become"], **become}
        merged.update(said_here)
    return ConnectionSpec.model_validate(merged)


def known_roles(documents: Sequence[Validated], hosts: Sequence[Host]) -> frozenset[str]:
    """Every role that is named anywhere in the inventories, with or without hosts."""
    named = {role for item in documents if isinstance(item.spec, InventorySpec) for role in item.spec.roles}
    return frozenset(named | {role for host in hosts for role in host.roles})


def host_place(documents: Sequence[Validated], name: str) -> SourceRange | None:
    """Where the inventories list a host, for messages about it."""
    for item in documents:
        if not isinstance(item.spec, InventorySpec):
            continue
        for index, host in enumerate(item.spec.hosts):
            if name in expand_name(host.name):
                return item.document.range(("spec", "hosts", index, "name"))
    return None
