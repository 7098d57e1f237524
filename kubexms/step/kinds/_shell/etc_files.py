"""What the kinds that keep files of the system share: answers made of `key=value` lines, atomic writes.

It knows nothing of any kind.
"""

from __future__ import annotations

from kubexms.runtime.protocol import Record
from kubexms.step.kinds._shell.atomic import functions
from kubexms.step.shell import quote

SBIN = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n"
"""System tools live in sbin, which is not on every account's PATH."""

PUT = (
    functions("etc")
    + r"""
# kx_put PATH MODE [OWNER:GROUP]: standard input becomes PATH, atomically
kx_put() {
    mkdir -p "${1%/*}"
    begin "$1"
    cat >"$t"
    permit "${3:-}" "$2"
    commit
}
# kx_edit PATH COMMAND...: PATH becomes what COMMAND makes of it; mode and owner stay, links are followed
kx_edit() {
    begin "$(readlink -f "$1")"
    shift
    "$@" <"$p" >"$t"
    if cmp -s "$t" "$p"; then rm -f "$t"; return 0; fi
    keep
    commit
}
"""
)
"""Shell functions for actions: `kx_put`, `kx_edit`, and those of `atomic`."""


def put(path: str, text: str, mode: str = "0644") -> str:
    """A command that writes `text`, which is not secret, to `path`. Needs `PUT` before it."""
    return f"printf %s {quote(text)} | kx_put {quote(path)} {mode}\n"


def restore(path: str, *, existed: bool) -> str:
    """A command that puts back the first path of `Action.backup`, or removes what kubexms created."""
    back = quote(path)
    if not existed:
        return f"rm -f {back}\n"
    return (
        f'if [ -e "$KX_BACKUP/0" ]; then\n'
        f'  kx_put {back} "$(stat -c %a "$KX_BACKUP/0")" "$(stat -c %u:%g "$KX_BACKUP/0")" <"$KX_BACKUP/0"\n'
        f"else rm -f {back}; fi\n"
    )


def text_of(record: Record) -> str:
    """The record's text; bytes that are not UTF-8 survive as surrogates."""
    return record.text.decode("utf-8", "surrogateescape")


def fields_of(record: Record) -> dict[str, str]:
    """The `key=value` lines of a record. Of a repeated key the last line counts."""
    lines = (line.partition("=") for line in text_of(record).split("\n"))
    return {key: value for key, sep, value in lines if sep}


def lists_of(record: Record) -> dict[str, list[str]]:
    """The `key=value` lines of a record, all values of each key in order."""
    found: dict[str, list[str]] = {}
    for line in text_of(record).split("\n"):
        key, sep, value = line.partition("=")
        if sep:
            found.setdefault(key, []).append(value)
    return found
