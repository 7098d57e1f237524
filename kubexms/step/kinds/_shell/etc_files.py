"""What the kinds that keep files of the system share: answers made of `key=value` lines, atomic writes.

It knows nothing of any kind.
"""

from __future__ import annotations

from kubexms.runtime.protocol import Record
from kubexms.step.shell import quote

SBIN = "PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin\n"
"""System tools live in sbin, which is not on every account's PATH."""

PUT = r"""
# kx_put PATH MODE: standard input becomes PATH, atomically; a killed run leaves the old file or the new one
kx_put() {
  if [ -d "$1" ]; then echo "$1 is a directory, a file was expected" >&2; return 1; fi
  kx_dir=${1%/*}
  [ -d "${kx_dir:-/}" ] || mkdir -p "$kx_dir"
  kx_tmp=$(mktemp "$kx_dir/.kubexms.XXXXXX")
  trap 'rm -f "$kx_tmp"' EXIT
  trap 'exit 143' HUP INT TERM
  cat >"$kx_tmp"
  chmod "$2" "$kx_tmp"
  if [ "$#" -gt 2 ]; then chown "$3" "$kx_tmp"; fi
  sync "$kx_tmp" 2>/dev/null || sync
  # a file that is itself a mount point (containers bind /etc/hostname) cannot be replaced, only rewritten
  mv -f "$kx_tmp" "$1" 2>/dev/null || { cat "$kx_tmp" >"$1"; rm -f "$kx_tmp"; }
  trap - EXIT HUP INT TERM
  if command -v restorecon >/dev/null 2>&1; then restorecon "$1" 2>/dev/null || :; fi
}
# kx_edit PATH COMMAND...: PATH becomes what COMMAND makes of it; mode and owner stay, links are followed
kx_edit() {
  kx_file=$(readlink -f "$1")
  shift
  "$@" <"$kx_file" >"$KX_BACKUP/edited"
  if cmp -s "$KX_BACKUP/edited" "$kx_file"; then rm -f "$KX_BACKUP/edited"; return 0; fi
  kx_put "$kx_file" "$(stat -c %a "$kx_file")" "$(stat -c %u:%g "$kx_file")" <"$KX_BACKUP/edited"
  rm -f "$KX_BACKUP/edited"
}
"""
"""Shell functions for actions; need `"$KX_BACKUP"`."""


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


def flag(value: bool) -> str:
    """`1` or an empty string, as scripts test with `[ -n "$x" ]`."""
    return "1" if value else ""
