"""The project can be built from what is committed: locks that fit the declaration and name no machine."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = {
    "requirements.lock": [],
    "requirements-dev.lock": ["test", "dev"],
    "requirements-bench.lock": ["bench"],
    "requirements-review.lock": ["review"],
}


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_pins_every_declared_dependency_by_hash(lock: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = list(project["dependencies"])
    for extra in LOCKS[lock]:
        declared += project["optional-dependencies"][extra]
    text = (ROOT / lock).read_text()
    pinned = {_name(line) for line in text.splitlines() if re.match(r"[a-z0-9]", line, re.IGNORECASE)}
    assert {_name(requirement) for requirement in declared} - {"kubexms"} <= pinned
    for block in re.split(r"\n(?=[a-z0-9])", text):
        assert "==" in block, block
        assert "--hash=sha256:" in block, block


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_place(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert not re.search(r"https?://|file:|--index|--extra-index|--find-links|^# +/", text, re.MULTILINE)
