"""Checks that users write: each in a shell of its own, bounded, its text never in an argument.

One fragment asks all of them. A record's text has a line `NAME STATUS [FLAG]` per condition; the flag
is `ro` where the check met the read-only guard, `time` where its time was over, and `big` where it
printed too much. Nothing that a
check prints becomes part of the record, which would change from one observation to the next: but for
one that is `shown`, which is asked for what it prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubexms.runtime.protocol import Fragment, Record
from kubexms.step.contract import Probe
from kubexms.step.observation import Observation
from kubexms.step.shell import quote

NOT_FOUND = 127
SHOWN_LIMIT = 65536
"""Bytes of what a check prints that are kept."""

# check NAME SECONDS TEXT: adds a line to $r. The descriptors that carry records are closed for it: what
# it leaves behind must not hold them open, and no check may answer for another.
_CHECK = """\
command -v timeout >/dev/null || timeout() { shift; "$@"; }
e=${TMPDIR:-/tmp}/kubexms.$$.check
: >"$e" || e=/dev/null
check() {
    printf 'exec </dev/null\\n%s\\n' "$3" | timeout "$2" sh -c '. /proc/self/fd/0' >/dev/null 2>"$e" 3>&- 6>&-
    s=$? f=
    case $s in 124 | 143) f=' time' ;; esac
    if [ -s "$e" ] && grep -q 'Read-only file system' "$e"; then f=' ro'; fi
    r="$r$1 $s$f$nl"
}
"""

# show NAME SECONDS TEXT: the same, and what it prints is kept in $o. Comes after all others. By way of a
# file: who is left running after its time would hold a pipe open. Its limit (in blocks) is above LIMIT.
_SHOW = """\
show() {
    s=0 f=
    (
        ulimit -S -f 256
        printf 'exec </dev/null\\n%s\\n' "$3" | timeout "$2" sh -c '. /proc/self/fd/0' 2>"$e" 3>&- 6>&-
    ) >"$e.out" || s=$?
    o=$(head -c LIMIT "$e.out")
    rm -f "$e.out"
    case $s in 124 | 143) f=' time' ;; esac
    if [ -s "$e" ] && grep -q 'Read-only file system' "$e"; then f=' ro'; fi
    if [ "${#o}" -ge LIMIT ]; then f=' big' o=; fi
    r="$r$1 $s$f$nl$nl$o"
}
""".replace("LIMIT", str(SHOWN_LIMIT))

_EXISTS = """\
nl='
'
exists() {
    if [ -e "$2" ] || [ -L "$2" ]; then r="$r$1 0$nl"; else r="$r$1 1$nl"; fi
}
"""


def program(text: str, *, cwd: str | None = None, env: Mapping[str, str] | None = None) -> str:
    """What a shell evaluates to run `text` there, with these variables."""
    lines = [f"export {name}={quote(value)}" for name, value in sorted((env or {}).items())]
    if cwd is not None:
        lines.append(f"cd {quote(cwd)} || exit 1")
    return "\n".join([*lines, text]) + "\n"


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that is asked: whether a path is there, or the exit status of a shell text."""

    name: str
    """One word: what the answer's line begins with."""
    path: str | None = None
    text: str | None = None
    timeout: float = 20.0
    """Seconds."""
    shown: bool = False
    """What the text prints is kept, after a blank line at the record's end. Only for the last condition."""


@dataclass(frozen=True, slots=True)
class Asked:
    """All conditions of one step, and how they are to be asked."""

    conditions: tuple[Condition, ...]
    guarded: bool = True
    user: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """The answer to one condition."""

    status: int
    flag: str = ""

    @property
    def holds(self) -> bool:
        """Exit status zero: the check succeeded, the path is there."""
        return self.status == 0


def ask_all(asked: Sequence[Asked]) -> tuple[Probe, ...]:
    """As few fragments as can be: one for each user, one more for what runs in the guard."""
    groups: dict[tuple[bool, str | None], list[int]] = {}
    for index, one in enumerate(asked):
        has_text = any(condition.text is not None for condition in one.conditions)
        groups.setdefault((has_text and one.guarded, one.user if has_text else None), []).append(index)
    probes = []
    for (guarded, user), indexes in groups.items():
        conditions = [condition for index in indexes for condition in asked[index].conditions]
        has_text = any(condition.text is not None for condition in conditions)
        lines = [_EXISTS + _CHECK if has_text else _EXISTS]
        if any(condition.shown for condition in conditions):
            lines.append(_SHOW)
        for index in indexes:
            lines.append("r=")
            lines += [_line(condition) for condition in asked[index].conditions]
            lines.append('emit 0 "$r"')
        if has_text:
            lines.append('[ "$e" = /dev/null ] || rm -f "$e"')
        seconds = 10.0 + sum(condition.timeout for condition in conditions if condition.text is not None)
        fragment = Fragment(
            "\n".join(lines) + "\n", records=len(indexes), guarded=guarded, user=user, timeout=seconds
        )
        probes.append(Probe(fragment, tuple(indexes)))
    return tuple(probes)


def _line(condition: Condition) -> str:
    if condition.path is not None:
        return f"exists {condition.name} {quote(condition.path)}"
    verb = "show" if condition.shown else "check"
    return f"{verb} {condition.name} {condition.timeout:g} {quote(condition.text or '')}"


def read_said(record: Record) -> dict[str, Said]:
    """The answers by the conditions' names; empty for a record that makes no sense."""
    said: dict[str, Said] = {}
    for line in record.text.partition(b"\n\n")[0].decode("ascii", "replace").splitlines():
        name, _, rest = line.partition(" ")
        status, _, flag = rest.partition(" ")
        if status.isdecimal():
            said[name] = Said(int(status), flag)
    return said


def read_shown(record: Record) -> str:
    """What the condition that is `shown` printed."""
    return record.text.partition(b"\n\n")[2].decode("utf-8", "replace")


def undecided(said: Mapping[str, Said], asked: Asked) -> Observation | None:
    """The unknown observation where an answer is missing or says nothing, else None."""
    for condition in asked.conditions:
        one = said.get(condition.name)
        name = f"'{_camel(condition.name)}'"
        if one is None:
            return Observation.unknown(f"the host gave no answer for {name}")
        if condition.text is None:
            continue
        if one.flag == "big":
            return Observation.unknown(f"{name} printed {SHOWN_LIMIT} bytes or more")
        if one.flag == "time":
            return Observation.unknown(f"{name} did not end within {condition.timeout:g} s")
        if one.flag == "ro" and asked.guarded:
            return Observation.unknown(
                f"guard: {name} tried to write while it was only asked; mend it, or say 'guard: off'"
            )
    return None


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.title() for part in rest)
