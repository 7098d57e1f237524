"""Rules about the source as text, for code and tests alike."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINES_AT_MOST = 400
NAMES_THAT_SAY_NOTHING = ("util", "utils", "manager", "managers", "helper", "helpers")


def _sources() -> list[Path]:
    return sorted(path for top in ("kubexms", "tests") for path in (ROOT / top).rglob("*.py"))


def _defined_names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name


def _words(name: str) -> list[str]:
    """Split SnakeCase and snake_case into lower-case words."""
    spaced = "".join(f" {letter}" if letter.isupper() else letter for letter in name)
    return spaced.replace("_", " ").lower().split()


def test_no_file_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in _sources()}
    assert {name: length for name, length in lengths.items() if length > LINES_AT_MOST} == {}


def test_names_say_what_a_thing_does() -> None:
    found = []
    for path in _sources():
        relative = path.relative_to(ROOT)
        words = [word for part in relative.with_suffix("").parts for word in _words(part)]
        words += [word for name in _defined_names(ast.parse(path.read_text())) for word in _words(name)]
        found += [f"{relative}: {word}" for word in words if word in NAMES_THAT_SAY_NOTHING]
    assert found == []


def test_fakes_stand_at_seams_and_nothing_is_patched() -> None:
    found = []
    for path in (ROOT / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            imported = node.names if isinstance(node, ast.Import | ast.ImportFrom) else []
            origin = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            names = [f"{origin}.{alias.name}".strip(".") for alias in imported]
            found += [f"{path.name}: {name}" for name in names if name.startswith(("unittest.mock", "mock"))]
    assert found == []


def test_every_package_and_module_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "kubexms").rglob("*.py")
        if ast.get_docstring(ast.parse(path.read_text())) is None
    ]
    assert silent == []


@pytest.mark.parametrize("words", [("FileHelper", ["file", "helper"]), ("run_once", ["run", "once"])])
def test_words(words: tuple[str, list[str]]) -> None:
    assert _words(words[0]) == words[1]
