"""The kind `line`: one line of a text file that others write too."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Payload, Record
from kubexms.step.contract import ChangeRequest, Part, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._shell.atomic import owner_of
from kubexms.step.kinds._shell.edit import READ_FILE, REASONS, TEXT_GREP, edit_functions
from kubexms.step.kinds._shell.edits import edits_functions
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words


def _one_line(value: str) -> str:
    if "\n" in value or "\0" in value:
        raise PydanticCustomError("one_line", "this must be a single line; the kind 'block' writes several")
    return value


OneLine = Annotated[str, AfterValidator(_one_line)]


class LineSpec(StepArgs):
    """One line of a text file. The rest of the file, its mode and its owner stay. Links are followed.

    With `regexp` the last line that matches it becomes `line`; where none matches, `line` is added
    if it is not there yet. Regular expressions are the extended ones of POSIX (`grep -E`).
    """

    path: AbsolutePath
    """The file on the host."""
    line: OneLine | None = None
    """The whole line, without its newline. With `state: absent`: the line to remove."""
    regexp: OneLine | None = Field(default=None, min_length=1)
    """Which line to replace. With `state: absent`: which lines to remove. It should match `line` too."""
    state: Literal["present", "absent"] = "present"
    """`absent`: no such line is there."""
    insert_after: OneLine | None = Field(default=None, min_length=1)
    """A regular expression: a new line goes after the last line that matches. Default: the end."""
    insert_before: OneLine | None = Field(default=None, min_length=1)
    """A regular expression: a new line goes before the last line that matches; `BOF` is the beginning."""
    create: bool = False
    """Make the file, with mode 0644, if it does not exist."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.state == "present" and self.line is None:
            raise PydanticCustomError("line_missing", "'line' is needed, except with 'state: absent'")
        if self.state == "absent" and (self.line is None) == (self.regexp is None):
            raise PydanticCustomError("line_absent", "'state: absent' takes either 'line' or 'regexp'")
        if self.insert_after is not None and self.insert_before is not None:
            raise PydanticCustomError("line_place", "give only one of 'insertAfter' and 'insertBefore'")
        return self


# exact PATH LINE...: $found is a newline and what is in the file of these lines, whole, in one look.
# copies FOUND LINE: $m is the line as often as it is there.
# ask PATH LINE REGEXP, which of the two is given, EVERY match rather than the last, FOUND.
_ASK = (
    READ_FILE
    + TEXT_GREP
    + """\
match() { printf '%s\\n' "$1" | grep $as_text -nE -f - -- "$2" 2>/dev/null; }
texts() {
    IFS=$nl
    set -f
    for l in $1; do printf '%s\\n' "${l#*:}"; done
    IFS=' '
}
exact() {
    found=
    if [ -f "$1" ] && [ -r "$1" ]; then
        found=$(f=$1; shift; printf '%s\\n' "$@" | grep $as_text -xF -f - -- "$f" 2>/dev/null; echo .)
    fi
    found=$nl${found%.}
}
copies() {
    m= rest=$1
    while :; do
        case $rest in *"$nl$2$nl"*) ;; *) break ;; esac
        m=$m$nl$2
        rest=$nl${rest#*"$nl$2$nl"}
    done
    m=${m#"$nl"}
}
ask() {
    readable "$1" || return
    m=
    [ -z "$4" ] || m=$(match "$3" "$1")
    if [ -n "$m" ] && [ -n "$6" ]; then
        m=$(texts "$m"; echo .)
        emit 0 "${m%"$nl".}"
    elif [ -n "$m" ]; then
        m=${m##*"$nl"}
        emit 0 "${m#*:}"
    else
        case $5$7 in
        y*"$nl$2$nl"*)
            m=$2
            [ -z "$6" ] || copies "$7" "$2"
            emit 0 "$m" ;;
        *) emit 1 '' ;;
        esac
    fi
}
"""
)

