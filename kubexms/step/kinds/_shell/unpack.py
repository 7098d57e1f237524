"""Unpacks an archive into a directory that holds other files too, and remembers what it put there.

The record lies below kubexms's own directory on the host, `archives/ID`: `about` (what was unpacked,
and how), `files` (as sha256sum checks it), `links` (a target and a name, line by line), `dirs` (the
directories it made). It is complete before the first file arrives, and in force after the last.
"""

from __future__ import annotations

STATE = """\
nl='
'
state=${KUBEXMS_HOST_STATE:-}
if [ -z "$state" ]; then
    if [ "$(id -u)" = 0 ]; then state=/var/lib/kubexms; else state=$HOME/.local/state/kubexms; fi
fi
"""

# ask ID DEST ARCHIVE: what `about` says, the digest of the archive on the host, what is damaged
ASK = (
    STATE
    + """\
damaged() {
    cd "$1" 2>/dev/null || { echo .; return; }
    [ ! -s "$2/files" ] || sha256sum -c "$2/files" 2>/dev/null | sed -n 's/: FAILED.*$//p'
    while IFS= read -r t && IFS= read -r l; do
        [ "$(readlink "$l" 2>/dev/null)" = "$t" ] || printf '%s\\n' "$l"
    done <"$2/links"
    while IFS= read -r l; do
        [ -d "$l" ] || printf '%s\\n' "$l"
    done <"$2/tree"
}
ask() {
    r=$state/archives/$1
    if [ -d "$r" ] && [ ! -x "$r" ]; then emit 2 ''; return; fi
    if [ ! -f "$r/about" ]; then emit 1 ''; return; fi
    h=
    if [ -n "$3" ] && [ -f "$3" ] && [ -r "$3" ]; then
        h=$(sha256sum <"$3")
        h=${h%% *}
    fi
    emit 0 "$(cat "$r/about")$nl--$nl$h$nl$(damaged "$2" "$r" | head -n 20)"
}
"""
)

FUNCTIONS = (
    STATE
    + """\
fail() {
    printf '%s\\n' "$*" >&2
    exit 1
}
# unpack FILE DIRECTORY STRIP: the format is told by the first bytes
unpack() {
    m=$(head -c 6 "$1" | od -An -tx1 | tr -d ' \\n')
    case $m in
    1f8b*) stream gzip "$@" ;;
    fd377a585a00) stream xz "$@" ;;
    28b52ffd*) stream zstd "$@" ;;
    425a68*) stream bzip2 "$@" ;;
    504b0304*) zipped "$@" ;;
    *) stream '' "$@" ;;
    esac
}
stream() {
    if [ -n "$1" ] && ! command -v "$1" >/dev/null; then
        fail "the archive needs $1, which the host does not have: install it in a step before this one"
    fi
    # the decompressor's failure is seen too; that tar stopped reading (SIGPIPE) is none
    e=$({ { ${1:-cat} ${1:+-dc} <"$2" || echo "$?" >&5; } 2>&4 | {
        tar -xpf - -C "$3" -o --strip-components="$4" >&2 || echo tar >&5
        cat >/dev/null
    }; } 5>&1 4>&2)
    [ -z "$e" ] || fail "the archive could not be unpacked"
}
zipped() {
    command -v unzip >/dev/null || fail 'the archive needs unzip: install it in a step before this one'
    unzip -q -o "$1" -d "$2" >&2
    n=$3
    while [ "$n" -gt 0 ]; do
        mkdir "$2.deep"
        find "$2" -mindepth 2 -maxdepth 2 -exec sh -c 'mv -- "$@" "$0"' "$2.deep" {} +
        rm -rf "$2"
        mv "$2.deep" "$2"
        n=$((n - 1))
    done
}
names() {
    if [ -f "$1/files" ]; then sed 's/^.\\{66\\}//' "$1/files"; fi
    if [ -f "$1/links" ]; then sed -n 'n;p' "$1/links"; fi
}
# describe TREE RECORD: what TREE holds
describe() {
    cd "$1"
    if [ -n "$(find . \\( -name "*$nl*" -o -name '*\\\\*' \\) | head -n 1)" ]; then
        fail 'the archive holds names with line ends or backslashes: such names are not supported'
    fi
    if [ -n "$(find . ! -type d ! -type f ! -type l | head -n 1)" ]; then
        fail 'the archive holds devices or pipes: such archives are not supported'
    fi
    find . -type f -exec sha256sum {} + >"$2/files"
    find . -type l | while IFS= read -r l; do
        t=$(readlink "$l"; echo .)
        t=${t%"$nl".}
        case $t in *"$nl"*) fail 'the archive holds a link whose target has a line end' ;; esac
        printf '%s\\n%s\\n' "$t" "$l"
    done >"$2/links"
    find . -type d | sort >"$2/tree"
    cd /
}
# save NAMES: what others have put where the archive's files go is kept once, before the first write
save() {
    while IFS= read -r l; do
        if [ ! -e "$dest/$l" ] && [ ! -L "$dest/$l" ]; then continue; fi
        [ -L "$dest/$l" ] || [ ! -d "$dest/$l" ] || fail "$dest/$l is a directory, and a file in the archive"
        b=$KX_BACKUP/before/$l
        if [ -e "$b" ] || [ -L "$b" ] || grep -qxF -e "$l" "$known"; then continue; fi
        mkdir -p "${b%/*}"
        cp -a "$dest/$l" "$b.kept"
        mv "$b.kept" "$b"
    done
}
# merge STAGE: one rename per file, so that nobody sees half of one
merge() {
    while IFS= read -r l; do
        if [ ! -d "$dest/$l" ]; then
            mkdir "$dest/$l"
            chown "$(stat -c %u:%g "$1/$l")" "$dest/$l"
            chmod "$(stat -c %a "$1/$l")" "$dest/$l"
        fi
        find "$1/$l" -mindepth 1 -maxdepth 1 ! -type d -exec sh -c 'mv -f -- "$@" "$0"' "$dest/$l/" {} +
    done <"$record.new/tree"
}
# discard NAMES: files of ours go, what was there before comes back
discard() {
    while IFS= read -r l; do
        b=$KX_BACKUP/before/$l
        if [ -e "$b" ] || [ -L "$b" ]; then
            rm -f "$dest/$l"
            cp -a "$b" "$dest/$l"
        else
            rm -f "$dest/$l"
        fi
    done
}
# empty RECORD: directories that it made go, where nothing is left in them
empty() {
    [ ! -f "$1/dirs" ] || sort -r "$1/dirs" | while IFS= read -r l; do
        case $l in .) d=$dest ;; *) d=$dest/$l ;; esac
        rmdir "$d" 2>/dev/null || :
    done
}
"""
)

