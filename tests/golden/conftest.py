"""Golden files: compared byte for byte, rewritten with `pytest tests/golden --update-golden`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag."""
    parser.addoption("--update-golden", action="store_true", help="rewrite golden files instead of comparing")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """Compare a text with `tests/golden/NAME`, or write it there."""
    update = bool(request.config.getoption("--update-golden", default=False))

    def compare(name: str, text: str) -> None:
        path = HERE / name
        if update:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, "utf-8", newline="\n")
            return
        assert path.is_file(), f"{name} is missing: run pytest tests/golden --update-golden and read it"
        assert text == path.read_bytes().decode(), f"{name} differs: read it, then --update-golden"

    return compare
