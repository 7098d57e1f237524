"""What a file says of itself: its digest, the machine a program is for, the images in an archive."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubexms.errors import ConfigError

# e_machine of the ELF header; see elf(5)
_MACHINES = {
    0x3E: "amd64",
    0xB7: "arm64",
    0x28: "arm",
    0x03: "386",
    0x15: "ppc64le",
    0x16: "s390x",
    0xF3: "riscv64",
}
_IMAGE_NAME = "io.containerd.image.name"
_TAG = "org.opencontainers.image.ref.name"
_LARGEST_DOCUMENT = 4 << 20


@dataclass(frozen=True, slots=True)
class ImageInArchive:
    """One image of an OCI archive. `ref` is empty where the archive does not give a full name."""

    ref: str
    digest: str
    arch: str


def sha256_of(path: Path) -> str:
    """The file's digest in hexadecimal. Raises `OSError`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def machine_of(path: Path) -> str | None:
    """The machine an ELF program is for, as Go calls it; None for any other file. Raises `OSError`."""
    with path.open("rb") as stream:
        head = stream.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    return _MACHINES.get(int.from_bytes(head[18:20], "little" if head[5] == 1 else "big"))


def images_in(path: Path) -> tuple[ImageInArchive, ...]:
    """The images of an OCI archive; none if the file is no archive of images.

    The format is the OCI image layout (https://github.com/opencontainers/image-spec, image-layout.md) in
    a tar. Raises `ConfigError` for an archive that holds images in another form or is damaged, `OSError`.
    """
    try:
        with tarfile.open(path) as archive:
            names = set(archive.getnames())
            if "index.json" not in names:
                if "manifest.json" in names:
                    raise ConfigError(
                        f"{path} holds images in Docker's own form, without an OCI index",
                        detail="`skopeo copy`, `ctr images export` and `docker save` from 25 on write one.",
                    )
                return ()
            return tuple(_images(archive))
    except tarfile.ReadError:
        return ()
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path} is a damaged archive of images: {error}") from error


def _images(archive: tarfile.TarFile) -> Iterator[ImageInArchive]:
    for entry in _document(archive, "index.json")["manifests"]:
        notes = entry.get("annotations") or {}
        name = notes.get(_IMAGE_NAME) or notes.get(_TAG) or ""
        # a tag alone, as some tools write it, is no name
        ref = name if "/" in name and ":" in name.rpartition("/")[2] else ""
        yield ImageInArchive(ref, str(entry["digest"]), _arch(archive, entry))


def _arch(archive: tarfile.TarFile, entry: dict[str, Any]) -> str:
    content = _document(archive, _blob(entry))
    if "manifests" in content:
        there = {_blob(each) for each in content["manifests"]} & set(archive.getnames())
        found = {
            str((each.get("platform") or {}).get("architecture"))
            for each in content["manifests"]
            if _blob(each) in there
        } - {"unknown", "None"}
        return found.pop() if len(found) == 1 else "all"
    return str(_document(archive, _blob(content["config"]))["architecture"])


def _blob(descriptor: dict[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _document(archive: tarfile.TarFile, name: str) -> dict[str, Any]:
    member = archive.getmember(name)
    stream = archive.extractfile(member)
    if stream is None or member.size > _LARGEST_DOCUMENT:
        raise ValueError(f"{name} is no JSON document")
    found = json.load(stream)
    if not isinstance(found, dict):
        raise ValueError(f"{name} is no JSON object")
    return found
