"""The next patch version of Kubernetes, for upgrades: the same programs, which call themselves by it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from kubexms.services.artifacts import Named, add
from tests.e2e.cluster import supply
from tests.e2e.testbed.cache import building, cache_root, locked

NEXT = "v1.20.3"


def stamped(version: str = NEXT) -> Path:
    """Return the directory of artifacts with another version beside the real one; the first caller makes it.

    The version must be as long as the real one: it is put in its place in the programs' bytes, also in those
    within the images.
    """
    assert len(version) == len(supply.VERSION)
    real = supply.artifacts()
    made = real.with_name(f"{real.name}-{version}")
    with locked("stamping-lock"):
        if not made.is_dir():
            with building(made) as fresh:
                shutil.rmtree(fresh)
                shutil.copytree(real, fresh, copy_function=_link)
                _add(version, fresh)
    return made


def _add(version: str, out: Path) -> None:
    with TemporaryDirectory(dir=cache_root(), prefix="new-") as scratch:
        programs = Path(scratch) / "programs"
        (programs / "bin").mkdir(parents=True)
        for name in supply.BINARIES:
            source = supply.programs() / "bin" / name
            content = source.read_bytes().replace(supply.VERSION.encode(), version.encode())
            (programs / "bin" / name).write_bytes(content)
            (programs / "bin" / name).chmod(0o755)
        add(out, [programs / "bin" / name for name in supply.BINARIES], Named(version=version))
        supply.add_images(out, programs, version, all_of_them=False)


def _link(source: str, target: str) -> str:
    """Files are not written twice, but for the list of them, which grows."""
    if source.endswith(".yaml"):
        shutil.copy2(source, target)
    else:
        os.link(source, target)
    return target


if __name__ == "__main__":
    print(stamped())
