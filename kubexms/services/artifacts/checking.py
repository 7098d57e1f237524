"""Whether the files of a directory of artifacts are those that its manifest tells of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kubexms.config.artifacts import MANIFEST, ArtifactSet
from kubexms.diagnostics import Diagnostic
from kubexms.errors import ConfigError
from kubexms.services.artifacts.files import images_in, sha256_of
from kubexms.spec.artifacts import Artifact


class Verdict(StrEnum):
    """What became of an entry's file."""

    GOOD = "good"
    MISSING = "missing"
    CHANGED = "changed"
    UNREADABLE = "unreadable"
    OTHER_IMAGE = "other image"


@dataclass(frozen=True, slots=True)
class Finding:
    """One entry, or a file that no entry names (`artifact` is None)."""

    artifact: Artifact | None
    file: str
    size: int = 0
    """Bytes; 0 where there is no file."""
    verdict: Verdict = Verdict.GOOD
    problem: Diagnostic | None = None


def check(artifacts: ArtifactSet) -> tuple[tuple[Finding, ...], tuple[str, ...]]:
    """Read every file: a finding per entry, and the files below the directory that no entry names."""
    findings = tuple(_check(artifacts, artifact) for artifact in artifacts.entries)
    named = {artifact.file for artifact in artifacts.entries} | {MANIFEST}
    below = (path for path in sorted(artifacts.directory.rglob("*")) if path.is_file())
    extra = tuple(name for path in below if (name := str(path.relative_to(artifacts.directory))) not in named)
    return findings, extra


def _check(artifacts: ArtifactSet, artifact: Artifact) -> Finding:
    path, size = artifacts.path(artifact), 0
    try:
        size = path.stat().st_size
        found = sha256_of(path)
        wrong = _other_image(artifact, path) if artifact.kind == "image" else ""
    except FileNotFoundError:
        problem = artifacts.error(
            artifact, f"there is no file {artifact.file}", "Put it there, or take the entry out."
        )
        return Finding(artifact, artifact.file, 0, Verdict.MISSING, problem)
    except OSError as error:
        problem = artifacts.error(artifact, f"cannot read {artifact.file}: {error.strerror}")
        return Finding(artifact, artifact.file, 0, Verdict.UNREADABLE, problem)
    except ConfigError as error:
        problem = artifacts.error(artifact, error.summary, error.detail)
        return Finding(artifact, artifact.file, size, Verdict.OTHER_IMAGE, problem)
    if found != artifact.sha256:
        detail = f"It has the digest {found}: it was damaged on its way, or replaced without its entry."
        problem = artifacts.error(
            artifact, f"{artifact.file} is not the file that was listed", detail, "sha256"
        )
        return Finding(artifact, artifact.file, size, Verdict.CHANGED, problem)
    if wrong:
        problem = artifacts.error(artifact, f"{artifact.file} does not hold this image", wrong, "digest")
        return Finding(artifact, artifact.file, size, Verdict.OTHER_IMAGE, problem)
    return Finding(artifact, artifact.file, size)


def _other_image(artifact: Artifact, path: Path) -> str:
    """What the archive holds instead of the entry's image; empty if it holds that."""
    there = images_in(path)
    if any(image.digest == artifact.digest and image.ref in ("", artifact.ref) for image in there):
        return ""
    names = ", ".join(f"{image.ref or 'one without a name'} {image.digest}" for image in there)
    return f"It holds {names}." if names else "It is no OCI archive of images."
