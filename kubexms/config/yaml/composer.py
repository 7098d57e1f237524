"""YAML's events to nodes, without recursion, so that no document can exhaust the stack.

PyYAML's C parser reports positions as character offsets, which its own composer would keep; what it
would not do is find duplicate keys, refuse tags, and bound what aliases stand for.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import yaml
from yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)

from kubexms.config.yaml.document import Span
from kubexms.config.yaml.nodes import (
    MAX_DEPTH,
    AliasNode,
    Entry,
    MappingNode,
    Node,
    ScalarNode,
    SequenceNode,
)
from kubexms.config.yaml.scalars import YES_NO, classify
from kubexms.config.yaml.source import SourceText
from kubexms.config.yaml.syntax import syntax_error
from kubexms.diagnostics import Diagnostic, Severity
from kubexms.errors import ConfigError

_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_STR_TAGS = frozenset({"!", "tag:yaml.org,2002:str"})
MERGE = "<<"
"""The key that merges other mappings (https://yaml.org/type/merge.html); written plain or quoted alike."""

_COLLECTION_TAGS = frozenset({None, "!", "tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"})


def compose(source: SourceText) -> list[tuple[int, Node]]:
    """The root of each document with its position in the file. Raises `ConfigError`."""
    composer = _Composer(source)
    try:
        for event in yaml.parse(source.text, Loader=_LOADER):
            composer.take(event)
    except yaml.YAMLError as error:
        raise syntax_error(source, error) from None
    if composer.errors:
        first = composer.errors[0]
        raise ConfigError(first.summary, detail=first.detail, diagnostics=composer.errors)
    return composer.roots


@dataclass(slots=True)
class _Frame:
    """A collection that is still open; for a mapping, the key that waits for its value."""

    node: SequenceNode | MappingNode
    anchor: str | None
    key: tuple[str, Span] | None = None
    seen: dict[str, Span] = field(default_factory=dict)


class _Composer:
    def __init__(self, source: SourceText) -> None:
        self._source = source
        self._stack: list[_Frame] = []
        self._anchors: dict[str, Node | None] = {}
        self._index = -1
        self.roots: list[tuple[int, Node]] = []
        self.errors: list[Diagnostic] = []

    def take(self, event: Event) -> None:
        """One event of the parser."""
        if isinstance(event, DocumentStartEvent):
            self._index += 1
            self._anchors = {}
        elif isinstance(event, AliasEvent):
            self._alias(event)
        elif isinstance(event, ScalarEvent):
            self._scalar(event)
        elif isinstance(event, (SequenceStartEvent, MappingStartEvent)):
            self._open(event)
        elif isinstance(event, CollectionEndEvent):
            self._close(event)

    def _span(self, event: Event) -> Span:
        start, end = _offset(event.start_mark), _offset(event.end_mark)
        block = getattr(event, "style", None) in ("|", ">")
        return Span(start, start + len(self._source.text[start:end].rstrip()), block=block)

    def _open(self, event: SequenceStartEvent | MappingStartEvent) -> None:
        span = self._span(event)
        if event.tag not in _COLLECTION_TAGS:
            self._error(f"the tag {event.tag} is not supported", "Remove it: documents are plain data.", span)
        if len(self._stack) >= MAX_DEPTH:
            raise self._source.error("nested too deeply", f"At most {MAX_DEPTH} levels.", span.start)
        node = MappingNode(span) if isinstance(event, MappingStartEvent) else SequenceNode(span)
        if event.anchor is not None:
            self._anchors[event.anchor] = None
        self._place(node, span)
        self._stack.append(_Frame(node, event.anchor))

    def _close(self, event: Event) -> None:
        frame = self._stack.pop()
        start = frame.node.span.start
        end = _offset(event.end_mark)
        frame.node.span = Span(start, start + len(self._source.text[start:end].rstrip()))
        if frame.anchor is not None:
            self._anchors[frame.anchor] = frame.node

    def _alias(self, event: AliasEvent) -> None:
        span = self._span(event)
        if event.anchor not in self._anchors:
            raise self._source.error(
                f"unknown alias *{event.anchor}",
                f"Nothing before it is marked &{event.anchor}.",
                span.start,
                span.end,
            )
        target = self._anchors[event.anchor]
        if target is None:
            raise self._source.error(
                f"the alias *{event.anchor} stands inside of what it stands for",
                "Data cannot hold itself.",
                span.start,
                span.end,
            )
        if isinstance(target, ScalarNode) and self._wants_key():
            self._key(str(target.value) if target.value is not None else "", span)
        else:
            self._place(AliasNode(span, target), span)

    def _scalar(self, event: ScalarEvent) -> None:
        span = self._span(event)
        node = ScalarNode(span, event.value)
        if event.tag is not None and event.tag not in _STR_TAGS:
            self._error(f"the tag {event.tag} is not supported", "Remove it: documents are plain data.", span)
        elif event.tag is None and event.implicit[0]:
            node.value, node.trap = classify(event.value)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        if self._wants_key():
            self._plain_key(node, str(event.value))
        else:
            self._place(node, span)

    def _wants_key(self) -> bool:
        return (
            bool(self._stack)
            and isinstance(self._stack[-1].node, MappingNode)
            and self._stack[-1].key is None
        )

    def _plain_key(self, node: ScalarNode, text: str) -> None:
        # `on`, `no`: a key that is a boolean makes no sense in any reader, and a field has the name
        if node.trap is not None and text.lower() not in YES_NO:
            self._error(
                f"the key {text} is ambiguous: YAML readers may take it for {node.trap.reading}",
                f'Quote it: "{text}".',
                node.span,
            )
        elif not isinstance(node.value, str):
            self._error(f"the key {text or '(empty)'} is not a string", f'Quote it: "{text}".', node.span)
        self._key(text, node.span)

    def _key(self, text: str, span: Span) -> None:
        frame = self._stack[-1]
        first = frame.seen.get(text)
        if first is not None and text != MERGE:
            line, column = self._source.position(first.start)
            self._error(
                f"duplicate key '{text}'",
                f"It is given first in line {line}, column {column}. Keep one.",
                span,
            )
        frame.seen[text] = span
        frame.key = (text, span)

    def _place(self, node: Node, span: Span) -> None:
        if not self._stack:
            self.roots.append((self._index, node))
            return
        frame = self._stack[-1]
        if isinstance(frame.node, SequenceNode):
            frame.node.items.append(node)
        elif frame.key is None:
            braces = self._source.text[max(span.start - 1, 0) : span.start + 1] == "{{"
            detail = (
                "A value that starts with '{{' must be quoted."
                if braces
                else "Lists and mappings cannot be keys."
            )
            self._error("a key must be a string", detail, span)
            frame.key = ("", span)
        elif frame.key[0] == MERGE:
            frame.node.merges.append(node)
            frame.key = None
        else:
            frame.node.entries.append(Entry(*frame.key, node))
            frame.key = None

    def _error(self, summary: str, detail: str, span: Span) -> None:
        place = self._source.range(span.start, span.end)
        self.errors.append(Diagnostic(Severity.ERROR, summary, detail, source=place))


def _offset(mark: object) -> int:
    return int(getattr(mark, "index", 0))
