"""What a cluster remembers of the objects that a step has applied, and what becomes of those that left it.

A ConfigMap per set has a line for each object: whether kubexms made it, its UID, and what it is. Only what
kubexms made, and is still that very object, and has no other keeper, is ever deleted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import yaml

from kubexms.step.kinds._manifest.objects import (
    DEFINITION,
    NAMESPACE,
    NOWHERE,
    Key,
    Thing,
    key_of,
    named,
)

PREFIX = "kubexms-"
"""Begins the names of the ConfigMaps."""
MANAGER = "kubexms"
LEFT = "no longer specified, to be deleted"
GONE = "no longer specified, gone"
COUNTED = 5
"""How many names a note tells before it only counts."""

APPLIERS = ("helm", "kubectl-client-side-apply", "argocd-controller", "argocd-application-controller")
"""Who keeps objects without applying them on the server's side, as managedFields name them."""
HOLDING_DATA = {("", "PersistentVolumeClaim"), ("", "PersistentVolume")}
_LAST = (DEFINITION, NAMESPACE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a set."""

    set: str
    made: bool
    """Whether kubexms made the object; else it was there before."""
    uid: str
    """`-`: it was about to be made."""
    api_version: str
    kind: str
    namespace: str
    name: str

    @property
    def key(self) -> Key:
        """See `objects.Key`."""
        return key_of(self.api_version, self.kind, self._space, self.name)

    @property
    def shown(self) -> str:
        """As a person names it."""
        return named(self.kind, self._space, self.name)

    @property
    def _space(self) -> str:
        return "" if self.namespace == NOWHERE else self.namespace


@dataclass(frozen=True, slots=True)
class Live:
    """What the API says of an object now."""

    key: Key
    uid: str
    keepers: tuple[str, ...]
    """Who else manages it: appliers, owners."""


@dataclass(slots=True)
class Told:
    """What an answer tells besides differences."""

    own: list[Entry] = field(default_factory=list)
    others: dict[Key, str] = field(default_factory=dict)
    """Objects of other sets, and the set of each."""
    live: dict[Key, Live] = field(default_factory=dict)
    inside: dict[Key, list[tuple[Key, str]]] = field(default_factory=dict)
    """What is in a namespace, or of a defined kind: by the key of the namespace or definition."""
    early: bool = False
    """Nothing could be compared, as a kind or a namespace is not there yet."""


def told(text: str, own: str) -> Told:
    """Read an answer about the set `own`."""
    found = Told()
    for line in text.splitlines():
        mark, _, rest = line.partition(" ")
        if mark == "early":
            found.early = True
        elif mark == "@":
            set_, made, uid, *what = rest.split(" ")
            entry = Entry(set_.removeprefix(PREFIX), made == "made", uid, *what)
            if entry.set == own:
                found.own.append(entry)
            else:
                found.others[entry.key] = entry.set
        elif mark == "?":
            one = _live(rest)
            found.live[one.key] = one
        elif mark == "!":
            holder, _, held = rest.partition("\t")
            kind, name = holder.split(" ")
            group = NAMESPACE[0] if kind == NAMESPACE[1] else DEFINITION[0]
            version, of, space, called = held.split(" ")
            shown = named(of, "" if space == "<none>" or kind == NAMESPACE[1] else space, called)
            inside = found.inside.setdefault((group, kind, NOWHERE, name), [])
            inside.append((key_of(version, of, space, called), shown))
    return found


def _live(columns: str) -> Live:
    version, kind, space, uid, name, managers, operations, owners = re.split(" {2,}", columns.strip())
    keepers = [
        manager
        for manager, operation in zip(managers.split(","), operations.split(","), strict=False)
        if manager != MANAGER and (operation == "Apply" or manager in APPLIERS)
    ]
    keepers += [f"a {owner}" for owner in owners.split(",") if owner != "<none>"]
    return Live(key_of(version, kind, space, name), uid, tuple(dict.fromkeys(keepers)))


def leaving(wanted: Sequence[Thing], answer: Told) -> dict[Entry, str]:
    """The objects of the set that are not wanted any more, and what is to be said of each.

    `LEFT` means that it is to be deleted; all others stay.
    """
    keys = {thing.key for thing in wanted}
    uids = {answer.live[key].uid for key in keys if key in answer.live}
    return {entry: _fate(entry, answer, uids) for entry in answer.own if entry.key not in keys}


def _fate(entry: Entry, answer: Told, wanted: set[str]) -> str:
    live = answer.live.get(entry.key)
    if live is None:
        return GONE
    if live.uid in wanted:
        return "no longer specified in this group"
    why = ""
    if not entry.made:
        why = "it was there before"
    elif entry.uid not in (NOWHERE, live.uid):
        why = "somebody made it anew"
    elif entry.key in answer.others:
        why = f"it is one of {answer.others[entry.key]} too"
    elif live.keepers:
        why = f"{live.keepers[0]} manages it"
    return f"no longer specified, stays: {why}" if why else LEFT


def notes(deleted: Sequence[Entry], answer: Told) -> Iterator[str]:
    """What goes along with a namespace or the definition of a kind."""
    known = {entry.key for entry in deleted}
    for entry in deleted:
        if entry.key[:2] in _LAST:
            names = [shown for key, shown in answer.inside.get(entry.key, ()) if key not in known]
            more = f" and {len(names) - COUNTED} more" if len(names) > COUNTED else ""
            yield f"{entry.shown} takes {', '.join(names[:COUNTED]) or 'nothing else'}{more} along"


def lossy(deleted: Sequence[Entry], answer: Told) -> bool:
    """Whether more is lost than what the manifest itself would bring again."""
    known = {entry.key for entry in deleted}
    held = any(key not in known for entry in deleted for key, _ in answer.inside.get(entry.key, ()))
    return held or any(entry.key[:2] in HOLDING_DATA for entry in deleted)


def in_order(deleted: Sequence[Entry]) -> list[str]:
    """Texts for `kubectl delete`, each to be done before the next.

    Objects of kinds that go along are first, while their controllers run; kinds and namespaces are last.
    """
    groups = {entry.name.partition(".")[2] for entry in deleted if entry.key[:2] == DEFINITION}

    def rank(entry: Entry) -> int:
        return _LAST.index(entry.key[:2]) + 2 if entry.key[:2] in _LAST else int(entry.key[0] not in groups)

    ordered = sorted(deleted, key=rank)
    return [
        yaml.safe_dump_all([_named(entry) for entry in some], sort_keys=False)
        for _, some in groupby(ordered, key=rank)
    ]


def _named(entry: Entry) -> dict[str, object]:
    meta = {"name": entry.name}
    if entry.namespace != NOWHERE:
        meta["namespace"] = entry.namespace
    return {"apiVersion": entry.api_version, "kind": entry.kind, "metadata": meta}
