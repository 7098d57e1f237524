"""What a host's disk tells of what was done to it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from tests.e2e.testbed import Host, manifest

# what comes and goes on any running host, and what these tests' own set-up leaves
NOISE = (
    "etc/passwd-",
    "etc/group-",
    "etc/shadow-",
    "etc/gshadow-",
    "etc/subuid-",
    "etc/subgid-",
    "var/lib/kubexms",
    "var/log",
    "run",
    "tmp",
    "root/.cache",
    "etc/mtab",
)


def written(host: Host, leaves: tuple[str, ...] = ()) -> dict[str, tuple[str, ...]]:
    """Where the host's disk differs from its image, without times: what was put back counts as untouched."""
    image = _image(host.lower)
    found: dict[str, tuple[str, ...]] = {}
    for entry in host.upper_listing():
        told = (entry.type, entry.mode, entry.owner, entry.content)
        if entry.type == "directory" and entry.path in image:
            continue
        if image.get(entry.path) != told and not entry.path.startswith((*NOISE, *leaves)):
            found[entry.path] = told
    return found


@cache
def _image(layers: tuple[Path, ...]) -> dict[str, tuple[str, ...]]:
    return {
        entry.path: (entry.type, entry.mode, entry.owner, entry.content)
        for layer in reversed(layers)
        for entry in manifest.listing(layer)
    }
