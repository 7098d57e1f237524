"""Where everything of a drawing goes.

Bands follow each other downwards, the tasks of a band flow to the right by what they wait for, and
wrap. Lines run in the free channels between boxes only, so that none crosses a text.
"""

from __future__ import annotations

from collections.abc import Sequence

from kubexms.views.html.drawing import Band, Box, Drawing
from kubexms.views.html.geometry import (
    BETWEEN,
    CHANNEL,
    COLUMNS,
    GAP,
    HEAD,
    INSIDE,
    LANE,
    LANES,
    STACK,
    WIDTH,
    Layout,
    Placed,
    Strip,
)
from kubexms.views.html.routing import connect, far_waits


def lay_out(drawing: Drawing) -> Layout:
    """The same drawing gives the same picture."""
    picture = Layout()
    far = sum(1 for _ in far_waits(drawing.bands))
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
    lanes = connect(drawing, picture, right)
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
