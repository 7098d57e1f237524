"""Fragments as shell text, for the asking shell and for the guard of an exchange alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kubexms.runtime.protocol import DEFAULT_CAP, Fragment
from kubexms.runtime.quoting import quote, shell_source

BOOTSTRAP = (
    "PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin; export PATH; "
    'IFS= read -r n && s=$(head -c "$n"; echo .) && [ "${#s}" -eq $((n + 1)) ] && eval "${s%.}"'
)
"""Reads a line with a length, then so many bytes, and evaluates them; a truncated text is not run.

The shell's own program is this constant, so that nothing on stdin is ever taken for a program.
"""


def shell_command(bootstrap: str = BOOTSTRAP) -> str:
    """The command line that starts a shell for a text that follows on its stdin."""
    return f"exec env LC_ALL=C sh -c '{bootstrap}'"


def envelope(text: str) -> bytes:
    """A text as the bootstrap reads it."""
    data = text.encode("utf-8", "surrogateescape")
    return b"%d\n%s" % (len(data), data)


_WHO = 'while read -r kx_f kx_rest kx_uid kx_line; do [ "$kx_f" != Uid: ] || break; done </proc/self/status'
"""kx_uid becomes the effective user's id, without a process more."""


def preamble(marker: str, *, nested: bool) -> list[str]:
    """The functions that every fragment needs; `nested` adds what inner shells are given."""
    lines = [f"kx_m={marker} kx_bare= kx_phase=", _WHO, f"kx_emit={quote(shell_source('emit.sh'))}"]
    shared = shell_source("shared.sh") + (shell_source("guard.sh") if nested else "")
    if nested:
        lines += [
            f"kx_shared={quote(shared)}",
            "kx_quoted=" + quote("kx_emit=" + quote(shell_source("emit.sh"))),
            'eval "$kx_shared"',
        ]
    else:
        lines.append(shared)
    lines.append('eval "$kx_emit"')
    return lines


def needs_nesting(fragments: Iterable[Fragment]) -> bool:
    """True if any fragment needs a shell of its own: the guard, or another user."""
    return any(fragment.guarded or fragment.user for fragment in fragments)


def fragment_line(index: int, fragment: Fragment, *, cap: int = DEFAULT_CAP) -> str:
    """The line that runs one fragment alone. Its frames carry the token ``$kx_phase`` + index."""
    token = f'"${{kx_phase}}{index}"'
    if fragment.guarded:
        user = quote(fragment.user or "")
        return "kx_guarded " + quote(f"kx_check {token} {cap} {user} {quote(fragment.script)}")
    line = f"kx_fragment {token} {cap} {quote(fragment.script)}"
    return f"kx_fragments_as {quote(fragment.user)} {quote(line)}" if fragment.user else line


def fragment_lines(fragments: Sequence[Fragment]) -> list[str]:
    """The lines that run all fragments: those of one user, and the guarded ones, share a shell."""
    plain: list[str] = []
    by_user: dict[str, list[str]] = {}
    guarded: list[str] = []
    for index, fragment in enumerate(fragments):
        if fragment.guarded:
            user = quote(fragment.user or "")
            guarded.append(f"kx_check {index} {DEFAULT_CAP} {user} {quote(fragment.script)}")
        else:
            line = f"kx_fragment {index} {DEFAULT_CAP} {quote(fragment.script)}"
            (by_user.setdefault(fragment.user, []) if fragment.user else plain).append(line)
    lines = plain
    for user, texts in by_user.items():
        lines.append(f"kx_fragments_as {quote(user)} " + quote("\n".join(texts)))
    if guarded:
        lines.append("kx_guarded " + quote("\n".join(guarded)))
    return lines


def ask_text(fragments: Sequence[Fragment], marker: str) -> str:
    """The whole text that asks all fragments of a host."""
    lines = preamble(marker, nested=needs_nesting(fragments))
    lines += [shell_source("ask.sh"), "kx_start", *fragment_lines(fragments), "kx_stop"]
    return "\n".join(lines) + "\n"
