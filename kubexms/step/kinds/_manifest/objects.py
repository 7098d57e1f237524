"""The objects that a manifest's text holds, and the text as it is sent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import yaml
from pydantic_core import PydanticCustomError

from kubexms.step.kinds._yaml import load_all

_DUMPER: type[yaml.SafeDumper] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

NAMESPACE = ("", "Namespace")
DEFINITION = ("apiextensions.k8s.io", "CustomResourceDefinition")
NOWHERE = "-"
"""The namespace of what has none written. `default` counts as that: who writes none may mean it."""

Key: TypeAlias = tuple[str, str, str, str]
"""Group, kind, namespace, name: what an object stays while the version of its API changes."""


def key_of(api_version: str, kind: str, namespace: str, name: str) -> Key:
    """The key of an object by what is said of it."""
    group = api_version.rpartition("/")[0]
    return group, kind, NOWHERE if namespace in ("", "default", "<none>") else namespace, name


@dataclass(frozen=True, slots=True)
class Thing:
    """One object of a manifest."""

    api_version: str
    kind: str
    namespace: str
    """Empty where none is written."""
    name: str
    body: Mapping[str, Any]

    @property
    def shown(self) -> str:
        """As a person names it."""
        return named(self.kind, self.namespace, self.name)

    @property
    def key(self) -> Key:
        """What tells it from all others of a cluster."""
        return key_of(self.api_version, self.kind, self.namespace, self.name)

    @property
    def files(self) -> tuple[str, ...]:
        """The names that `kubectl diff` may give it."""
        version = self.api_version.replace("/", ".")
        spaces = (self.namespace,) if self.namespace else ("", "default")
        return tuple(f"{version}.{self.kind}.{space}.{self.name}" for space in spaces)


def named(kind: str, namespace: str, name: str) -> str:
    """`Deployment shop/web`, `Namespace shop`."""
    return f"{kind} {f'{namespace}/' if namespace else ''}{name}"


@lru_cache(maxsize=64)
def objects(text: str) -> tuple[Thing, ...]:
    """The objects in the text's order, those of lists one by one.

    Raises `PydanticCustomError` for what is not YAML, or no object.
    """
    try:
        found = [document for document in load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise PydanticCustomError("manifest_yaml", "not YAML: {error}", {"error": str(error)}) from None
    return tuple(_things(found))


def _things(found: list[Any]) -> Iterator[Thing]:
    while found:
        one = found.pop(0)
        if (
            isinstance(one, dict)
            and isinstance(one.get("items"), list)
            and str(one.get("kind")).endswith("List")
        ):
            found[:0] = one["items"]
            continue
        meta = one.get("metadata") if isinstance(one, dict) else None
        if not isinstance(meta, dict) or not all(
            isinstance(x, str) and x and not set(x) & set(" \t\r\n")
            for x in (one.get("kind"), meta.get("name"))
        ):
            raise PydanticCustomError(
                "manifest_object", "each object needs 'apiVersion', 'kind' and 'metadata.name'"
            )
        space = meta.get("namespace")
        yield Thing(
            str(one.get("apiVersion", "")), one["kind"], str(space) if space else "", meta["name"], one
        )


def first(text: str) -> tuple[str, str]:
    """What other objects may need: the namespaces and the definitions of kinds, and the definitions alone.

    Either is empty where there are none.
    """
    spaces = [thing for thing in objects(text) if thing.key[:2] == NAMESPACE]
    definitions = [thing for thing in objects(text) if thing.key[:2] == DEFINITION]
    return dumped([*spaces, *definitions]), dumped(definitions)


def dumped(things: Sequence[Thing]) -> str:
    """Their whole text."""
    return yaml.dump_all((thing.body for thing in things), Dumper=_DUMPER, sort_keys=False) if things else ""


@lru_cache(maxsize=64)
def sent(text: str) -> str:
    """The text as it is sent: with the protocol of ports, where it leaves that out.

    API servers before 1.22 refuse a server-side apply of ports whose protocol is not written, although
    it has a default.
    """
    found = load_all(text)
    added = [_protocols(one, service=False) for one in found]
    return yaml.dump_all(found, Dumper=_DUMPER, sort_keys=False) if any(added) else text


def _protocols(value: Any, *, service: bool) -> bool:
    added = False
    if isinstance(value, list):
        for item in value:
            added |= _protocols(item, service=service)
    elif isinstance(value, dict):
        service = service or value.get("kind") == "Service"
        ports = value.get("ports")
        for port in ports if isinstance(ports, list) else ():
            if isinstance(port, dict) and "protocol" not in port and (service or "containerPort" in port):
                port["protocol"] = "TCP"
                added = True
        for item in value.values():
            added |= _protocols(item, service=service)
    return added
