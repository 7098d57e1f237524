"""Framing survives any bytes and any cut."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubexms.runtime.framing import Frame, FrameReader, new_marker

MARKER = new_marker()


def _measured(frame: Frame) -> bytes:
    words = [MARKER, frame.kind, *frame.arguments, str(len(frame.body))]
    return " ".join(words).encode() + b"\n" + frame.body + b"\n"


def _open_ended(frame: Frame) -> bytes:
    return " ".join([MARKER, frame.kind, *frame.arguments, "~"]).encode() + b"\n" + frame.body


def _pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in itertools.pairwise(edges):
        yield data[start:end]


words = st.text("abcXYZ019", min_size=1, max_size=4)
frames = st.builds(Frame, st.sampled_from("RSEDO"), st.tuples(words, words), st.binary(max_size=80))


@given(
    st.lists(st.tuples(frames, st.binary(max_size=30), st.booleans()), max_size=6), st.lists(st.integers(0))
)
def test_frames_come_out_as_they_went_in(items: list[tuple[Frame, bytes, bool]], cuts: list[int]) -> None:
    stream = b""
    for frame, noise, measured in items:
        stream += noise + _measured(frame) if measured else _open_ended(frame)
    stream += _measured(Frame("Z", (), b""))
    reader = FrameReader(MARKER)
    found = [frame for piece in _pieces(stream, cuts) for frame in reader.feed(piece)]
    kinds = [(frame.kind, frame.arguments) for frame in found]
    assert kinds == [*((frame.kind, frame.arguments) for frame, _, _ in items), ("Z", ())]
    for frame, (wanted, _, measured) in zip(found, items, strict=False):
        assert frame.body == wanted.body if measured else frame.body.startswith(wanted.body)


@given(st.binary(max_size=200))
def test_noise_alone_is_no_frame(noise: bytes) -> None:
    assert list(FrameReader(MARKER).feed(noise)) == []


@pytest.mark.parametrize("header", [b"", b"R", b"R 1 x", b"x" * 600, b"R -1"])
def test_a_broken_header_is_skipped(header: bytes) -> None:
    good = Frame("R", ("1",), b"body")
    stream = MARKER.encode() + b" " + header + b"\n" + _measured(good)
    assert list(FrameReader(MARKER).feed(stream)) == [good]


def test_a_body_beyond_all_limits_is_an_error() -> None:
    reader = FrameReader(MARKER, limit=100)
    with pytest.raises(OverflowError):
        list(reader.feed(f"{MARKER} R 1 101\n".encode()))


def test_markers_differ() -> None:
    assert new_marker() != new_marker()
