"""The kind `block`: several lines of a text file that others write too, between two marker lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Payload, Record
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath
from kubexms.step.kinds._shell.edit import READ_FILE, REASONS, TEXT_GREP, edit_functions
from kubexms.step.kinds.line import OneLine
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

_OPEN = 5
_OPEN_REASON = "the file has the block's first marker line without its last one: mend that by hand"


class BlockSpec(StepArgs):
    """Lines of a text file between two marker lines. The rest of the file, its mode and its owner stay.

    Several blocks in one file need markers that differ. Links are followed.
    """

    path: AbsolutePath
    """The file on the host."""
    block: str | None = None
    """The lines between the markers. A final newline makes no difference."""
    marker: OneLine = "# {mark} managed by kubexms"
    """Both marker lines, `{mark}` being `BEGIN` and `END`: a comment in the file's own syntax."""
    state: Literal["present", "absent"] = "present"
    """`absent`: neither block nor markers are there."""
    insert_after: OneLine | None = Field(default=None, min_length=1)
    """A regular expression (`grep -E`): a new block goes after the last line that matches.
    Default: the end."""
    insert_before: OneLine | None = Field(default=None, min_length=1)
    """A regular expression: a new block goes before the last line that matches; `BOF` is the beginning."""
    create: bool = False
    """Make the file, with mode 0644, if it does not exist."""

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.state == "present" and self.block is None:
            raise PydanticCustomError("block_missing", "'block' is needed, except with 'state: absent'")
        if "{mark}" not in self.marker:
            raise PydanticCustomError(
                "block_marker", "'marker' must hold '{{mark}}', which becomes BEGIN and END"
            )
        if self.insert_after is not None and self.insert_before is not None:
            raise PydanticCustomError("block_place", "give only one of 'insertAfter' and 'insertBefore'")
        if {self.begin, self.end} & set((self.block or "").splitlines()):
            raise PydanticCustomError("block_holds_marker", "'block' must not hold its own marker lines")
        return self

    @property
    def begin(self) -> str:
        """The line before the block."""
        return self.marker.replace("{mark}", "BEGIN")

    @property
    def end(self) -> str:
        """The line after the block."""
        return self.marker.replace("{mark}", "END")


# A text with all blocks of these markers: more than one never equals what is wanted.
_ASK = (
    READ_FILE
    + """\
ask() {
    readable "$1" || return
    b=$(B=$2 E=$3 awk '
        $0 == ENVIRON["B"] { if (n++) print; inside = 1; next }
        $0 == ENVIRON["E"] && inside { inside = 0; next }
        inside { print }
        END { exit n == 0 ? 1 : inside ? 5 : 0 }' <"$1"; s=$?; echo .; exit "$s")
    s=$?
    b=${b%.}
    emit "$s" "${b%"$nl"}"
}
"""
)

# The first block's lines are replaced by what `text` prints, all others go.
_WRITE = """\
export B E
n=$(awk '$0 == ENVIRON["B"] { print NR; exit }' <"$src")
if [ -n "$n" ]; then
    awk '$0 == ENVIRON["B"] { inside = 1 } $0 == ENVIRON["E"] { inside = 0 } END { exit inside }' <"$src" ||
        fail "$p has the block's first marker line without its last one: mend that by hand"
    others() {
        awk '$0 == ENVIRON["B"] { inside = 1 }
            !inside { print }
            $0 == ENVIRON["E"] { inside = 0 }'
    }
    { head -n "$((n - 1))" "$src"; text; tail -n "+$n" "$src" | others; } >"$t"
"""


