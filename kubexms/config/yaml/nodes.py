"""The tree between the YAML parser's events and plain data; anchored nodes are shared, not copied."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubexms.config.yaml.document import Document, Path, Span
from kubexms.config.yaml.scalars import Scalar, Trap
from kubexms.config.yaml.source import SourceText
from kubexms.errors import ConfigError
from kubexms.spec.base import Json

MAX_DEPTH = 100
"""How deep collections may be nested, aliases followed."""

MAX_ALIASED = 100_000
"""How many values the aliases of one document may stand for, all together."""


@dataclass(slots=True)
class ScalarNode:
    """One scalar, read."""

    span: Span
    value: Scalar
    trap: Trap | None = None


@dataclass(slots=True)
class SequenceNode:
    """A list."""

    span: Span
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class AliasNode:
    """Another place where an anchored node stands."""

    span: Span
    target: Node


@dataclass(slots=True)
class Entry:
    """One key and its value; `span` is the key's."""

    key: str
    span: Span
    value: Node


@dataclass(slots=True)
class MappingNode:
    """A mapping, keys unique; `merges` are its `<<` values, the earlier ones winning."""

    span: Span
    entries: list[Entry] = field(default_factory=list)
    merges: list[Node] = field(default_factory=list)


Node = ScalarNode | SequenceNode | MappingNode | AliasNode


class Expansion:
    """Turns one node tree into a `Document`, with aliases replaced by what they stand for."""

    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._spans: dict[Path, Span] = {}
        self._traps: dict[Path, Trap] = {}
        self._aliased = 0
        self._depth = 0

    def document(self, root: Node, index: int) -> Document:
        """The document. Raises `ConfigError` for an alias bomb."""
        value = self._expand(root, (), None, in_alias=False)
        return Document(self._source, value, self._spans, self._traps, index)

    def _expand(self, node: Node, path: Path, key: Span | None, *, in_alias: bool) -> Json:
        if isinstance(node, AliasNode):
            node, in_alias = node.target, True
            assert not isinstance(node, AliasNode)
        span = node.span
        if key is not None:
            span = Span(span.start, span.end, key.start, key.end, span.block)
        self._spans[path] = span
        if in_alias:
            self._aliased += 1
        if self._aliased > MAX_ALIASED or len(path) > MAX_DEPTH:
            raise self._too_much(node.span)
        if isinstance(node, ScalarNode):
            if node.trap is not None:
                self._traps[path] = node.trap
            return node.value
        if isinstance(node, SequenceNode):
            return [
                self._expand(item, (*path, i), None, in_alias=in_alias) for i, item in enumerate(node.items)
            ]
        return {
            entry.key: self._expand(entry.value, (*path, entry.key), entry.span, in_alias=inside or in_alias)
            for entry, inside in self._entries(node)
        }

    def _entries(self, node: MappingNode) -> list[tuple[Entry, bool]]:
        """A mapping's own entries, then those merged in (marked so) under names it does not have."""
        found = {entry.key: (entry, False) for entry in node.entries}
        pending = list(reversed(node.merges))
        while pending:
            merged = pending.pop()
            if isinstance(merged, AliasNode):
                merged = merged.target
            if isinstance(merged, SequenceNode):
                pending.extend(reversed(merged.items))
                continue
            if not isinstance(merged, MappingNode):
                raise self._source.error(
                    "'<<' takes a mapping",
                    "Merge an alias of a mapping, or a list of those.",
                    merged.span.start,
                    merged.span.end,
                )
            self._aliased += 1 + len(merged.entries)
            if self._aliased > MAX_ALIASED:
                raise self._too_much(merged.span)
            for entry in merged.entries:
                found.setdefault(entry.key, (entry, True))
            pending.extend(reversed(merged.merges))
        return list(found.values())

    def _too_much(self, span: Span) -> ConfigError:
        return self._source.error(
            "aliases stand for too much data",
            f"One document's aliases may stand for {MAX_ALIASED} values, {MAX_DEPTH} levels deep. "
            "Write the data out, or use variables.",
            span.start,
        )
