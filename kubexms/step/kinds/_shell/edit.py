"""Changes a part of a text file that others write too, and takes the change back.

`edit PATH CREATE` opens it (links are followed), "$src" is what is there, the new text goes into
"$t", `finish` puts it in place with the mode and owner that the file had. The first edit of a step
keeps the original. `back PATH` puts that back byte for byte if the file is still what the step
wrote; if others have written since, it opens the file instead, for an edit that only takes the
step's own part out.
"""

from __future__ import annotations

from kubexms.step.kinds._shell.atomic import functions
from kubexms.step.kinds._shell.survey import LOOK

_EDIT = """\
sum() {
    if [ -f "$1" ]; then sha256sum <"$1"; else echo -; fi
}
target() {
    follow "$1"
    begin "$f"
    src=$p
    if [ ! -e "$p" ]; then
        [ -n "$2" ] || fail "$p does not exist; 'create: true' makes it"
        src=/dev/null
    fi
    [ -f "$p" ] || [ "$src" = /dev/null ] || fail "$p is not a regular file"
}
edit() {
    target "$1" "$2"
    was=$(sum "$p")
    o=$KX_BACKUP/original
    if [ ! -e "$o" ] && [ ! -e "$KX_BACKUP/nothing" ]; then
        if [ -e "$p" ]; then
            cp -p -- "$p" "$o.new"
            flush "$o.new"
            mv -f "$o.new" "$o"
        else
            : >"$KX_BACKUP/nothing"
        fi
        flush "$KX_BACKUP"
    fi
}
finish() {
    if [ "$src" = "$p" ] && cmp -s "$t" "$p"; then
        rm -f "$t"
        return
    fi
    w=$KX_BACKUP/written
    if [ "$was" = "$(sum "$o")" ] || [ "$was" = "$(cat "$w" 2>/dev/null || :)" ]; then
        sum "$t" >"$w.new"
        mv -f "$w.new" "$w"
    else
        rm -f "$w"
    fi
    keep
    commit
}
back() {
    follow "$1"
    [ -e "$f" ] || exit 0
    [ ! -e "$KX_BACKUP/original" ] || ! cmp -s "$f" "$KX_BACKUP/original" || exit 0
    if [ "$(sum "$f")" = "$(cat "$KX_BACKUP/written" 2>/dev/null || :)" ]; then
        if [ -e "$KX_BACKUP/original" ]; then
            begin "$f"
            cat <"$KX_BACKUP/original" >"$t"
            keep
            commit
        else
            rm -f -- "$f"
        fi
        exit 0
    fi
    edit "$f" ''
}
cleared() {
    if [ -e "$KX_BACKUP/nothing" ] && [ ! -s "$t" ]; then
        rm -f -- "$p"
        exit 0
    fi
}
endline() {
    [ ! -s "$1" ] || [ -z "$(tail -c 1 "$1")" ] || echo
}
replace() {
    head -n "$(($1 - 1))" "$src"
    [ "$(($2 - $1))" -gt 0 ] || [ "$1" -le "$(awk 'END { print NR }' <"$src")" ] || endline "$src"
    cat
    tail -n "+$2" "$src"
}
"""


def edit_functions(token: str) -> str:
    """The shell functions of this module and of `atomic`.

    `replace FIRST NEXT` prints the file with the lines from FIRST up to NEXT exclusive replaced by
    stdin; equal numbers insert before that line. `cleared` ends the script, and the file, if the
    step made it and nothing is left in it.
    """
    return functions(token) + _EDIT


TEXT_GREP = "as_text=\n! echo x | grep -qa x 2>/dev/null || as_text=-a\n"
"""For scripts that look for lines: `grep $as_text` takes a file for text that has a zero byte somewhere, too.

GNU's would say that such a file matches, and print none of its lines; busybox's has no such option, nor the
need of it.
"""

READ_FILE = (
    LOOK
    + """\
readable() {
    look "$1"
    case $k in
    a) emit 1 '' ; return 1 ;;
    d) emit 2 '' ; return 1 ;;
    esac
    if [ ! -e "$1" ]; then emit 1 '' ; return 1; fi
    if [ ! -f "$1" ]; then emit 4 '' ; return 1; fi
    if [ ! -r "$1" ]; then emit 3 '' ; return 1; fi
}
"""
)
"""For probes: `readable PATH` succeeds, or emits 1 (not there), 2 or 3 (denied), 4 (not a plain file)."""

REASONS = {
    2: "permission denied: a directory above the file cannot be searched",
    3: "permission denied: the file cannot be read",
    4: "what is there is not a regular file",
}
"""Why a record with such a status is unknown."""