# dest, strip, owner, id, want and about are set; the archive is "$a", or the payload `archive`
PUT = """\
record=$state/archives/$id
mkdir -p "$state/archives"
chmod 700 "$state/archives"
if [ ! -d "$dest" ]; then
    up=${dest%/*}
    [ -d "${up:-/}" ] || fail "$up is not a directory: declare it in a step before this one"
    : >"$KX_BACKUP/made"
    mkdir "$dest"
fi
made=
[ ! -e "$KX_BACKUP/made" ] || made=.
rm -rf "$dest/.kubexms.$id".*
stage=$(mktemp -d "$dest/.kubexms.$id.XXXXXX")
known=$stage/known
# a directory that was made for nothing does not stay either
trap 'cd /; rm -rf "$stage"; [ -e "$record" ] || [ -z "$made" ] || rmdir "$dest" 2>/dev/null || :' EXIT
trap 'exit 143' HUP INT TERM
if [ -z "$a" ]; then
    a=$stage/archive
    payload archive >"$a"
fi
[ -f "$a" ] || fail "$a does not exist"
have=$(sha256sum <"$a")
have=${have%% *}
[ -z "$want" ] || [ "$have" = "$want" ] || fail "the archive has the digest $have instead of $want"
mkdir "$stage/tree"
unpack "$a" "$stage/tree" "$strip"
[ -z "$owner" ] || chown -Rh "$owner" "$stage/tree"
old=$(cat "$KX_BACKUP/record" 2>/dev/null || echo "$record")
rm -rf "$record.new"
mkdir "$record.new"
describe "$stage/tree" "$record.new"
printf 'sha256=%s\\n%s\\n' "$have" "$about" >"$record.new/about"
for r in "$old" "$record"; do [ ! -d "$r" ] || names "$r"; done | sort -u >"$known"
{
    for r in "$old" "$record"; do [ ! -f "$r/dirs" ] || cat "$r/dirs"; done
    [ -z "$made" ] || echo .
    while IFS= read -r l; do [ -d "$dest/$l" ] || printf '%s\\n' "$l"; done <"$record.new/tree"
} | sort -u >"$record.new/dirs"
names "$record.new" >"$stage/names"
save <"$stage/names"
sync
merge "$stage/tree"
grep -vxF -f "$stage/names" "$known" | discard
sync
if [ "$old" != "$record" ]; then rm -rf "$old"; fi
rm -rf "$record"
mv "$record.new" "$record"
printf '%s\\n' "$record" >"$KX_BACKUP/record"
rm -rf "$stage"
empty "$record"
"""

TAKE_OUT = """\
record=$state/archives/$id
for r in "$record.new" "$record"; do
    [ -d "$r" ] || continue
    [ ! -d "$dest" ] || names "$r" | discard
    empty "$r"
    rm -rf "$r"
done
[ ! -e "$KX_BACKUP/made" ] || rmdir "$dest" 2>/dev/null || :
rmdir "$state/archives" 2>/dev/null || :
"""
