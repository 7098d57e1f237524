"""Reading a directory of artifacts: its manifest, and what it has for a machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, JsonValue

from kubexms.config.discover import Discovery, display
from kubexms.config.documents import DEFAULT_KINDS, SchemaSet, Validated
from kubexms.config.problems import Problems
from kubexms.diagnostics import Diagnostic
from kubexms.errors import ConfigError
from kubexms.spec.artifacts import ANY_ARCH, Artifact, ArtifactsSpec, best

MANIFEST = "artifacts.yaml"


@dataclass(frozen=True, slots=True)
class ArtifactSet:
    """The artifacts of one directory. Nothing here has looked at the files themselves."""

    directory: Path
    """Absolute."""
    entries: tuple[Artifact, ...]
    source: Validated

    def find(
        self, name: str, *, arch: str, version: str | None = None, kind: str | None = None
    ) -> Artifact | None:
        """The artifact of that name for a machine (`amd64`), or None; without `version` the only one."""
        return best(self.entries, name, arch=arch, version=version, kind=kind)

    def images(self, arch: str) -> tuple[Artifact, ...]:
        """All images for a machine, in the manifest's order."""
        return tuple(e for e in self.entries if e.kind == "image" and e.arch in (arch, ANY_ARCH))

    def path(self, artifact: Artifact) -> Path:
        """Where the file of an entry is, absolute."""
        return self.directory / artifact.file

    def error(self, artifact: Artifact, summary: str, detail: str = "", field: str = "file") -> Diagnostic:
        """A diagnostic about a field of an entry, placed in the manifest."""
        index = self.entries.index(artifact)
        return self.source.document.error(("spec", "entries", index, field), summary, detail)

    def missing(self, name: str, version: str | None, arch: str) -> Diagnostic:
        """A diagnostic that says what is not in the manifest, and what of that name is."""
        wanted = " ".join(part for part in (name, version, f"for {arch}") if part)
        there = [f"{entry.version} for {entry.arch}" for entry in self.entries if entry.name == name]
        has = f"It has {name} {', '.join(there)}." if there else f"It has nothing called {name}."
        detail = f"{has} `kubexms artifacts add` puts a file into it."
        return self.source.document.error(("spec", "entries"), f"there is no artifact {wanted}", detail)


class _NoSteps:
    """A manifest has no steps, so that none need be loaded to read it."""

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __contains__(self, kind: object) -> bool:
        return False

    def spec_class(self, kind: str) -> type[BaseModel]:
        raise KeyError(kind)

    def check_args(self, kind: str, args: Mapping[str, JsonValue]) -> None:
        raise KeyError(kind)


def load_artifacts(directory: Path) -> ArtifactSet:
    """Read the manifest `artifacts.yaml` of a directory.

    Raises `ConfigError` with every problem and its place; the artifacts' files are not looked at.
    """
    directory = directory.resolve()
    file = directory / MANIFEST
    if not file.is_file():
        raise ConfigError(
            f"there are no artifacts in {display(directory)}",
            detail=f"A directory of artifacts has the file {MANIFEST}; `kubexms artifacts add` begins one.",
        )
    problems = Problems()
    found = Discovery(DEFAULT_KINDS, SchemaSet(_NoSteps()), problems).file(file, named=True)
    problems.raise_errors()
    [*_, last] = found
    if len(found) != 1 or not isinstance(last.spec, ArtifactsSpec):
        problems.add(
            last.document.error(("kind",), f"{MANIFEST} holds one document, of the kind Artifacts", key=True)
        )
        problems.raise_errors()
    assert isinstance(last.spec, ArtifactsSpec)
    return ArtifactSet(directory, last.spec.entries, last)
