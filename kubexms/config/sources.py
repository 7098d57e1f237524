"""Where each module, task and step was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from kubexms.config.yaml import Document
from kubexms.config.yaml import Path as DocumentPath
from kubexms.config.yaml.document import dotted
from kubexms.diagnostics import SourceRange

Place = tuple[str, str, str]
"""Module, task, step; empty where the place is of the one before."""


@dataclass
class SourceMap:
    """Places by the parts of an address. Filled while documents load, then only read (thread-safe)."""

    places: dict[Place, tuple[Document, DocumentPath]] = field(default_factory=dict)
    pipelines: list[Document] = field(default_factory=list)
    """Documents that give hooks to the whole pipeline."""
    _paths: dict[SourceRange, str] = field(default_factory=dict, repr=False)
    _names: dict[Place, tuple[tuple[Document, DocumentPath], SourceRange]] = field(
        default_factory=dict, repr=False
    )
    """What `lookup` has found of names: every host asks for the same."""

    def add_module(self, name: str, document: Document, path: DocumentPath) -> None:
        """Remember a module and everything in it."""
        self.places[name, "", ""] = (document, path)
        self.add_tasks(name, document, path)

    def add_tasks(self, module: str, document: Document, path: DocumentPath) -> None:
        """Remember the tasks that a document's module at `path` gives to `module`, and their steps."""
        for task, here in _named(document, path, "tasks"):
            self.places[module, task, ""] = (document, here)
            for step, at in _named(document, here, "steps"):
                self.places[module, task, step] = (document, at)

    def lookup(
        self,
        module: str,
        task: str = "",
        step: str = "",
        field_path: Sequence[str | int] = (),
        *,
        key: bool = False,
        line: int = 0,
    ) -> SourceRange | None:
        """The place of a module, task or step (its name), or of a field in it; None if it was built.

        `key` asks for the field's name instead of its value, `line` (from 1) for a line of its text.
        """
        found = self.places.get((module, task, step))
        if found is None:
            return None
        plain = not field_path and not key and not line
        if plain and (known := self._names.get((module, task, step))) is not None and known[0] is found:
            return known[1]
        document, path = found
        full = (*path, *field_path) if field_path else (*path, "name")
        place = document.range(full, key=key, line=line)
        self._paths[place] = dotted(full)
        if plain:
            self._names[module, task, step] = (found, place)
        return place

    def hook(self, module: str, task: str, name: str) -> SourceRange | None:
        """The place of the last hook of this name in a scope; of the scope if it is not in its document."""
        for document, path in reversed(self._scopes(module, task)):
            for phase in ("onFailure", "post", "pre"):
                for hook, at in reversed(_named(document, (*path, "hooks"), phase)):
                    if hook == name:
                        place = document.range((*at, "name"))
                        self._paths[place] = dotted((*at, "name"))
                        return place
        return self.lookup(module, task)

    def _scopes(self, module: str, task: str) -> list[tuple[Document, DocumentPath]]:
        if not module:
            return [(document, ("spec",)) for document in self.pipelines]
        found = self.places.get((module, task, ""))
        return [found] if found is not None else []

    def path_of(self, place: SourceRange | None) -> str:
        """The path in its document of a place that `lookup` has given: `spec.modules[0].name`."""
        return self._paths.get(place, "") if place is not None else ""

    def document(self, filename: str, path: Sequence[str | int]) -> SourceRange | None:
        """The place of a path in the file of this name, in its first document that has it."""
        documents = {id(document): document for document, _ in self.places.values()}
        for document in documents.values():
            if document.filename == filename and tuple(path) in document.spans:
                return document.range(path)
        return None


def _named(document: Document, path: DocumentPath, field_name: str) -> list[tuple[str, DocumentPath]]:
    value: Any = document.value
    try:
        for item in path:
            value = value[item]
        entries = value.get(field_name) or []
    except (KeyError, IndexError, TypeError, AttributeError):
        return []  # a builder's module is not in its document
    return [(str(entry["name"]), (*path, field_name, i)) for i, entry in enumerate(entries)]
