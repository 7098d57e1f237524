"""Showing what a document stands for: the pipeline of a cluster, as documents that do the same."""

from __future__ import annotations

from pydantic import JsonValue

from kubexms.config.documents import API_VERSION
from kubexms.config.merging import Written
from kubexms.config.suggest import hint
from kubexms.config.yaml.writer import dump_yaml
from kubexms.errors import ConfigError
from kubexms.services.project import Project
from kubexms.spec.base import FrozenModel


def built(project: Project, name: str | None = None) -> str:
    """YAML: a Pipeline for every document that was built into one, or for that of this name.

    Hosts that the document lists itself follow as an Inventory. Together they are a project that loads and
    does the same in the directory of the document, to which paths are relative.
    Raises `ConfigError` if there is none.
    """
    every = project.loaded.built
    if not every:
        raise ConfigError(
            "there is nothing to build in this project",
            detail="A Cluster is built into a pipeline; a Pipeline document is one already.",
        )
    chosen = [item for item in every if name in (None, item.document.name)]
    if not chosen:
        names = [item.document.name for item in every]
        raise ConfigError(f"there is no cluster '{name}'", detail=hint(str(name), names, "clusters"))
    return "---\n".join(text for item in chosen for text in documents_of(item))


def documents_of(item: Written) -> list[str]:
    """The pipeline that a document was built into, and the inventory of the hosts that it lists itself."""
    kind, name = item.document.kind, item.document.name
    documents = [_document("Pipeline", name, item.spec)]
    inventory = kind.inventory(item.document.spec) if kind.inventory is not None else None
    if inventory is not None and inventory.hosts:
        documents.append(_document("Inventory", name, inventory))
    return [dump_yaml(document) for document in documents]


def _document(kind: str, name: str, spec: FrozenModel) -> JsonValue:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec.to_json()}
