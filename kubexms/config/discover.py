"""Finding a project's documents: every kubexms document of a directory, or the files that are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubexms.config.documents import DocumentKinds, SchemaSet, Validated, validate_document
from kubexms.config.documents.kinds import API_GROUP
from kubexms.config.documents.validate import is_ours
from kubexms.config.problems import Problems
from kubexms.config.yaml import Document, read_documents
from kubexms.diagnostics import Diagnostic
from kubexms.errors import ConfigError

SUFFIXES = (".yaml", ".yml", ".json")


def display(path: Path) -> str:
    """A file's name as the user would type it: relative to where they are, if it is below."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


@dataclass(slots=True)
class Found:
    """A document that was read, or what kept it from being read."""

    directory: Path
    document: Document | None
    wrong: tuple[Diagnostic, ...] = ()
    _checked: tuple[Validated | None, list[Diagnostic]] | None = None

    @property
    def kind(self) -> str:
        """What it says that it is; empty where it says nothing of use."""
        value = self.document.value if self.document is not None else None
        kind = value.get("kind") if isinstance(value, dict) else None
        return kind if isinstance(kind, str) else ""

    def checked(self, kinds: DocumentKinds, schemas: SchemaSet) -> tuple[Validated | None, list[Diagnostic]]:
        """The valid document, or what is wrong with it. Checks once."""
        if self.document is None:
            return None, list(self.wrong)
        if self._checked is None:
            self._checked = validate_document(self.document, kinds, schemas, self.directory)
        return self._checked


@dataclass(frozen=True, slots=True)
class Discovery:
    """Reads and validates documents; what is wrong with them goes to `problems`."""

    kinds: DocumentKinds
    schemas: SchemaSet
    problems: Problems

    def directory(self, path: Path) -> list[Validated]:
        """The kubexms documents directly in a directory, in file-name order; other files are ignored.

        Raises `ConfigError` if it is no readable directory.
        """
        return self.valid(self.read_directory(path))

    def file(self, path: Path, *, named: bool) -> list[Validated]:
        """The valid documents of one file. With `named`, it was asked for and must hold only ours."""
        return self.valid(self._file(path, named=named))

    def read(self, paths: Sequence[Path]) -> list[Found]:
        """The documents of these files (of a directory, all in it), not checked yet.

        Raises `ConfigError` for what cannot be read.
        """
        found: list[Found] = []
        for path in paths:
            found += self.read_directory(path) if path.is_dir() else self._file(path, named=True)
        return found

    def read_directory(self, path: Path) -> list[Found]:
        """The documents that `directory` checks. Raises `ConfigError` if it is no readable directory."""
        return [item for file in _files(path) for item in self._file(file, named=False)]

    def valid(self, found: Sequence[Found]) -> list[Validated]:
        """Those that are as they should be."""
        documents: list[Validated] = []
        for item in found:
            validated, wrong = item.checked(self.kinds, self.schemas)
            self.problems.extend(wrong)
            if validated is not None:
                documents.append(validated)
        return documents

    def _file(self, path: Path, *, named: bool) -> list[Found]:
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {display(path)}: {error.strerror}") from None
        if not named and API_GROUP.encode() not in data:
            return []
        try:
            documents = read_documents(data, display(path))
        except ConfigError as error:
            return [Found(path.parent, None, tuple(error.diagnostics))]
        if named and not documents:
            raise ConfigError(f"{display(path)} holds no document")
        return [Found(path.parent, document) for document in documents if named or is_ours(document)]


def _files(directory: Path) -> list[Path]:
    try:
        return sorted(item for item in directory.iterdir() if item.suffix in SUFFIXES and item.is_file())
    except OSError as error:
        raise ConfigError(
            f"cannot read the directory {directory}: {error.strerror}",
            detail="`-C DIR` names the project's directory.",
        ) from None
