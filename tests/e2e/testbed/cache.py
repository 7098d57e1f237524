"""The shared root file systems: built once per recipe, kept outside of the checkout.

Layout of the cache directory (`$XDG_CACHE_HOME/kubexms-testbed`, else `~/.cache/kubexms-testbed`; tests,
which have a cache of their own for kubexms itself, keep the former place in `$KUBEXMS_TESTBED_CACHE`)::

    images/<digest of the recipe>/{base,light,repo,id_ed25519,id_ed25519.pub}
    kernel-<release>/               the layer that depends on the running kernel
    runs/<fleet>/                   one directory per fleet that is up
    lock                            held while any of these comes or goes
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

RECIPE = Path(__file__).parent / "recipe"


def cache_root() -> Path:
    """Return the cache directory, made if need be."""
    environ = os.environ
    home = (
        environ.get("KUBEXMS_TESTBED_CACHE") or environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    )
    root = Path(home) / "kubexms-testbed"
    (root / "runs").mkdir(parents=True, exist_ok=True)
    (root / "images").mkdir(exist_ok=True)
    return root


@contextmanager
def locked(name: str = "lock") -> Iterator[None]:
    """Hold the cache's lock of that name; the operating system frees it when the holder dies."""
    with (cache_root() / name).open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@dataclass(frozen=True)
class Images:
    """The built file systems and the key that every host accepts."""

    base: Path
    light: Path
    repo: Path
    key: Path
    kernel: Path


def ensure_images() -> Images:
    """Return the images of the current recipe; the first caller builds them (a minute, needs the network)."""
    images = cache_root() / "images" / _recipe_digest()
    kernel = cache_root() / f"kernel-{platform.release()}"
    with locked("build-lock"):
        if not images.is_dir():
            _build(images)
        if not kernel.is_dir():
            with building(kernel) as fresh:
                script(RECIPE / "kernel.sh", fresh)
    return Images(images / "base", images / "light", images / "repo", images / "id_ed25519", kernel)


def _build(images: Path) -> None:
    sys.stderr.write("testbed: building the hosts' file systems, once (about a minute)\n")
    with building(images) as fresh:
        base, light, repo = fresh / "base", fresh / "light", fresh / "repo"
        script(RECIPE / "base.sh", base)
        script(RECIPE / "repo.sh", base, repo)
        script(RECIPE / "light.sh", base, repo, light)
        key = fresh / "id_ed25519"
        subprocess.run(
            ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "testbed", "-f", key], check=True
        )
    if not any((cache_root() / "runs").iterdir()):
        for old in images.parent.iterdir():
            if old != images:
                shutil.rmtree(old)


@contextmanager
def building(final: Path) -> Iterator[Path]:
    """Build in a temporary directory and put it in place whole, or leave nothing."""
    fresh = Path(tempfile.mkdtemp(prefix="new-", dir=cache_root()))
    fresh.chmod(0o755)
    try:
        yield fresh
        fresh.rename(final)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def script(recipe: Path, *arguments: Path) -> None:
    """Run a recipe; raises RuntimeError with the end of its output. All of it is in the cache's build.log."""
    log = cache_root() / "build.log"
    with log.open("ab") as output:
        done = subprocess.run(
            [recipe, *arguments], stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        )
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"testbed: {recipe.name} failed with {done.returncode}; the end of {log}:\n{tail}")


def _recipe_digest() -> str:
    digest = hashlib.sha256(platform.machine().encode())
    for file in [Path("/etc/os-release"), *sorted(RECIPE.iterdir())]:
        if file.name != "kernel.sh":
            digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]
