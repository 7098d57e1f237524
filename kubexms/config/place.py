"""Where a project keeps its state, told by its Project document alone: other documents may be broken."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kubexms.config.discover import SUFFIXES, display
from kubexms.config.documents import (
    DEFAULT_KINDS,
    DocumentKinds,
    KindCatalog,
    SchemaSet,
    Validated,
    validate_document,
)
from kubexms.config.documents.kinds import API_GROUP
from kubexms.config.documents.validate import is_ours
from kubexms.config.problems import Problems
from kubexms.config.selection import select
from kubexms.config.yaml import Document, read_documents
from kubexms.errors import ConfigError
from kubexms.spec.project import StateLocation

_PROJECT = re.compile(rb"""\bkind["']?\s*:\s*["']?Project\b""")


@dataclass(frozen=True, slots=True)
class StatePlace:
    """The directory of a state, its name, and what the Project document says about it."""

    directory: Path
    """Absolute; need not exist."""
    workspace: str
    location: StateLocation


def state_place(
    root: Path,
    *,
    files: Sequence[Path] = (),
    environment: str | None = None,
    catalog: KindCatalog,
    kinds: DocumentKinds = DEFAULT_KINDS,
) -> StatePlace:
    """The place that loading the whole project would find. `catalog` is asked nothing.

    Raises `ConfigError` for a broken Project document, an environment that has to be chosen, and a
    directory without kubexms documents.
    """
    root = root.resolve()
    problems = Problems()
    schemas = SchemaSet(catalog)
    projects: list[Validated] = []
    texts = list(_texts([root / path for path in files] or [root]))
    if not texts:
        raise ConfigError(
            f"there are no kubexms documents in {root}",
            detail="`kubexms init` writes a first project; `-C DIR` names another directory.",
        )
    for path, text in texts:
        for document in _documents(path, text):
            validated, wrong = validate_document(document, kinds, schemas, path.parent)
            problems.extend(wrong)
            projects += [validated] if validated is not None else []
    problems.raise_errors()
    selection = select(projects, environment)
    return StatePlace(selection.state_directory(root), selection.workspace, selection.state)


def _documents(path: Path, text: bytes) -> Iterator[Document]:
    """The Project documents of a file. Only a file that seems to hold one has to be readable."""
    if _PROJECT.search(text) is None:
        return
    for document in read_documents(text, display(path)):
        if is_ours(document) and isinstance(document.value, dict) and document.value.get("kind") == "Project":
            yield document


def _texts(paths: Sequence[Path]) -> Iterator[tuple[Path, bytes]]:
    """Files with kubexms documents, and what is in them. Raises `ConfigError`."""
    for path in paths:
        try:
            within = [path] if path.is_file() else sorted(path.iterdir())
            for file in within:
                if file.is_file() and (file == path or file.suffix in SUFFIXES):
                    text = file.read_bytes()
                    if file == path or API_GROUP.encode() in text:
                        yield file, text
        except OSError as error:
            raise ConfigError(
                f"cannot read {path}: {error.strerror}", detail="`-C DIR` names the project's directory."
            ) from None
