"""Artifacts: what a cluster is made of, as files in a directory, each pinned by its digest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from kubexms.spec.base import FrozenModel

ANY_ARCH = "all"
"""`arch` of a file that fits every machine."""

_DIGEST = r"^sha256:[0-9a-f]{64}$"


def _bare(value: str) -> str:
    return value.removeprefix("sha256:")


Sha256 = Annotated[str, Field(pattern=r"^(sha256:)?[0-9a-f]{64}$"), AfterValidator(_bare)]


def _inside(value: str) -> str:
    if value.startswith("/") or ".." in value.split("/"):
        raise PydanticCustomError("file_outside", "the file is below the manifest's directory: 'bin/kubeadm'")
    return value


RelativeFile = Annotated[str, Field(pattern=r"^[^\x00\r\n]+$"), AfterValidator(_inside)]
Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][^\s/\x00]*$", max_length=200)]
Reference = Annotated[str, Field(pattern=r"^[^\s\x00]+$", max_length=300)]


class Artifact(FrozenModel):
    """One file: a program, a container image, a package, an archive or a Kubernetes manifest."""

    name: Word
    """What it is, as upstream calls it: `kubeadm`, `kube-apiserver`, `containerd`."""
    kind: Literal["binary", "image", "package", "archive", "manifest"]
    """What kind of file it is; an `image` is an OCI archive."""
    version: Word
    """As upstream writes it: `v1.20.2`, `3.4.13-0`."""
    arch: Word = ANY_ARCH
    """The machine that it is for, as Go calls it: `amd64`, `arm64`; `all` fits every one."""
    file: RelativeFile
    """Where it is, relative to the manifest."""
    sha256: Sha256
    """The SHA-256 digest of the file, in hexadecimal."""
    ref: Reference | None = None
    """The full name of an image, with registry and tag: `registry.k8s.io/pause:3.9`."""
    digest: Annotated[str, Field(pattern=_DIGEST)] | None = None
    """The digest of an image, `sha256:…`, which containerd shows once it is imported."""

    @model_validator(mode="after")
    def _images_are_named(self) -> Self:
        given = self.ref is not None, self.digest is not None
        if self.kind == "image" and not all(given):
            raise PydanticCustomError("image_identity", "an image needs 'ref' and 'digest'")
        if self.kind != "image" and any(given):
            raise PydanticCustomError("image_only", "'ref' and 'digest' go with kind 'image'")
        return self

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What tells artifacts of a manifest apart."""
        return (self.name, self.kind, self.version, self.arch)


class ArtifactsSpec(FrozenModel):
    """The files of a directory that clusters are built from, so that no host needs the internet."""

    entries: tuple[Artifact, ...]
    """One entry per file; `kubexms artifacts add` writes them."""

    @model_validator(mode="after")
    def _no_entry_twice(self) -> Self:
        first: dict[tuple[str, str, str, str], int] = {}
        for index, entry in enumerate(self.entries):
            if entry.key in first:
                raise PydanticCustomError(
                    "artifact_twice",
                    "entries {first} and {second} are the same: {name} {version} {arch}",
                    {
                        "first": first[entry.key] + 1,
                        "second": index + 1,
                        "name": entry.name,
                        "version": entry.version,
                        "arch": entry.arch,
                    },
                )
            first[entry.key] = index
        return self


def best(
    entries: Sequence[Artifact], name: str, *, arch: str, version: str | None = None, kind: str | None = None
) -> Artifact | None:
    """The entry of that name for a machine; one for exactly that machine before one for all.

    Without `version` the only one, or None when there are several.
    """
    fits = [
        entry
        for entry in entries
        if entry.name == name
        and entry.arch in (arch, ANY_ARCH)
        and version in (None, entry.version)
        and kind in (None, entry.kind)
    ]
    exact = [entry for entry in fits if entry.arch == arch] or fits
    return exact[0] if len({entry.version for entry in exact}) == 1 else None
