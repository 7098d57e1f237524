"""Streaming a payload to a file on the host, over a channel of its own, with bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kubexms.errors import ActionFailed, Unreachable
from kubexms.runtime.composing import envelope
from kubexms.runtime.exchanging import payload_size
from kubexms.runtime.framing import FrameReader, new_marker
from kubexms.runtime.protocol import Payload
from kubexms.runtime.quoting import quote
from kubexms.runtime.transport import ByteChannel

_CHUNK = 1 << 18
_STALLED = 120.0
"""Seconds without any progress after which the host counts as lost."""


class Upload:
    """One file over a fresh channel whose shell waits for its text. Used once, by one thread."""

    def __init__(self, channel: ByteChannel, *, host: str, clock: Callable[[], float]) -> None:
        self._channel = channel
        self._host = host
        self._clock = clock
        self._marker = new_marker()
        self._reader = FrameReader(self._marker)
        self._said = b""

    def send(self, source: Payload, path: str, *, name: str) -> None:
        """Write the payload to `path`, for its owner only.

        Raises `ActionFailed` if the host cannot store it, `Unreachable` if the connection breaks.
        """
        size = payload_size(source)
        text = (
            f"umask 077; printf '%s U 0\\n\\n' {self._marker}; cat >{quote(path)} || exit 1\n"
            f"printf '%s V %s 0\\n\\n' {self._marker} \"$(wc -c <{quote(path)})\"\n"
        )
        self._channel.send(envelope(text), timeout=_STALLED)
        # what follows goes to cat: not a byte of it may arrive before the text has been read
        self._expect("U", name)
        for chunk in _chunks(source):
            if not self._channel.send(chunk, timeout=_STALLED):
                break
        self._channel.end_input()
        written = self._expect("V", name)
        if written != str(size):
            raise ActionFailed(f"{self._host}: {name}: {written} of {size} bytes arrived")

    def _expect(self, kind: str, name: str) -> str:
        limit = self._clock() + _STALLED
        while (remaining := limit - self._clock()) > 0:
            received = self._channel.receive(remaining)
            self._said = (self._said + received.stderr)[-2000:]
            for frame in self._reader.feed(received.stdout):
                if frame.kind == kind:
                    return frame.arguments[0].strip() if frame.arguments else ""
            if received.ended:
                break
        detail = self._said.decode("utf-8", "replace").strip()
        if detail:
            raise ActionFailed(f"{self._host}: could not store the file for {name}", detail=detail)
        raise Unreachable(f"{self._host}: the connection was lost while a file was being sent")


def _chunks(source: Payload) -> Iterator[bytes]:
    if source.data is not None:
        view = memoryview(source.data)
        for start in range(0, len(view), _CHUNK):
            yield bytes(view[start : start + _CHUNK])
    elif source.path is not None:
        with source.path.open("rb") as stream:
            while chunk := stream.read(_CHUNK):
                yield chunk
