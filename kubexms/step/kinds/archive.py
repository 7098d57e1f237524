"""The kind `archive`: the files of an archive, unpacked into a directory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import ClassVar, Self

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Payload, Record
from kubexms.spec.asset import ASSET, Asset
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath, Owner, pinned
from kubexms.step.kinds._shell.atomic import ownership
from kubexms.step.kinds._shell.unpack import ASK, FUNCTIONS, PUT, TAKE_OUT
from kubexms.step.kinds.download import Sha256
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words


class ArchiveSpec(StepArgs):
    """An archive, unpacked into a directory: tar (plain, gzip, xz, zstd, bzip2) or zip.

    What came out of it is remembered with its digests: a file that is changed or gone later is
    drift. A new archive replaces the old one's files, and removing the step takes out exactly these
    and puts back what they had replaced. Other files in the directory stay.
    """

    dest: AbsolutePath
    """The directory to unpack into. It is made if the one above it exists."""
    path: AbsolutePath | None = None
    """An archive on the host, for example one that a `download` brings. When it is replaced, it is
    unpacked again; when it is gone, nothing happens."""
    source: Asset | str | None = Field(default=None, json_schema_extra={**ASSET})
    """An archive on the controller instead, relative to this document."""
    sha256: Sha256 | None = None
    """The SHA-256 digest that the archive must have."""
    strip: int = Field(default=0, ge=0, le=20)
    """Leading directories to take off the names in the archive."""
    owner: Owner | None = None
    """User that owns all unpacked files. Default: the user that kubexms works as."""
    group: Owner | None = None
    """Group of all unpacked files."""

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.path is None) == (self.source is None):
            raise PydanticCustomError("archive_origin", "give either 'path' (on the host) or 'source'")
        pinned(self.source, self.sha256)
        return self


class ArchiveExecutor(StepExecutor[ArchiveSpec]):
    """See `ArchiveSpec`."""

    kind: ClassVar[str] = "archive"
    spec: ClassVar[type[StepArgs]] = ArchiveSpec
    identity: ClassVar[tuple[str, ...]] = ("dest", "path", "source")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {"sha256": ("sha256",)}
    example: ClassVar[str] = """\
- name: cni-plugins
  kind: archive
  path: /var/cache/cni-plugins.tgz
  dest: /opt/cni/bin
"""

    def probe(self, specs: Sequence[ArchiveSpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        asks = [f"ask {words([_record_id(spec), spec.dest, spec.path or ''])}" for spec in specs]
        fragment = Fragment(ASK + "\n".join(asks) + "\n", records=len(specs), timeout=60.0 * (1 + len(specs)))
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: ArchiveSpec, record: Record) -> Observation:
        if record.status == 1:
            return Observation.absent()
        about, separator, rest = record.text.decode("utf-8", "surrogateescape").partition("\n--\n")
        if record.status != 0 or not separator:
            return Observation.unknown(
                "permission denied: what was unpacked here is recorded for another user"
            )
        attributes: dict[str, JsonValue] = {}
        for line in about.splitlines():
            name, _, value = line.partition("=")
            attributes[name] = int(value) if name == "strip" and value.isdecimal() else value
        current, _, damaged = rest.partition("\n")
        attributes["current"] = current in ("", attributes.get("sha256"))
        attributes["damaged"] = [name.removeprefix("./") for name in damaged.splitlines()]
        return Observation.present(attributes)

    def desired(self, spec: ArchiveSpec) -> Attributes | None:
        wanted: dict[str, JsonValue] = {"strip": spec.strip, "owner": _owner(spec), "damaged": []}
        sha256 = spec.source.sha256 if isinstance(spec.source, Asset) else spec.sha256
        return {**wanted, "current": True} if sha256 is None else {**wanted, "sha256": sha256}

    def action(self, spec: ArchiveSpec, request: ChangeRequest) -> Action:
        payloads: dict[str, Payload] = {}
        want = spec.sha256 or ""
        if isinstance(spec.source, Asset):
            payloads["archive"] = Payload(path=Path(spec.source.path), size=spec.source.size)
            want = spec.source.sha256
        values = {
            "dest": spec.dest,
            "a": spec.path or "",
            "strip": str(spec.strip),
            "owner": _owner(spec),
            "want": want,
            "about": f"strip={spec.strip}\nowner={_owner(spec)}",
        }
        return Action(_head(spec, values) + PUT, payloads, timeout=3600.0)

    def undo(self, spec: ArchiveSpec, prior: Observation) -> Action | None:
        if prior.presence is not Presence.ABSENT:
            return None
        return Action(_head(spec, {"dest": spec.dest}) + TAKE_OUT, timeout=3600.0)

    def object_id(self, spec: ArchiveSpec) -> str:
        return _record_id(spec)

    def summary(self, spec: ArchiveSpec) -> str:
        return f"{spec.dest} from {spec.path or _name(spec)}"


def _record_id(spec: ArchiveSpec) -> str:
    """Names the record on the host: where it comes from and where it goes."""
    origin = spec.path or f"controller:{_name(spec)}"
    text = json.dumps(["archive", spec.dest, origin])
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def _name(spec: ArchiveSpec) -> str:
    source = spec.source.path if isinstance(spec.source, Asset) else spec.source
    return PurePosixPath(source or "").name


def _owner(spec: ArchiveSpec) -> str:
    return ownership(spec.owner, spec.group)


def _head(spec: ArchiveSpec, values: Mapping[str, str]) -> str:
    return FUNCTIONS + "".join(
        f"{name}={quote(value)}\n" for name, value in {"id": _record_id(spec), **values}.items()
    )


__all__ = ["ArchiveExecutor", "ArchiveSpec"]
