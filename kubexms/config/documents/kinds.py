"""The registry of document kinds. There is no global one: `DEFAULT_KINDS` is what comes with this layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from kubexms.spec.base import FrozenModel
from kubexms.spec.inventory import InventorySpec
from kubexms.spec.pipeline import PipelineSpec
from kubexms.spec.project import ProjectSpec

API_GROUP = "kubexms.io"
API_VERSION = f"{API_GROUP}/v1alpha1"
"""The one `apiVersion` that is understood."""


@dataclass(frozen=True, slots=True)
class DocumentKind:
    """One `kind` of document and the model of its `spec`.

    With `build`, a document of this kind stands for a pipeline: `build(name, spec)` makes it, and the
    project treats it as if it had been written as a Pipeline document. `build` may raise `ConfigError`.
    """

    name: str
    model: type[FrozenModel]
    summary: str = ""
    build: Callable[[str, FrozenModel], PipelineSpec] | None = None


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
)
"""Pipeline, Inventory and Project."""
