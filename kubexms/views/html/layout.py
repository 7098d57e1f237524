"""Where everything of a drawing stands, and the lines between: plain geometry, in CSS pixels.

Bands follow each other downwards, the tasks of a band flow to the right by what they wait for, and
wrap. Lines run in the free channels between boxes only, so that none crosses a text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from kubexms.views.html.drawing import Band, Box, Drawing, Row

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


def lay_out(drawing: Drawing) -> Layout:
    """The same drawing gives the same picture."""
    picture = Layout()
    far = sum(1 for _ in _far_waits(drawing.bands))
    left = 12 + LANE * min(far, LANES) if far else 1
    columns = 1
    y = 1
    for band in drawing.bands:
        strip = Strip(band, left, y, 0)
        columns = max(columns, _place(band, picture, left + INSIDE, y + HEAD))
        strip.height = picture.channels[-1][1] + CHANNEL - y
        y += strip.height + BETWEEN
        picture.strips.append(strip)
    inner = columns * WIDTH + (columns - 1) * GAP
    for strip in picture.strips:
        strip.width = inner + 2 * INSIDE
    right = left + picture.strips[0].width
    lanes = _connect(drawing, picture, right)
    picture.width = right + (12 + LANE * min(lanes, LANES) if lanes else 1)
    picture.height = y - BETWEEN + 1
    return picture


def _place(band: Band, picture: Layout, x: int, y: int) -> int:
    """Put the boxes of a band; returns how many columns it has."""
    ranks = _ranks(band.boxes)
    widest = 0
    for line in range(max(ranks.values()) // COLUMNS + 1):
        top = y + CHANNEL
        bottom = top
        for column in range(COLUMNS):
            below = top
            for box in band.boxes:
                if ranks[box.key] == line * COLUMNS + column:
                    placed = Placed(box, x + column * (WIDTH + GAP), below, len(picture.channels))
                    picture.boxes.append(placed)
                    below += placed.height + STACK
                    widest = max(widest, column + 1)
            bottom = max(bottom, below - STACK)
        picture.channels.append((y, bottom))
        y = bottom + CHANNEL
    return widest


def _ranks(boxes: Sequence[Box]) -> dict[str, int]:
    """How many boxes at most stand before each; boxes without any order wrap like words."""
    if not any(box.after for box in boxes):
        return {box.key: number for number, box in enumerate(boxes)}
    ranks: dict[str, int] = {}
    waits = {box.key: box.after for box in boxes}
    queue = [box.key for box in boxes]
    while queue:
        ready = [key for key in queue if all(other in ranks for other in waits[key] if other in waits)]
        for key in ready or queue:
            ranks[key] = max((ranks.get(other, 0) + 1 for other in waits[key] if other in waits), default=0)
        queue = [key for key in queue if key not in ranks]
    return ranks


def _far_waits(bands: Sequence[Band]) -> Iterator[tuple[int, int]]:
    """(before, after) of bands that do not follow each other on the page."""
    places = {band.name: number for number, band in enumerate(bands)}
    for after, band in enumerate(bands):
        for name in band.after:
            if name in places and places[name] != after - 1:
                yield places[name], after


def _connect(drawing: Drawing, picture: Layout, right: int) -> int:
    """Draw every line; returns how many run at the right edge."""
    boxes = {placed.box.key: placed for placed in picture.boxes}
    _bands(drawing, picture)
    router = _Router(picture, right)
    ties = _ties_between(drawing, boxes)
    pairs = {
        (other, placed.box.key): ""
        for placed in picture.boxes
        for other in placed.box.after
        if other in boxes
    }
    pairs |= dict.fromkeys(drawing.crossing, "")
    for (before, after), told in [*pairs.items(), *ties.items()]:
        css = "t" if told else "o"
        picture.paths.append(
            Path(
                router.route(boxes[before], boxes[after], aside=bool(told)),
                css,
                told or f"{after} waits for {before}",
            )
        )
    for tie in drawing.ties:
        placed = boxes.get(_task(tie.after))
        if placed is not None and _task(tie.before) == _task(tie.after):
            _within(picture, placed, tie.before, tie.after)
    return router.lanes


def _task(path: str) -> str:
    return path.rpartition("/")[0]


def _ties_between(drawing: Drawing, boxes: dict[str, Placed]) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], list[str]] = {}
    for tie in drawing.ties:
        before, after = _task(tie.before), _task(tie.after)
        if before != after and before in boxes and after in boxes:
            found.setdefault((before, after), []).append(f"{tie.after} depends on {tie.before}")
    return {pair: "\n".join(lines[:12]) for pair, lines in found.items()}


def _within(picture: Layout, placed: Placed, before: str, after: str) -> None:
    """An arc beside the box, from row to row."""
    start, end = placed.middle(before), placed.middle(after)
    if start is None or end is None or start == end:
        return
    x = placed.x + WIDTH
    bulge = x + min(10 + abs(end - start) // 6, GAP - 16)
    d = f"M{x} {start}C{bulge} {start} {bulge} {end} {x + 1} {end}"
    picture.paths.append(Path(d, "t", f"{after} depends on {before}"))


def _bands(drawing: Drawing, picture: Layout) -> None:
    far = {pair: lane for lane, pair in enumerate(_far_waits(drawing.bands))}
    for number, strip in enumerate(picture.strips):
        for name in strip.band.after:
            before = next((i for i, other in enumerate(picture.strips) if other.band.name == name), None)
            if before is None:
                continue
            other = picture.strips[before]
            told = f"{strip.band.title} begins when {other.band.title} has finished on every host"
            if before == number - 1:
                x = strip.x + INSIDE
                d = f"M{x} {other.y + other.height}V{strip.y - 1}"
            else:
                x = strip.x - 8 - LANE * (far[before, number] % LANES)
                start, end = other.y + other.height - 10, strip.y + HEAD // 2
                d = f"M{other.x} {start}H{x}V{end}H{strip.x - 1}"
            picture.paths.append(Path(d, "o", told))


class _Router:
    """Finds a way between two boxes; counts the ways at the right edge, so that they do not coincide."""

    def __init__(self, picture: Layout, right: int) -> None:
        self._channels = picture.channels
        self._right = right
        self._count = 0
        self.lanes = 0

    def route(self, before: Placed, after: Placed, *, aside: bool) -> str:
        """The line from the right of one box to the left of the other; `aside` keeps off those of order."""
        leave, arrive = before.port + 6 * aside, after.port + 6 * aside
        start, end = before.x + WIDTH, after.x - 1
        if before.line == after.line and end - start < GAP and end > start:
            bend = (end - start) // 2
            curve = f"C{start + bend} {leave} {end - bend} {arrive}"
            return f"M{start} {leave}{curve} {end} {arrive}"
        self._count += 1
        shift = 3 * (self._count % 4)
        out, into = start + 10 + shift, end - 12 - shift
        below = self._channels[before.line][1] + 4 + shift
        if after.line in {before.line, before.line + 1}:
            level = below if after.line == before.line else self._channels[after.line][0] + 4 + shift
            return f"M{start} {leave}H{out}V{level}H{into}V{arrive}H{end}"
        lane = self._right + 8 + LANE * (self.lanes % LANES)
        self.lanes += 1
        above = self._channels[after.line][0] + 4 + shift
        return f"M{start} {leave}H{out}V{below}H{lane}V{above}H{into}V{arrive}H{end}"
