"""The hosts: do they answer, and what are they."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from pydantic import JsonValue

from kubexms.views.paint import Paint, plain
from kubexms.views.tables import table_lines


class HostView(Protocol):
    """What is shown of a host; `facts` is empty for one that did not answer."""

    @property
    def name(self) -> str: ...
    @property
    def roles(self) -> tuple[str, ...]: ...
    @property
    def address(self) -> str: ...
    @property
    def reachable(self) -> bool: ...
    @property
    def error(self) -> str: ...
    @property
    def maintenance(self) -> str: ...
    @property
    def seconds(self) -> float: ...
    @property
    def facts(self) -> Mapping[str, JsonValue]: ...


def hosts_text(hosts: Sequence[HostView], paint: Paint = plain) -> str:
    """A table in the order of the inventory."""
    rows = [
        (
            host.name,
            ",".join(host.roles) or "-",
            host.address,
            system(host.facts),
            _text(host.facts, "arch"),
            _answer(host),
        )
        for host in hosts
    ]
    head = ("HOST", "ROLES", "ADDRESS", "SYSTEM", "ARCH", "ANSWERS")
    return "".join(f"{line}\n" for line in table_lines(head, rows, paint))


def hosts_json(hosts: Sequence[HostView]) -> JsonValue:
    """The same with every fact."""
    return [
        {
            "name": host.name,
            "roles": list(host.roles),
            "address": host.address,
            "reachable": host.reachable,
            "error": host.error,
            "maintenance": host.maintenance,
            "seconds": round(host.seconds, 3),
            "facts": dict(host.facts),
        }
        for host in hosts
    ]


def system(facts: Mapping[str, JsonValue]) -> str:
    """The name that the system gives itself, or `-`."""
    os = facts.get("os")
    return (
        "-"
        if not isinstance(os, dict)
        else next((t for n in ("pretty", "name", "id") if (t := _text(os, n)) != "-"), "-")
    )


def _answer(host: HostView) -> str:
    answer = f"yes, {host.seconds:.1f}s" if host.reachable else f"no: {host.error}"
    return f"{answer} (maintenance: {host.maintenance})" if host.maintenance else answer


def _text(facts: Mapping[str, JsonValue], name: str) -> str:
    value = facts.get(name)
    return str(value) if isinstance(value, (str, int, float)) and value != "" else "-"
