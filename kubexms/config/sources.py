"""Where each module, task and step was written."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubexms.config.yaml import Document
from kubexms.config.yaml import Path as DocumentPath
from kubexms.diagnostics import SourceRange


@dataclass
class SourceMap:
    """Places by address parts. Filled while documents load, then only read."""

    places: dict[tuple[str, str, str], tuple[Document, DocumentPath]] = field(default_factory=dict)

    def add_module(self, name: str, document: Document, path: DocumentPath, prefix: str = "") -> None:
        """Remember a module and everything in it."""
        self.places[name, "", ""] = (document, path)
        self.add_tasks(name, document, path, prefix)

    def add_tasks(self, module: str, document: Document, path: DocumentPath, prefix: str = "") -> None:
        """Remember the tasks of a module (`prefix` stands before their names) and their steps."""
        value = _at(document, path)
        for index, task in enumerate(value.get("tasks") or []):
            name = prefix + str(task["name"])
            here = (*path, "tasks", index)
            self.places[module, name, ""] = (document, here)
            for number, step in enumerate(task["steps"]):
                self.places[module, name, str(step["name"])] = (document, (*here, "steps", number))

    def lookup(
        self, module: str, task: str = "", step: str = "", field_path: DocumentPath = ()
    ) -> SourceRange | None:
        """The place of a module, task or step, or of a field in it."""
        found = self.places.get((module, task, step))
        if found is None:
            return None
        document, path = found
        return document.range((*path, *field_path)) if field_path else document.range((*path, "name"))


def _at(document: Document, path: DocumentPath) -> dict:  # type: ignore[type-arg]
    value = document.value
    for item in path:
        value = value[item]  # type: ignore[index,call-overload]
    assert isinstance(value, dict)
    return value
