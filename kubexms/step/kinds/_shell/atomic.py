"""Writes files so that whoever reads them, or kills the writer, sees the old bytes or the new ones.

A script is `functions(token)`, then `begin PATH` (a temporary file "$t" beside the file, private at
first), bytes into "$t", then `keep` or `permit` (mode and owner), then `commit` (fsync, rename). `together`
does so for several files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from kubexms.step.observation import Observation
from kubexms.step.shell import quote, words

_FUNCTIONS = """\
fail() {
    printf '%s\\n' "$*" >&2
    exit 1
}
# follow PATH: f is what its links lead to. busybox's readlink -f resolves dangling ones wrongly.
follow() {
    f=$1
    i=0
    while [ -L "$f" ]; do
        [ "$i" -lt 40 ] || fail "$1 is a link that leads to itself"
        l=$(readlink -- "$f"; echo .)
        l=${l%?.}
        case $l in
        /*) f=$l ;;
        *) f=${f%/*}/$l ;;
        esac
        i=$((i + 1))
    done
}
begin() {
    p=$1
    d=${p%/*}
    d=${d:-/}
    [ -d "$d" ] || fail "$d is not a directory: declare it in a step before this one"
    if [ -d "$p" ] && [ ! -L "$p" ]; then fail "$p is a directory"; fi
    if [ -e "$p" ] && [ ! -f "$p" ] && [ ! -L "$p" ]; then fail "$p is there, and is not a file"; fi
    for t in "$d/.kubexms.$id."??????; do [ ! -e "$t" ] || rm -f "$t"; done
    t=$(mktemp "$d/.kubexms.$id.XXXXXX")
    trap 'rm -f "$t"' EXIT
    trap 'exit 143' HUP INT TERM
}
lacking() {
    fail "cannot write beside $p; its file system has $(df -Pk "$d" | awk 'END { print $4 }') KiB left"
}
keep() {
    s='644 '
    if [ -f "$p" ] && [ ! -L "$p" ]; then s=$(stat -c '%a %u:%g' -- "$p"); fi
    permit "${1:-${s#* }}" "${2:-${s%% *}}"
}
permit() {
    [ -z "$1" ] || chown "$1" "$t"
    chmod "$2" "$t"
}
flush() {
    sync "$@" 2>/dev/null || sync
}
place() {
    label=
    if [ ! -L "$t" ] && [ -d /sys/fs/selinux ] && command -v chcon >/dev/null; then
        label=new
        [ ! -f "$p" ] || [ -L "$p" ] || ! chcon --reference="$p" "$t" 2>/dev/null || label=
    fi
    if [ -d "$p" ]; then
        mv -fT "$t" "$p" 2>/dev/null || { rm -f "$p"; mv -f "$t" "$p"; }
    else
        mv -f "$t" "$p"
    fi
    if [ -n "$label" ] && command -v restorecon >/dev/null; then restorecon "$p" || :; fi
}
commit() {
    [ -L "$t" ] || flush "$t"
    place
    flush "$d"
}
"""


def functions(token: str) -> str:
    """The shell functions; `token` tells this object's temporary files from those of others.

    `begin` removes what a killed run has left behind under the same token.
    """
    return f"{owner_of(token)}{_FUNCTIONS}"


def owner_of(token: str) -> str:
    """Makes what follows use the temporary files of this token."""
    return f"id={hashlib.sha256(token.encode('utf-8', 'surrogateescape')).hexdigest()[:10]}\n"


def together(writings: Sequence[tuple[str, Sequence[str]]]) -> str:
    """A script that writes several files: pairs of a path, which is the token too, and lines that fill "$t".

    One wait for the disk takes the place of one for each file. Nothing is put in its place before all are
    written, so that a failure until then leaves no file changed.
    """
    names = [f"t{number}" for number in range(len(writings))]
    every = " ".join(f'"${name}"' for name in names)
    homes = words(list(dict.fromkeys(path.rpartition("/")[0] or "/" for path, _ in writings)))
    lines = [_FUNCTIONS, "=; ".join(names) + "=; placed="]
    lines.append(f'ended() {{ rm -f -- {every}; [ -z "$placed" ] || flush {homes}; }}')
    for name, (path, filling) in zip(names, writings, strict=True):
        lines += [f"{owner_of(path)}begin {quote(path)}", f"{name}=$t", "trap ended EXIT", *filling]
    lines += [f"flush {every}", "placed=y"]
    for name, (path, _) in zip(names, writings, strict=True):
        lines += [f"t=${name} p={quote(path)}", "place", f"{name}="]
    return "\n".join(lines) + "\n"


def ownership(owner: str | None, group: str | None) -> str:
    """The argument of `chown`; empty when neither is given."""
    if owner is None and group is None:
        return ""
    return f"{owner or ''}:{group}" if group is not None else f"{owner}"


def permissions(path: str, mode: str | None, owner: str | None, group: str | None) -> str:
    """Sets mode and owner in place; the owner first, since chown takes the setuid bit off."""
    lines = []
    if owner is not None or group is not None:
        lines.append(f"chown -h {quote(ownership(owner, group))} {quote(path)}")
    if mode is not None:
        lines.append(f"chmod {mode} {quote(path)}")
    return "".join(f"{line}\n" for line in lines)


def removal(path: str) -> str:
    """Removes a file or link, never a directory. Needs `functions`."""
    name = quote(path)
    return (
        f"if [ -d {name} ] && [ ! -L {name} ]; then\n"
        f"    fail {name} \"is a directory: use the kind 'directory'\"\nfi\n"
        f'rm -f -- {name}\nd={name}\nflush "${{d%/*}}/"\n'
    )


def restoration(path: str, prior: Observation) -> str:
    """Puts back a file, or a link, as `PathState.attributes` told of it. Needs `functions`.

    The bytes come from the backup; without one they were never changed.
    """
    name, seen = quote(path), prior.attributes
    if seen.get("type") == "symlink":
        return f'begin {name}\nrm -f "$t"\nln -s -- {quote(str(prior.extra.get("target")))} "$t"\ncommit\n'
    who = ownership(str(seen["owner"]), str(seen["group"]))
    return (
        f"begin {name}\n"
        'if [ -f "$KX_BACKUP/0" ]; then cat <"$KX_BACKUP/0" >"$t"\n'
        'elif [ -f "$p" ]; then cat <"$p" >"$t"\n'
        'else fail "$p is gone, and there is no backup of it"; fi\n'
        f"permit {quote(who)} {quote(str(seen['mode']))}\ncommit\n"
    )
