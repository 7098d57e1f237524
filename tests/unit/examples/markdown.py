"""What the documentation holds, taken apart: fenced blocks and links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """One fenced block."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        """Page and line, for test names."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def pages() -> list[Path]:
    """Every page that people read."""
    found = [ROOT / "README.md", ROOT / "benchmarks/README.md"]
    found += [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
    return sorted(path for path in found if path.is_file())


def blocks(*languages: str) -> list[Block]:
    """The fenced blocks of these languages on all pages."""
    return [
        Block(page, text.count("\n", 0, match.start()) + 1, match[1], match[2])
        for page in pages()
        for text in [page.read_text("utf-8")]
        for match in _FENCE.finditer(text)
        if match[1] in languages
    ]


def links(page: Path) -> Iterator[str]:
    """The targets of links on a page, outside of fenced blocks."""
    for match in _LINK.finditer(_FENCE.sub("", page.read_text("utf-8"))):
        yield match[1]


def anchors(page: Path) -> set[str]:
    """The anchors that a forge makes of the headings of a page."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    return {_anchor(match[1]) for match in _HEADING.finditer(text)}


def _anchor(heading: str) -> str:
    plain = re.sub(r"[`*\[\]]|\([^)]*\)", "", heading).strip().lower()
    return re.sub(r"\s", "-", re.sub(r"[^\w\s-]", "", plain))
