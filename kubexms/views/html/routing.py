"""The lines of a drawing: between modules, between tasks, and between steps of a task."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kubexms.views.escaping import printable
from kubexms.views.html.drawing import Band, Drawing
from kubexms.views.html.geometry import GAP, HEAD, INSIDE, LANE, LANES, WIDTH, Layout, Path, Placed


def far_waits(bands: Sequence[Band]) -> Iterator[tuple[int, int]]:
    """(before, after) of bands that do not follow each other on the page."""
    places = {band.name: number for number, band in enumerate(bands)}
    for after, band in enumerate(bands):
        for name in band.after:
            if name in places and places[name] != after - 1:
                yield places[name], after


def connect(drawing: Drawing, picture: Layout, right: int) -> int:
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
                told or printable(f"{after} waits for {before}"),
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
    return {pair: printable(", ".join(lines[:12])) for pair, lines in found.items()}


def _within(picture: Layout, placed: Placed, before: str, after: str) -> None:
    """An arc beside the box, from row to row."""
    start, end = placed.middle(before), placed.middle(after)
    if start is None or end is None or start == end:
        return
    x = placed.x + WIDTH
    bulge = x + min(10 + abs(end - start) // 6, GAP - 16)
    d = f"M{x} {start}C{bulge} {start} {bulge} {end} {x + 1} {end}"
    picture.paths.append(Path(d, "t", printable(f"{after} depends on {before}")))


def _bands(drawing: Drawing, picture: Layout) -> None:
    far = {pair: lane for lane, pair in enumerate(far_waits(drawing.bands))}
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
