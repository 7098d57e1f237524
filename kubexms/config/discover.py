"""Finding a project's documents: every kubexms document of a directory, or the files that are named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kubexms.config.documents import DocumentKinds, SchemaSet, Validated, validate_document
from kubexms.config.documents.kinds import API_GROUP
from kubexms.config.documents.validate import is_ours
from kubexms.config.problems import Problems
from kubexms.config.yaml import read_documents
from kubexms.errors import ConfigError

SUFFIXES = (".yaml", ".yml", ".json")


def display(path: Path) -> str:
    """A file's name as the user would type it: relative to where they are, if it is below."""
    here = Path.cwd()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


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
        try:
            files = sorted(item for item in path.iterdir() if item.suffix in SUFFIXES and item.is_file())
        except OSError as error:
            raise ConfigError(
                f"cannot read the directory {path}: {error.strerror}",
                detail="`-C DIR` names the project's directory.",
            ) from None
        return [document for file in files for document in self.file(file, named=False)]

    def files(self, paths: Sequence[Path]) -> list[Validated]:
        """The documents of these files (of a directory, all in it)."""
        found: list[Validated] = []
        for path in paths:
            found += self.directory(path) if path.is_dir() else self.file(path, named=True)
        return found

    def file(self, path: Path, *, named: bool) -> list[Validated]:
        """The valid documents of one file. With `named`, it was asked for and must hold only ours."""
        try:
            data = path.read_bytes()
        except OSError as error:
            raise ConfigError(f"cannot read {display(path)}: {error.strerror}") from None
        if not named and API_GROUP.encode() not in data:
            return []
        try:
            documents = read_documents(data, display(path))
        except ConfigError as error:
            self.problems.take(error)
            return []
        if named and not documents:
            raise ConfigError(f"{display(path)} holds no document")
        found: list[Validated] = []
        for document in documents:
            if not named and not is_ours(document):
                continue
            validated, wrong = validate_document(document, self.kinds, self.schemas, path.parent)
            self.problems.extend(wrong)
            if validated is not None:
                found.append(validated)
        return found