_FIND = (
    TEXT_GREP
    + """\
exact() { payload "$1" | grep $as_text -nxF -f - -- "$src" | tail -n 1; }
match() { payload "$1" | grep $as_text -nE -f - -- "$src" | tail -n 1; }
number() { n=${1%%:*}; }
"""
)


class LineExecutor(StepExecutor[LineSpec]):
    """See `LineSpec`."""

    kind: ClassVar[str] = "line"
    spec: ClassVar[type[StepArgs]] = LineSpec
    parts: ClassVar[bool] = True
    identity: ClassVar[tuple[str, ...]] = ("path", "regexp", "line")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "regexp": ("line",),
        "state": ("line",),
        "insert_after": (),
        "insert_before": (),
        "create": (),
    }
    example: ClassVar[str] = """\
- name: no-passwords
  kind: line
  path: /etc/ssh/sshd_config
  regexp: "^#?PasswordAuthentication "
  line: PasswordAuthentication no
"""

    def probe(self, specs: Sequence[LineSpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        lines = [_ASK]
        whole: dict[str, list[str]] = {}
        for spec in specs:
            if spec.line is not None:
                whole.setdefault(spec.path, []).append(spec.line)
        names = {path: f"found{number}" for number, path in enumerate(whole)}
        for path, texts in whole.items():
            lines.append(f"exact {words([path, *texts])}; {names[path]}=$found")
        for spec in specs:
            flags = ["y" if value is not None else "" for value in (spec.regexp, spec.line)]
            every = "y" if spec.state == "absent" else ""
            row = words([spec.path, spec.line or "", spec.regexp or "", *flags, every])
            lines.append(f'ask {row} "${names.get(spec.path, "nl")}"')
        fragment = Fragment("\n".join(lines) + "\n", records=len(specs), timeout=30.0 + len(specs))
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: LineSpec, record: Record) -> Observation:
        if record.status in REASONS:
            return Observation.unknown(REASONS[record.status])
        if record.status != 0:
            return Observation.absent()
        return Observation.present({"line": record.text.decode("utf-8", "surrogateescape")})

    def desired(self, spec: LineSpec) -> Attributes | None:
        return None if spec.state == "absent" else {"line": spec.line}

    def paths(self, spec: LineSpec) -> tuple[str, ...]:
        return (spec.path,)

    def action(self, spec: LineSpec, request: ChangeRequest) -> Action:
        path, head = quote(spec.path), edit_functions(_token(spec)) + _FIND
        if spec.state == "absent":
            payloads = {"line": _payload(spec.line or ""), "regexp": _payload(spec.regexp or "")}
            option = "-vE" if spec.regexp is not None else "-vxF"
            name = "regexp" if spec.regexp is not None else "line"
            return Action(
                f"{head}[ -e {path} ] || exit 0\nedit {path} ''\n{_without(name, option)}finish\n", payloads
            )
        text, payloads = _replaced(spec)
        return Action(f"{head}edit {path} {_create(spec)}\n{text}finish\n", payloads)

    def shares(self, spec: LineSpec) -> str | None:
        """Lines that are to be there."""
        return "edit" if spec.state == "present" else None

    def merge(self, parts: Sequence[Part[LineSpec]]) -> Action:
        """Each file is replaced once for all lines in a row that are in it."""
        lines = [edits_functions("") + _FIND]
        payloads: dict[str, Payload] = {}
        rows = itertools.groupby(enumerate(parts), key=lambda row: row[1].spec.path)
        for path, turns in rows:
            opened = False
            for number, part in turns:
                if not opened:
                    lines.append(f"{owner_of(_token(part.spec))}shared {quote(path)} {_create(part.spec)}")
                    opened = True
                text, own = _replaced(part.spec, number)
                payloads |= own
                lines.append(f"turn {part.store}\n{text}turned")
            lines.append("close")
        return Action("\n".join(lines) + "\n", payloads)

    def undo(self, spec: LineSpec, prior: Observation) -> Action | None:
        head = edit_functions(_token(spec)) + _FIND + f"back {quote(spec.path)}\n"
        was = prior.attributes.get("line") if prior.presence is Presence.PRESENT else None
        payloads = {"line": _payload(spec.line or "")}
        if was is None:
            if spec.state == "absent":
                return Action(":\n")
            return Action(f"{head}{_without('line', '-vxF')}cleared\nfinish\n", payloads)
        if spec.state == "present":
            if was == spec.line:
                return Action(":\n")
            payloads["was"] = _payload(str(was))
            return Action(head + _PUT_BACK + "finish\n", payloads)
        lines = str(was).split("\n")
        payloads |= {f"was{index}": _payload(text) for index, text in enumerate(lines)}
        names = " ".join(f"was{index}" for index in range(len(lines)))
        return Action(head + _ADD_AGAIN.format(names=names) + "finish\n", payloads)

    def object_id(self, spec: LineSpec) -> str:
        """Which line it is: the text that replaces it may change."""
        which = spec.regexp if spec.regexp is not None else spec.line
        text = json.dumps([self.kind, spec.path, spec.regexp is not None, which])
        return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


_PUT_BACK = """\
m=$(exact line)
if [ -n "$m" ]; then
    number "$m"
    payload was | replace "$n" "$((n + 1))" >"$t"
elif [ -n "$(exact was)" ]; then
    cat "$src" >"$t"
else
    { cat "$src"; endline "$src"; payload was; } >"$t"
fi
"""

_ADD_AGAIN = """\
cat "$src" >"$t"
endline "$src" >>"$t"
for name in {names}; do
    if [ -z "$(exact "$name")" ]; then payload "$name" >>"$t"; fi
done
"""


def _token(spec: LineSpec) -> str:
    return f"line:{spec.path}"


def _payload(text: str) -> Payload:
    return Payload(data=text.encode("utf-8", "surrogateescape") + b"\n")


def _without(name: str, option: str) -> str:
    """grep's status 1 says that nothing is left. Where nothing goes, nothing changes."""
    kept = option.replace("v", "q")
    return (
        f'if payload {name} | grep $as_text {kept} -f - -- "$src"; then\n'
        f'    payload {name} | grep $as_text {option} -f - -- "$src" >"$t" || [ "$?" -eq 1 ]\n'
        'else\n    cat "$src" >"$t"\nfi\n'
    )


def _create(spec: LineSpec) -> str:
    return quote("y" if spec.create else "")


def _replaced(spec: LineSpec, number: int | None = None) -> tuple[str, dict[str, Payload]]:
    """Fills "$t" with the text that has the line, and its payloads; `number` tells them from others'."""
    line, regexp, place = (
        f"{name}{'' if number is None else number}" for name in ("line", "regexp", "place")
    )
    payloads = {line: _payload(spec.line or ""), regexp: _payload(spec.regexp or "")}
    found = f"m=$(match {regexp})\n" if spec.regexp is not None else "m=\n"
    end = f'{{ cat "$src"; endline "$src"; payload {line}; }} >"$t"'
    where = spec.insert_before or spec.insert_after
    if spec.insert_before == "BOF":
        missing = f'{{ payload {line}; cat "$src"; }} >"$t"'
    elif where is None or where == "EOF":
        missing = end
    else:
        payloads[place] = _payload(where)
        at = "$n" if spec.insert_before is not None else "$((n + 1))"
        missing = (
            f'm=$(match {place})\nif [ -n "$m" ]; then\nnumber "$m"\n'
            f'payload {line} | replace "{at}" "{at}" >"$t"\nelse\n{end}\nfi'
        )
    text = (
        f'{found}[ -n "$m" ] || m=$(exact {line})\nif [ -n "$m" ]; then\nnumber "$m"\n'
        f'payload {line} | replace "$n" "$((n + 1))" >"$t"\nelse\n{missing}\nfi\n'
    )
    return text, payloads


__all__ = ["LineExecutor", "LineSpec"]
