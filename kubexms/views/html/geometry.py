"""Where things of a drawing stand, in CSS pixels."""

from __future__ import annotations

from dataclasses import dataclass, field

from kubexms.views.html.drawing import Band, Box, Row

COLUMNS = 4
"""Boxes side by side; further ones wrap."""
WIDTH = 232
GAP = 46
"""Between columns: room for lines."""
LINE = 19
"""Height of a row."""
HEAD = 26
"""Height of a box's or a band's title."""
CHANNEL = 16
"""Above and below each line of boxes: room for lines."""
STACK = 12
"""Between boxes above each other."""
BETWEEN = 22
"""Between bands."""
INSIDE = 30
"""From a band's edge to its boxes: room for lines that come from the left."""
LANE = 7
"""Between lines that run side by side."""
LANES = 6


@dataclass(slots=True)
class Placed:
    """A box and where it stands."""

    box: Box
    x: int
    y: int
    line: int
    """Index of its line of boxes, over the whole drawing."""

    @property
    def height(self) -> int:
        """Of the whole box."""
        return HEAD + LINE * len(self.box.rows) + 6

    @property
    def port(self) -> int:
        """Where lines begin and end, vertically: beside the title."""
        return self.y + HEAD // 2

    def rows(self) -> list[tuple[int, Row]]:
        """Each row with the baseline of its text."""
        return [(self.y + HEAD + LINE * number + 13, row) for number, row in enumerate(self.box.rows)]

    def middle(self, path: str) -> int | None:
        """The vertical middle of a step's row."""
        for number, row in enumerate(self.box.rows):
            if path in row.steps:
                return self.y + HEAD + LINE * number + LINE // 2
        return None


@dataclass(slots=True)
class Strip:
    """A band and where it stands."""

    band: Band
    x: int
    y: int
    width: int
    height: int = 0


@dataclass(frozen=True, slots=True)
class Path:
    """A line with its arrow; `css` is `o` for order and `t` for a tie."""

    d: str
    css: str
    told: str


@dataclass(slots=True)
class Layout:
    """The whole picture."""

    width: int = 0
    height: int = 0
    strips: list[Strip] = field(default_factory=list)
    boxes: list[Placed] = field(default_factory=list)
    paths: list[Path] = field(default_factory=list)
    channels: list[tuple[int, int]] = field(default_factory=list)
    """Of each line of boxes: the channel above and the one below."""