class BlockExecutor(StepExecutor[BlockSpec]):
    """See `BlockSpec`."""

    kind: ClassVar[str] = "block"
    spec: ClassVar[type[StepArgs]] = BlockSpec
    parts: ClassVar[bool] = True
    identity: ClassVar[tuple[str, ...]] = ("path", "marker")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "state": ("block",),
        "insert_after": (),
        "insert_before": (),
        "create": (),
    }
    text_attributes: ClassVar[frozenset[str]] = frozenset({"block"})
    example: ClassVar[str] = """\
- name: limits
  kind: block
  path: /etc/security/limits.conf
  block: |
    * soft nofile 65536
    * hard nofile 65536
"""

    def probe(self, specs: Sequence[BlockSpec]) -> Sequence[Probe]:
        if not specs:
            return ()
        lines = [_ASK, *(f"ask {words([spec.path, spec.begin, spec.end])}" for spec in specs)]
        fragment = Fragment("\n".join(lines) + "\n", records=len(specs), timeout=30.0 + len(specs))
        return (Probe(fragment, tuple(range(len(specs)))),)

    def observe(self, spec: BlockSpec, record: Record) -> Observation:
        if record.status == _OPEN:
            return Observation.unknown(_OPEN_REASON)
        if record.status in REASONS:
            return Observation.unknown(REASONS[record.status])
        if record.status != 0:
            return Observation.absent()
        return Observation.present({"block": record.text.decode("utf-8", "surrogateescape")})

    def desired(self, spec: BlockSpec) -> Attributes | None:
        return None if spec.state == "absent" else {"block": _normal(spec.block or "")}

    def paths(self, spec: BlockSpec) -> tuple[str, ...]:
        return (spec.path,)

    def action(self, spec: BlockSpec, request: ChangeRequest) -> Action:
        path = quote(spec.path)
        if spec.state == "absent":
            return Action(
                f"{_head(spec, None)}[ -e {path} ] || exit 0\nedit {path} ''\n{_replaced()}finish\n"
            )
        script = f"{_head(spec, spec.block)}edit {path} {quote('y' if spec.create else '')}\n"
        payloads = {"block": _payload(spec.block or "")}
        return Action(script + _replaced(_place(spec, payloads)) + "finish\n", payloads)

    def undo(self, spec: BlockSpec, prior: Observation) -> Action | None:
        path = quote(spec.path)
        if prior.presence is not Presence.PRESENT:
            return Action(f"{_head(spec, None)}back {path}\n{_replaced()}cleared\nfinish\n")
        was = str(prior.attributes["block"])
        end = '{ cat "$src"; endline "$src"; text; } >"$t"'
        script = f"{_head(spec, was)}back {path}\n{_replaced(end)}finish\n"
        return Action(script, {"block": _payload(was)})


def _normal(text: str) -> str:
    return text.removesuffix("\n")


def _payload(text: str) -> Payload:
    data = _normal(text).encode("utf-8", "surrogateescape")
    return Payload(data=data + b"\n" if data else b"")


def _head(spec: BlockSpec, block: str | None) -> str:
    """`text` prints the block with its markers, or nothing where it is to go."""
    text = "printf '%s\\n' \"$B\"; payload block; printf '%s\\n' \"$E\"" if block is not None else ":"
    markers = f"B={quote(spec.begin)}\nE={quote(spec.end)}\n"
    return f"{edit_functions(f'block:{spec.path}')}{markers}text() {{ {text}; }}\n"


def _replaced(otherwise: str = 'cat "$src" >"$t"') -> str:
    return f"{_WRITE}else\n    {otherwise}\nfi\n"


def _place(spec: BlockSpec, payloads: dict[str, Payload]) -> str:
    """Where a block goes that is not there yet."""
    end = '{ cat "$src"; endline "$src"; text; } >"$t"'
    if spec.insert_before == "BOF":
        return '{ text; cat "$src"; } >"$t"'
    where = spec.insert_before or spec.insert_after
    if where is None or where == "EOF":
        return end
    payloads["place"] = Payload(data=where.encode("utf-8", "surrogateescape") + b"\n")
    number = "$n" if spec.insert_before is not None else "$((n + 1))"
    return (
        f"{TEXT_GREP}    "
        'm=$(payload place | grep $as_text -nE -f - -- "$src" | tail -n 1)\n    n=${m%%:*}\n'
        f'    if [ -n "$m" ]; then text | replace "{number}" "{number}" >"$t"; else {end}; fi'
    )


__all__ = ["BlockExecutor", "BlockSpec"]
