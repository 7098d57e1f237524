"""What is generated from the models and committed is what the models say now."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
GENERATED = ("schemas", "kubexms/config/documents/built")
GENERATOR = "kubexms.config.schemas"


def _contents(top: Path) -> dict[str, str]:
    return {
        str(path.relative_to(top)): path.read_text()
        for directory in GENERATED
        for path in sorted((top / directory).rglob("*"))
        if path.is_file()
    }


def test_schemas_and_reference_are_up_to_date(tmp_path: Path) -> None:
    """Generate into a copy and compare; `make schemas` is the remedy."""
    for directory in GENERATED:
        if (ROOT / directory).is_dir():
            shutil.copytree(ROOT / directory, tmp_path / directory)
    done = subprocess.run(
        [sys.executable, "-m", GENERATOR],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    fresh = _contents(tmp_path)
    assert any(name.startswith("schemas/") for name in fresh), "the generator wrote below another directory"
    assert _contents(ROOT) == fresh, "run make schemas"
