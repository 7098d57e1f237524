"""fstab(5): its fields, and changing one line of it while all others keep their bytes."""

from __future__ import annotations

_ESCAPES = {" ": r"\040", "\t": r"\011", "\n": r"\012", "\\": r"\134"}


def escaped(field: str) -> str:
    """A field as fstab and /proc write it."""
    return "".join(_ESCAPES.get(char, char) for char in field)


def unescaped(field: str) -> str:
    """The reverse; also of what the kernel escapes besides (`#`)."""
    parts = field.split("\\")
    text = parts[0]
    for part in parts[1:]:
        code = part[:3]
        if len(code) == 3 and all(digit in "01234567" for digit in code):
            text += chr(int(code, 8)) + part[3:]
        else:
            text += "\\" + part
    return text


# With KX_LINE empty the entry goes; otherwise it takes the place of the first, or the end of the file.
_EDIT = r"""
function clean(p) { if (length(p) > 1) sub(/\/+$/, "", p); return p }
$1 !~ /^#/ && clean($2) == ENVIRON["KX_PATH"] { if (!done) put(); next }
function put() { done = 1; if (ENVIRON["KX_LINE"] != "") print ENVIRON["KX_LINE"] }
{ print }
END { if (!done) put() }
"""

FSTAB = (
    r"""
PATH=$PATH:/usr/sbin:/sbin
told() { [ ! -d /run/systemd/system ] || systemctl daemon-reload; }
entry() {
  awk '$1 !~ /^#/ && ($2 == ENVIRON["KX_PATH"] || $2 == ENVIRON["KX_PATH"] "/")' /etc/fstab
}
# fstab PATH LINE: the entry of PATH becomes LINE, or goes; the one that was there first is kept for undo
fstab() {
  export KX_PATH="$1" KX_LINE="$2"
  [ -e /etc/fstab ] || : >/etc/fstab
  if [ ! -e "$KX_BACKUP/entry" ]; then
    entry >"$KX_BACKUP/entry.new"
    sync "$KX_BACKUP/entry.new" 2>/dev/null || sync
    mv -f "$KX_BACKUP/entry.new" "$KX_BACKUP/entry"
  fi
  kx_edit /etc/fstab awk '"""
    + _EDIT
    + r"""'
  told
}
mounted() {
  awk -v r=1 '{ gsub(/\\043/, "#", $5) } $5 == ENVIRON["KX_PATH"] { r = 0 } END { exit r }' \
    /proc/self/mountinfo
}
# directory PATH: makes it; what was made is written down, innermost first
directory() {
  d=$1
  made=
  while [ ! -d "$d" ]; do
    made="$made$d
"
    d=${d%/*}
    d=${d:-/}
  done
  [ -z "$made" ] || printf '%s' "$made" >>"$KX_BACKUP/made"
  mkdir -p "$1"
}
undirectory() {
  [ -e "$KX_BACKUP/made" ] || return 0
  while IFS= read -r d; do rmdir "$d" 2>/dev/null || :; done <"$KX_BACKUP/made"
}
"""
)
"""Shell functions for actions; need `PUT` of `etc_files`."""
