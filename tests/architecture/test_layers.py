"""Imports run one way, and the contracts that say so cover every package there is."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "kubexms"


@pytest.fixture(scope="module")
def contracts() -> dict[str, dict[str, Any]]:
    """The import contracts of pyproject.toml, by id."""
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return {contract["id"]: contract for contract in document["tool"]["importlinter"]["contracts"]}


def test_every_contract_is_kept() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_runtime_may_reach_other_machines(contracts: dict[str, dict[str, Any]]) -> None:
    """A package that is new is under the contract from its first day."""
    here = {
        f"kubexms.{path.stem}"
        for path in PACKAGE.iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and not path.stem.startswith("__")
    }
    assert here - {"kubexms.runtime"} <= set(contracts["transport"]["source_modules"])
