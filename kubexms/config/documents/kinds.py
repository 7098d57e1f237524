"""The registry of document kinds. There is no global one: `DEFAULT_KINDS` is what comes with this layer."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kubexms.config.commands import RunCommand
from kubexms.config.problems import Problems
from kubexms.config.yaml import Document
from kubexms.diagnostics import SourceRange
from kubexms.spec.artifacts import ArtifactsSpec
from kubexms.spec.base import FrozenModel
from kubexms.spec.inventory import Host, InventorySpec
from kubexms.spec.pipeline import PipelineSpec
from kubexms.spec.project import ProjectSpec

API_GROUP = "kubexms.io"
API_VERSION = f"{API_GROUP}/v1alpha1"
"""The one `apiVersion` that is understood."""


@dataclass(frozen=True, slots=True)
class Building:
    """What a builder makes a pipeline from. What is wrong with it goes to `problems`, with its place."""

    name: str
    """The document's own."""
    spec: FrozenModel
    document: Document
    directory: Path
    """Of the document; paths in it and in the steps that are built are relative to it."""
    hosts: tuple[Host, ...]
    """All of the project, merged, in the order of the inventories."""
    host_place: Callable[[str], SourceRange | None]
    """Where a host is listed."""
    problems: Problems
    siblings: Mapping[str, FrozenModel]
    """The documents of this kind in the project by name, this one among them, in their order."""
    run_command: RunCommand
    """Programs of the controller, for what only they can read; never a document's own, if it is untrusted."""
    untrusted: bool = False


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """One `kind` of document, and the `model` of its `spec`.

    With `build`, a document of this kind stands for a pipeline: `build` makes it, and the project
    treats it as if it had been written as a Pipeline document. It may raise `ConfigError`. With
    `inventory`, the document may list hosts itself, in `spec.hosts` as an Inventory does.
    """

    name: str
    source: type[FrozenModel] | str
    """The model, or where it is (`package.module:Name`): then it is imported when it is first needed."""
    summary: str = ""
    build: Callable[[Building], PipelineSpec] | None = None
    inventory: Callable[[FrozenModel], InventorySpec] | None = None

    @property
    def model(self) -> type[FrozenModel]:
        """The model of `spec`."""
        return _imported(self.source) if isinstance(self.source, str) else self.source


@functools.cache
def _imported(source: str) -> type[FrozenModel]:
    module, _, name = source.partition(":")
    model: type[FrozenModel] = getattr(importlib.import_module(module), name)
    return model


class DocumentKinds:
    """Document kinds by name. Immutable."""

    def __init__(self, *kinds: DocumentKind) -> None:
        self._kinds: Mapping[str, DocumentKind] = {kind.name: kind for kind in kinds}
        if len(self._kinds) != len(kinds):
            raise ValueError("a document kind is registered twice")

    def __iter__(self) -> Iterator[DocumentKind]:
        return iter(self._kinds.values())

    def __contains__(self, name: object) -> bool:
        return name in self._kinds

    def __getitem__(self, name: str) -> DocumentKind:
        return self._kinds[name]

    def names(self) -> list[str]:
        """All names."""
        return list(self._kinds)

    def extended(self, *kinds: DocumentKind) -> DocumentKinds:
        """These kinds and more. Raises `ValueError` for a name that exists already."""
        return DocumentKinds(*self._kinds.values(), *kinds)


DEFAULT_KINDS = DocumentKinds(
    DocumentKind("Pipeline", PipelineSpec, "What to bring about: modules of tasks of steps."),
    DocumentKind("Inventory", InventorySpec, "The machines, how to reach them, what they are for."),
    DocumentKind("Project", ProjectSpec, "Settings of the whole directory."),
    DocumentKind("Artifacts", ArtifactsSpec, "The files that clusters are built from, each with its digest."),
)
"""Pipeline, Inventory, Project and Artifacts."""
