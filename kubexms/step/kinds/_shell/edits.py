"""Changes of several steps to parts of one text file, put in place at once.

`shared PATH CREATE` opens the file, as `edit` of `edit.py` does for one step. Each step then has its turn:
`turn STORE`, a new text into "$t" of what is in "$src", `turned`. `close` puts the last text in place. Each
step keeps the original and what it wrote, as if the others' turns before its own had been put in place one by
one; what is kept is on the disk before the file changes. If a turn fails, nothing has changed, and what was
kept on the way is removed.
"""

from __future__ import annotations

from kubexms.step.kinds._shell.edit import edit_functions

_EDITS = """\
root=${KX_BACKUP%/*}
final= kept= texts=
ended() {
    [ -z "$final" ] || rm -f -- "$final"
    (cd "$root" && rm -f -- $kept $texts)
}
shared() {
    target "$1" "$2"
    final=$t
    trap ended EXIT
    have=$(sum "$p")
}
turn() {
    KX_BACKUP=$root/$1
    store=$1
    t=$KX_BACKUP/text
    texts="$texts $1/text"
}
turned() {
    now=$(sum "$t")
    o=$KX_BACKUP/original
    before=$have
    if [ -e "$o" ] || [ -e "$KX_BACKUP/nothing" ]; then
        before=$(sum "$o")
    elif [ "$src" = /dev/null ]; then
        kept="$kept $store/nothing"
        : >"$KX_BACKUP/nothing"
    else
        kept="$kept $store/original"
        cp -p -- "$src" "$o.new"
        mv -f "$o.new" "$o"
    fi
    w=$KX_BACKUP/written
    if [ "$now" != "$have" ]; then
        if [ "$have" = "$before" ] || [ "$have" = "$(cat "$w" 2>/dev/null || :)" ]; then
            printf '%s\\n' "$now" >"$w"
        else
            rm -f "$w"
        fi
    fi
    src=$t
    have=$now
}
close() {
    if [ -n "$kept" ]; then (cd "$root" && flush $kept $(for k in $kept; do echo "${k%/*}"; done)); fi
    if cmp -s "$src" "$p"; then
        rm -f -- "$final"
    else
        t=$final
        cat "$src" >"$t"
        keep
        commit
    fi
    (cd "$root" && rm -f -- $texts)
    final= kept= texts=
}
"""


def edits_functions(token: str) -> str:
    """The shell functions of this module, of `edit` and of `atomic`. STORE is `contract.Part.store`."""
    return edit_functions(token) + _EDITS
