"""The hosts of a project, known before its other documents are checked: who asks them connects meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from kubexms.config.discover import Discovery, Found
from kubexms.config.documents import Validated
from kubexms.config.inventory import InventoryReader
from kubexms.config.problems import Problems
from kubexms.config.selection import Selection, inventories, own_hosts, select
from kubexms.errors import ConfigError
from kubexms.spec.inventory import Host, InventorySpec
from kubexms.spec.project import ProjectSpec

HostsKnown: TypeAlias = Callable[[ProjectSpec, tuple[Host, ...]], None]
"""Is told the settings and the hosts of a project whose other documents may still be wrong."""


@dataclass(frozen=True, slots=True)
class Known:
    """The project's settings, the inventories that hold, and their hosts."""

    selection: Selection
    inventories: list[Validated]
    hosts: tuple[Host, ...]


def hosts_in_turn(
    documents: Sequence[Validated], discovery: Discovery, environment: str | None, reader: InventoryReader
) -> Known:
    """The hosts, after all documents have been checked; what is wrong goes to the problems. Runs commands."""
    selection = select(documents, environment)
    chosen = inventories(documents, selection, discovery, discovery.problems) + own_hosts(documents)
    return Known(selection, chosen, reader.hosts(chosen))


def hosts_beforehand(
    found: Sequence[Found], discovery: Discovery, environment: str | None, reader: InventoryReader
) -> Known | None:
    """The hosts, by the documents that list hosts alone. Runs no command.

    None if anything is to be said about them, or if a command is to tell them: then they are looked at in
    their turn.
    """
    problems = Problems()
    documents: list[Validated] = []
    for validated in _about_hosts(found, discovery):
        if validated is None:
            return None
        documents.append(validated)
    try:
        selection = select(documents, environment)
        chosen = inventories(documents, selection, replace(discovery, problems=problems), problems)
        chosen += own_hosts(documents)
        if any(isinstance(item.spec, InventorySpec) and _dynamic(item.spec) for item in chosen):
            return None
        hosts = replace(reader, problems=problems).hosts(chosen)
    except ConfigError:
        return None
    return None if problems.count or problems.warnings else Known(selection, chosen, hosts)


def _about_hosts(found: Sequence[Found], discovery: Discovery) -> Iterator[Validated | None]:
    for item in found:
        if item.kind in discovery.kinds:
            kind = discovery.kinds[item.kind]
            if kind.inventory is not None or issubclass(kind.model, InventorySpec | ProjectSpec):
                yield item.checked(discovery.kinds, discovery.schemas)[0]


def _dynamic(spec: InventorySpec) -> bool:
    return spec.from_ is not None and spec.from_.command is not None
