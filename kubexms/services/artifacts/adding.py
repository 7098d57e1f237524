"""Putting files into a directory of artifacts: copied, hashed, listed in its manifest."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from kubexms.config.artifacts import MANIFEST, ArtifactSet, load_artifacts
from kubexms.config.documents import API_VERSION
from kubexms.config.yaml.writer import dump_yaml
from kubexms.errors import ConfigError
from kubexms.services.artifacts.files import ImageInArchive, images_in, machine_of, sha256_of
from kubexms.spec.artifacts import ANY_ARCH, Artifact, ArtifactsSpec
from kubexms.spec.base import Json

_DIRECTORIES = {
    "binary": "bin",
    "image": "images",
    "package": "packages",
    "archive": "archives",
    "manifest": "manifests",
}
_SUFFIXES = {
    ".deb": "package",
    ".rpm": "package",
    ".yaml": "manifest",
    ".yml": "manifest",
    ".tgz": "archive",
    ".tar": "archive",
    ".gz": "archive",
    ".xz": "archive",
    ".zst": "archive",
}


@dataclass(frozen=True, slots=True)
class Named:
    """What the user says of the files; None: what they say of themselves."""

    name: str | None = None
    kind: str | None = None
    version: str | None = None
    arch: str | None = None
    ref: str | None = None


def add(directory: Path, files: Sequence[Path], given: Named) -> tuple[Artifact, ...]:
    """Copy the files into the directory, list them, and return their entries.

    A file that is below the directory stays where it is; an entry that is there already is replaced.
    The manifest is written anew, last, and whole: comments in it are not kept. Raises `ConfigError`.
    """
    directory = directory.resolve()
    known = load_artifacts(directory) if (directory / MANIFEST).exists() else None
    if len(files) > 1 and (given.name or given.ref):
        raise ConfigError("a name or a ref is that of one file", detail="Add the files one at a time.")
    added = tuple(entry for file in files for entry in _entries(directory, file, given))
    replaced = {entry.key for entry in added}
    kept = [entry for entry in (known.entries if known else ()) if entry.key not in replaced]
    _write(directory, known, (*kept, *added))
    return added


def _entries(directory: Path, file: Path, given: Named) -> list[Artifact]:
    try:
        images = images_in(file) if given.kind in (None, "image") else ()
        kind = given.kind or ("image" if images else _SUFFIXES.get(file.suffix, "binary"))
        own = {"kind": kind, "sha256": sha256_of(file)}
        found = list(_images(file, images, given)) if kind == "image" else [_plain(file, kind, given)]
        place = _place(directory, file, kind, found[0])
        entries = [_entry(file, own | fields | {"file": str(place)}) for fields in found]
        if not file.resolve().is_relative_to(directory):
            _copy(file, directory / place)
    except OSError as error:
        raise ConfigError(f"cannot add {file}: {error.strerror}") from error
    return entries


def _plain(file: Path, kind: str, given: Named) -> dict[str, str]:
    if given.version is None:
        advice = "Say it as upstream writes it: `--version v1.31.0`."
        raise ConfigError(f"which version is {file}?", detail=advice)
    machine = machine_of(file) if kind == "binary" else None
    return {
        "name": given.name or file.name,
        "version": given.version,
        "arch": given.arch or machine or ANY_ARCH,
    }


def _images(file: Path, images: Sequence[ImageInArchive], given: Named) -> Iterator[dict[str, str]]:
    if not images:
        advice = "`skopeo copy` and `ctr images export` write one."
        raise ConfigError(f"{file} is no OCI archive of images", detail=advice)
    for image in images:
        ref = given.ref or image.ref
        if not ref:
            advice = "Give the full name: `--ref registry.k8s.io/pause:3.9`."
            raise ConfigError(f"{file} does not say what its image is called", detail=advice)
        base, _, tag = ref.rpartition(":")
        yield {
            "name": given.name or base.rpartition("/")[2],
            "version": given.version or tag,
            "arch": given.arch or image.arch,
            "ref": ref,
            "digest": image.digest,
        }


def _entry(file: Path, fields: dict[str, str]) -> Artifact:
    try:
        return Artifact.from_json(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(
            f"cannot list {file}: {first['loc'][-1] if first['loc'] else ''} {first['msg']}"
        ) from error


def _place(directory: Path, file: Path, kind: str, fields: Mapping[str, str]) -> Path:
    """Where the file is to be: one directory per version and machine, so that none takes another's place."""
    if file.resolve().is_relative_to(directory):
        return file.resolve().relative_to(directory)
    return Path(_DIRECTORIES[kind]) / fields["version"] / fields["arch"] / file.name


def _copy(file: Path, place: Path) -> None:
    """Copy with permissions; nobody sees half a file."""
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.new")
    shutil.copy(file, fresh)
    fresh.replace(place)


def _write(directory: Path, known: ArtifactSet | None, entries: Sequence[Artifact]) -> None:
    document: Json = {
        "apiVersion": API_VERSION,
        "kind": "Artifacts",
        "metadata": {"name": known.source.name if known else "artifacts"},
        "spec": ArtifactsSpec(entries=tuple(entries)).to_json(),
    }
    directory.mkdir(parents=True, exist_ok=True)
    fresh = directory / f".{MANIFEST}.new"
    fresh.write_text(dump_yaml(document), "utf-8")
    fresh.replace(directory / MANIFEST)
