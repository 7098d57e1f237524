"""Where reports go: files that are whole or as they were, and webhooks. One that fails harms no other."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kubexms.config.givensecret import GivenSecret
from kubexms.config.secrets import SecretResolver
from kubexms.errors import KubexmsError, OutputError
from kubexms.runtime.webhook import post

Output = Callable[[], None]
"""Makes one report and puts it where it belongs. Raises `KubexmsError`."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """Who is told, and with which headers."""

    url: GivenSecret
    headers: tuple[tuple[str, GivenSecret], ...] = ()

    def send(self, body: bytes, resolver: SecretResolver) -> None:
        """Deliver a JSON document. Raises `SecretError` and `OutputError`."""
        headers = {name: value.resolve(resolver) for name, value in self.headers}
        post(self.url.resolve(resolver), body, headers)


def deliver(outputs: Iterable[Output]) -> Sequence[KubexmsError]:
    """Make all of them; returns what went wrong."""
    failed: list[KubexmsError] = []
    for output in outputs:
        try:
            output()
        except KubexmsError as error:
            failed.append(error)
    return failed


def write_file(path: Path, text: str) -> None:
    """Replace a file by a temporary one of the same directory; readers see the old or the new, never half.

    The mode is what the umask leaves of 0666: other programs are to read reports. What is no regular
    file (`/dev/stdout`, a pipe) is written to. Raises `OutputError`.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_text(text, "utf-8")
            return
        draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as stream:
                stream.write(text.encode("utf-8", "backslashreplace"))
                stream.flush()
                os.fsync(stream.fileno())
            draft.replace(target)
        except BaseException:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError(f"cannot write the report {path}: {error.strerror}") from error
