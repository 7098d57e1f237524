"""Views of the scope that record what is read from them.

A template never holds the scope's own containers, only these views. They are no subclasses of `dict`
and `list`: nothing in them can be reached other than through the methods below, so no filter, test
or C function can look past the record. An unknown value ends the rendering the moment it is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, overload

from kubexms.config.template.values import Deferred, Sensitive, Unknown


class UnknownAccess(Exception):
    """An unknown value was read; the trace has its name."""


@dataclass(slots=True)
class Trace:
    """What one rendering has read."""

    unknown: set[str] = field(default_factory=set)
    sensitive: bool = False
    reads: set[str] = field(default_factory=set)
    secrets: set[str] = field(default_factory=set, repr=False)
    """The sensitive values that were read, as texts, to be removed from what commands print."""
    supposing: bool = False
    """Go on with an empty text for what is unknown or would have to be fetched: only to see what is read."""
    unknown_at: set[str] = field(default_factory=set)
    """Those of `reads` that are unknown."""

    def met(self, raw: Unknown, path: str) -> None:
        """Record something unknown."""
        self.reads.add(path)
        self.unknown_at.add(path)
        self.unknown.add(raw.name or path)

    def open(self, raw: object, path: str) -> Any:
        """`raw` as a template may hold it. Raises `UnknownAccess`."""
        raw = self._unwrapped(raw)
        if isinstance(raw, Unknown):
            self.met(raw, path)
            if self.supposing:
                return ""
            raise UnknownAccess(path)
        if isinstance(raw, (TrackedMap, TrackedList)):
            return raw
        if isinstance(raw, Mapping):
            return TrackedMap(raw, path, self)
        if isinstance(raw, (list, tuple)):
            return TrackedList(raw, path, self)
        self.reads.add(path)
        return raw

    def _unwrapped(self, raw: object) -> object:
        wrapped = isinstance(raw, (Sensitive, Deferred))
        while isinstance(raw, (Sensitive, Deferred)):
            self.sensitive = True
            if self.supposing and isinstance(raw, Deferred):
                return ""
            raw = raw.value if isinstance(raw, Sensitive) else raw.load()
        if wrapped:
            self.secrets.update(_texts(raw))
        return raw

    def survey(self, raw: object, path: str) -> None:
        """Record everything below `raw`, without stopping at what is unknown."""
        raw = self._unwrapped(raw)
        if isinstance(raw, Unknown):
            self.met(raw, path)
        elif isinstance(raw, Mapping):
            for key, value in raw.items():
                self.survey(value, f"{path}.{key}")
        elif isinstance(raw, (list, tuple)):
            for index, value in enumerate(raw):
                self.survey(value, f"{path}[{index}]")


class TrackedMap(Mapping[Any, Any]):
    """A mapping of the scope."""

    __slots__ = ("_path", "_raw", "_trace")

    def __init__(self, raw: Mapping[Any, object], path: str, trace: Trace) -> None:
        self._raw, self._path, self._trace = raw, path, trace

    def child(self, key: object) -> str:
        """The dotted name of an entry."""
        return f"{self._path}.{key}" if self._path else str(key)

    def __getitem__(self, key: Any) -> Any:
        if key not in self._raw:
            self._missing(key)
            raise KeyError(key)
        return self._trace.open(self._raw[key], self.child(key))

    def __contains__(self, key: object) -> bool:
        if key not in self._raw:
            self._missing(key)
            return False
        self._trace.open(self._raw[key], self.child(key))
        return True

    def _missing(self, key: object) -> None:
        """A name that is not there was asked for; one that may be made of a secret is not recorded."""
        self._trace.reads.add(self._path if self._trace.sensitive else self.child(key))

    def names(self) -> list[str]:
        """The keys, for suggestions; not recorded."""
        return [str(key) for key in self._raw]

    def __iter__(self) -> Iterator[Any]:
        self._trace.reads.add(self._path)
        return iter(list(self._raw))

    def __len__(self) -> int:
        self._trace.reads.add(self._path)
        return len(self._raw)

    def __eq__(self, other: object) -> bool:
        return bool(detach(self) == detach(other))

    __hash__ = None  # type: ignore[assignment]  # as a dict: equal views need not be one object

    def __str__(self) -> str:
        return str(detach(self))

    __repr__ = __str__

    def detached(self) -> dict[Any, Any]:
        """A plain copy. Raises `UnknownAccess` if anything below is unknown, after recording all of it."""
        self._trace.reads.add(self._path)
        _stop_at_unknown(self._trace, self._raw, self._path)
        return {key: detach(self[key]) for key in self._raw}


class TrackedList(Sequence[Any]):
    """A list of the scope."""

    __slots__ = ("_path", "_raw", "_trace")

    def __init__(self, raw: Sequence[object], path: str, trace: Trace) -> None:
        self._raw, self._path, self._trace = raw, path, trace

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        self._trace.reads.add(self._path)
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self._raw)))]
        value = self._raw[index]
        return self._trace.open(value, f"{self._path}[{index % len(self._raw)}]")

    def __len__(self) -> int:
        self._trace.reads.add(self._path)
        return len(self._raw)

    def __eq__(self, other: object) -> bool:
        return bool(detach(self) == detach(other))

    __hash__ = None  # type: ignore[assignment]  # as a list

    def __lt__(self, other: object) -> bool:
        return bool(detach(self) < detach(other))

    def __le__(self, other: object) -> bool:
        return bool(detach(self) <= detach(other))

    def __gt__(self, other: object) -> bool:
        return bool(detach(self) > detach(other))

    def __ge__(self, other: object) -> bool:
        return bool(detach(self) >= detach(other))

    def __add__(self, other: object) -> list[Any]:
        return [*self, *_items(other)]

    def __radd__(self, other: object) -> list[Any]:
        return [*_items(other), *self]

    def __mul__(self, times: int) -> list[Any]:
        return list(self) * times

    __rmul__ = __mul__

    def __str__(self) -> str:
        return str(detach(self))

    __repr__ = __str__

    def detached(self) -> list[Any]:
        """A plain copy. Raises `UnknownAccess` if anything below is unknown, after recording all of it."""
        self._trace.reads.add(self._path)
        _stop_at_unknown(self._trace, self._raw, self._path)
        return [detach(item) for item in self]


def _texts(raw: object) -> Iterator[str]:
    """A sensitive value, and all values in it, as templates print them."""
    if isinstance(raw, Mapping):
        for value in raw.values():
            yield from _texts(value)
    elif isinstance(raw, (list, tuple)):
        for value in raw:
            yield from _texts(value)
    elif raw is not None and not isinstance(raw, (bool, Unknown, Sensitive, Deferred)):
        yield str(raw)


def _items(other: object) -> list[Any]:
    if not isinstance(other, (list, tuple, TrackedList)):
        raise TypeError(f"a list cannot be joined with {type(other).__name__}")
    return list(other)


def _stop_at_unknown(trace: Trace, raw: object, path: str) -> None:
    probe = Trace(supposing=trace.supposing)
    probe.survey(raw, path)
    trace.sensitive |= probe.sensitive
    trace.secrets |= probe.secrets
    if probe.unknown:
        trace.unknown |= probe.unknown
        trace.reads |= probe.reads
        trace.unknown_at |= probe.unknown_at
        if not trace.supposing:
            raise UnknownAccess(path)


def detach(value: Any) -> Any:
    """`value` without views anywhere inside. Raises `UnknownAccess`."""
    if isinstance(value, (TrackedMap, TrackedList)):
        return value.detached()
    if isinstance(value, dict):
        return {detach(key): detach(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [detach(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value
