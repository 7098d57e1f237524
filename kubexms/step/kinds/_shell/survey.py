"""Asks about many paths with one `stat` and one `sha256sum`, whatever the paths are called.

The answers are matched by position: what a tool prints for a list of files is used only if it
printed exactly one line per file; otherwise (a file vanished meanwhile, a name holds a newline)
each file is asked about alone. So the records do not depend on what else was asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from kubexms.runtime.protocol import Record
from kubexms.step.observation import Observation
from kubexms.step.shell import quote, words

PRESENT, ABSENT, DENIED, UNREADABLE = 0, 1, 2, 3
"""Statuses of a record about a path."""

# look PATH: k is p (there), a (absent) or d (a directory above it cannot be searched)
LOOK = """\
nl='
'
look() {
    k=p
    [ -e "$1" ] || [ -L "$1" ] && return
    k=a u=$1
    while [ -n "$u" ]; do
        u=${u%/*}
        if [ -e "${u:-/}" ]; then
            [ -d "${u:-/}" ] && [ ! -x "${u:-/}" ] && k=d
            return
        fi
    done
}
"""

QUICK_SUMS = """\
quick=
sha256sum() {
    if [ -z "$quick" ]; then
        case $(openssl dgst -sha256 -r </dev/null 2>/dev/null) in
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855*) quick=y ;;
        *) quick=n ;;
        esac
    fi
    if [ "$quick" = n ]; then
        command sha256sum "$@"
        return
    fi
    [ "${1-}" != -- ] || shift
    openssl dgst -sha256 -r "$@"
}
"""
"""Makes `sha256sum` openssl's where there is one that works (on nothing, to begin with): it uses the
processor's instructions for this, which coreutils often do not. Pays off from some ten MB on. Paths begin
with a slash."""

# stats PATH...: one line per path. stamps PATH...: the same, with what changes when the bytes do.
# sums PATH...: one line per path, `-` for what is not a plain file.
_LISTS = """\
stats() { told '%f/%u/%g/%s/%U/%G' "$@"; }
stamps() { told '%i/%s/%.9Y/%.9Z' "$@"; }
told() {
    of=$1
    shift
    n=$# ks=
    for p do
        look "$p"
        ks="$ks $k"
        [ "$k" != p ] || set -- "$@" "$p"
    done
    shift "$n"
    n=$#
    [ "$n" -eq 0 ] || merge stat -c "$of" "$@"
    spread "$ks" p
}
sums() {
    n=$# ks=
    for p do
        k=-
        if [ -f "$p" ] && [ ! -L "$p" ]; then
            k=! ; [ ! -r "$p" ] || k=p
        fi
        ks="$ks $k"
        [ "$k" != p ] || set -- "$@" "$p"
    done
    shift "$n"
    n=$#
    [ "$n" -eq 0 ] || merge sha256sum "" "" "$@"
    spread "$ks" p
}
merge() {
    tool=$1 option=$2 format=$3
    shift 3
    IFS=$nl
    lines=$("$tool" ${option:+"$option"} ${format:+"$format"} -- "$@" 2>/dev/null)
    n=0
    for l in $lines; do n=$((n + 1)); done
    if [ "$n" -ne "$#" ]; then
        lines=
        for p do
            l=$("$tool" ${option:+"$option"} ${format:+"$format"} -- "$p" 2>/dev/null)
            l=${l%%"$nl"*}
            lines="$lines${l:-?}$nl"
        done
    fi
    IFS=' '
}
spread() {
    set -- "$2" $1
    mark=$1
    shift
    IFS=$nl
    for l in $lines; do
        while [ "$1" != "$mark" ]; do
            printf '%s\\n' "$1"
            shift
        done
        printf '%s\\n' "$l"
        shift
    done
    for l do printf '%s\\n' "$l"; done
    IFS=' '
}
set -f
lines=
"""

# row STAT SUM PATH WANT SHOW FOLLOW STAMP: one record. Text of a changed file follows if it is short, and
# readable by everyone or wanted (SHOW is 1; 0 never). A link is looked through if FOLLOW is not empty.
_ROW = """\
row() {
    case $1 in
    a) emit 1 '' ; return ;;
    d | '?') emit 2 '' ; return ;;
    a1*)
        if [ -n "$6" ] && [ -e "$3" ]; then
            emit 0 "$(stat -L -c '%f/%u/%g/%s/%U/%G' -- "$3")$nl-$nl"
            return
        fi
        t=$(readlink -- "$3" 2>/dev/null; echo .)
        emit 0 "$1$nl-$nl${t%"$nl".}"
        return ;;
    8*) ;;
    *) emit 0 "$1$nl-$nl" ; return ;;
    esac
    case $2 in '!' | '?') emit 3 "$1$nl$nl"; return ;; esac
    h=${2#\\\\}
    h=${h%% *}
    if [ -n "$4" ] && [ "$h" != "$4" ] && [ "$5" != 0 ]; then
        z=${1#*/*/*/}
        z=${z%%/*}
        m=${1%%/*}
        case $5$m in 1* | *[4567cdef])
            if [ "$z" -le 65536 ]; then
                { t=$(cat <"$3"; echo .); } 2>/dev/null
                t=${t%.}
                [ "${#t}" -ne "$z" ] || { emit 0 "$1$nl$h=$nl$t"; return; }
            fi ;;
        esac
    fi
    emit 0 "$1$nl$h$nl${7-}"
}
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about one path."""

    path: str
    hashed: bool = False
    """Whether its bytes are hashed."""
    want: str = ""
    """The digest it should have: with another one, short text is sent along."""
    show: bool | None = None
    """Whether its text may be sent: None if everybody on the host may read it."""
    follow: bool = False
    """Whether a symbolic link to something that is there stands for it. Not together with `hashed`."""
    stamped: bool = False
    """Whether the answer tells the inode, its size and its times, where the bytes are hashed."""
    known: tuple[str, str] | None = None
    """A stamp and the digest that goes with it: bytes with that stamp are not read again."""


@dataclass(frozen=True, slots=True)
class PathState:
    """What is at a path. `type` is file, directory, symlink or other."""

    type: str
    mode: str
    uid: str
    gid: str
    owner: str
    group: str
    size: int
    sha256: str | None = None
    content: bytes | None = None
    target: str | None = None
    unreadable: bool = False
    stamp: str = ""
    """Inode, size, change times of the bytes and of the inode, if that was asked."""

    def attributes(self, owner: str | None, group: str | None) -> dict[str, JsonValue]:
        """What is compared, by the names that `file` and `directory` use; a link has no mode of its own."""
        found: dict[str, JsonValue] = {"type": self.type}
        if self.sha256 is not None:
            found["sha256"] = self.sha256
        if self.type != "symlink":
            found["mode"] = self.mode
        return {**found, "owner": self.named(owner), "group": self.named_group(group)}

    def named(self, owner: str | None) -> str:
        """The owner in the terms in which `owner` is given: an id for an id, else a name."""
        return self.uid if self.owner == "UNKNOWN" or (owner or "").isdecimal() else self.owner

    def named_group(self, group: str | None) -> str:
        """The group in the terms in which `group` is given."""
        return self.gid if self.group == "UNKNOWN" or (group or "").isdecimal() else self.group


def survey(questions: Sequence[Question]) -> str:
    """A fragment's script: one record per question, in order."""
    hashed = [index for index, question in enumerate(questions) if question.hashed]
    lines = [LOOK, _LISTS, _ROW]
    lines += _assign("s", "stats", range(len(questions)), questions)
    lines += _assign("z", "stamps", [i for i in hashed if questions[i].stamped], questions)
    if any(question.known for question in questions):
        lines += _sums_of_the_unknown(hashed, questions)
    else:
        lines += _assign("h", "sums", hashed, questions)
    for index, question in enumerate(questions):
        show = "" if question.show is None else str(int(question.show))
        value = f'"$h{index}"' if question.hashed else "-"
        arguments = [question.path, question.want, show, "y" if question.follow else ""]
        stamp = f' "$z{index}"' if question.hashed and question.stamped else ""
        lines.append(f'row "$s{index}" {value} {words(arguments)}{stamp}')
    return "\n".join(lines) + "\n"


def _assign(prefix: str, command: str, indexes: Iterable[int], questions: Sequence[Question]) -> list[str]:
    """Lines that put each line of a list into a variable of its own."""
    order = list(indexes)
    if not order:
        return []
    paths = " ".join(quote(questions[index].path) for index in order)
    numbers = " ".join(str(index) for index in order)
    return [f"o=$({command} {paths})", f"set -- {numbers}", _SPREAD.format(prefix=prefix)]


_SPREAD = """IFS=$nl; for l in $o; do eval "{prefix}$1=\\$l"; shift; done; IFS=" \""""


def _sums_of_the_unknown(indexes: Iterable[int], questions: Sequence[Question]) -> list[str]:
    """The same for sums, of which those that are known by their stamp are not made."""
    lines = ["set --", "ns="]
    for index in indexes:
        question = questions[index]
        lines.append(f"h{index}=")
        if question.known is not None:
            stamp, digest = question.known
            lines.append(f'[ "$z{index}" != {quote(stamp)} ] || h{index}={quote(digest)}')
        add = f'{{ set -- "$@" {quote(question.path)}; ns="$ns {index}"; }}'
        lines.append(f'[ -n "$h{index}" ] || {add}')
    return [*lines, f'if [ -n "$ns" ]; then o=$(sums "$@"); set -- $ns; {_SPREAD.format(prefix="h")}; fi']


_TYPES = {0x8: "file", 0x4: "directory", 0xA: "symlink"}


def read_state(record: Record) -> PathState | Observation:
    """The state at a path; an observation where there is none, or it cannot be known."""
    if record.status == ABSENT:
        return Observation.absent()
    if record.status == DENIED:
        return Observation.unknown("permission denied: a directory above it cannot be searched")
    try:
        stat, sha256, rest = record.text.split(b"\n", 2)
        fields = stat.decode("utf-8", "surrogateescape").split("/")
        raw, (uid, gid, size, owner, group) = int(fields[0], 16), fields[1:]
        kind = _TYPES.get(raw >> 12, "other")
    except ValueError:
        return Observation.unknown("the host's answer about this path makes no sense")
    return PathState(
        type=kind,
        mode=f"{raw & 0o7777:04o}",
        uid=uid,
        gid=gid,
        owner=owner,
        group=group,
        size=int(size),
        sha256=sha256.rstrip(b"=").decode("ascii", "replace")
        if kind == "file" and sha256 not in (b"", b"-")
        else None,
        content=rest if sha256.endswith(b"=") else None,
        target=rest.decode("utf-8", "surrogateescape") if kind == "symlink" else None,
        unreadable=record.status == UNREADABLE,
        stamp=rest.decode("ascii", "replace") if kind == "file" and not sha256.endswith(b"=") else "",
    )
