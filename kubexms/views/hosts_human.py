"""Hosts: a table for people, all facts as JSON for tools."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from pydantic import JsonValue

from kubexms.views.jsontext import document
from kubexms.views.paint import Paint, plain
from kubexms.views.tables import table

HostRow: TypeAlias = tuple[str, Sequence[str], str, str, str, float, Mapping[str, JsonValue]]
"""Name, roles, address, error (empty: reachable), maintenance, seconds, facts."""


def hosts_text(rows: Sequence[HostRow], paint: Paint = plain) -> str:
    """The table."""
    heads = ("HOST", "STATUS", "ADDRESS", "ROLES", "SYSTEM", "ARCH", "KERNEL", "SECONDS")
    cells = [
        (
            name,
            _status(error, maintenance),
            address,
            ",".join(roles),
            _system(facts),
            str(facts.get("arch", "")),
            str(facts.get("kernel", "")),
            f"{seconds:.2f}",
        )
        for name, roles, address, error, maintenance, seconds, facts in rows
    ]
    return "".join(f"{line}\n" for line in table(heads, cells, paint))


def hosts_data(rows: Sequence[HostRow]) -> str:
    """One JSON document with everything."""
    data: dict[str, JsonValue] = {
        name: {
            "roles": list(roles),
            "address": address,
            "reachable": not error,
            "error": error,
            "maintenance": maintenance,
            "facts": dict(facts),
        }
        for name, roles, address, error, maintenance, _, facts in rows
    }
    return document({"hosts": data})


def _status(error: str, maintenance: str) -> str:
    if error:
        return f"unreachable: {error}"
    return f"ok, in maintenance: {maintenance}" if maintenance else "ok"


def _system(facts: Mapping[str, JsonValue]) -> str:
    system = facts.get("os")
    return (
        str(system.get("pretty") or system.get("name") or system.get("id", ""))
        if isinstance(system, dict)
        else ""
    )
