"""What docs/architecture.md says of the tree is so."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/architecture.md").read_text()
CLUSTERS = ROOT / "tests/e2e/cluster"


def test_the_layers_are_those_that_imports_are_checked_against() -> None:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contracts = {contract["id"]: contract for contract in document["tool"]["importlinter"]["contracts"]}
    layers = {name for layer in contracts["layers"]["layers"] for name in layer.split(" | ")}
    drawn = re.search(r"```text\n(.*?)```", PAGE, re.DOTALL)
    assert drawn is not None
    # a name, or several, and then what they are for
    names = {name for line in drawn[1].splitlines() for name in re.findall(r"\w+", line[:27])}
    assert names == layers


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`(\w[\w./-]*/[\w.-]+)`", PAGE))))
def test_what_it_names_is_there(path: str) -> None:
    assert any((top / path).exists() for top in (ROOT, ROOT / "kubexms")), path


def test_every_file_of_long_tests_is_in_the_table() -> None:
    there = {path.name for path in CLUSTERS.glob("test_*.py") if "pytest.mark.cluster" in path.read_text()}
    assert set(re.findall(r"`(test_\w+\.py)`", PAGE)) == there
