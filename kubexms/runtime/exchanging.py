"""One exchange as shell text, and its frames as an outcome."""

from __future__ import annotations

import base64
from collections.abc import Mapping

from kubexms.errors import ActionFailed
from kubexms.runtime.collecting import AnswerCollector
from kubexms.runtime.composing import fragment_line, preamble
from kubexms.runtime.framing import Frame, new_marker
from kubexms.runtime.protocol import DEFAULT_CAP, Action, Answer, Exchange, Member, Outcome, Payload
from kubexms.runtime.quoting import quote, shell_source

INLINE_LIMIT = 256 * 1024
"""Bytes of a payload that travel within the exchange; a larger one is staged as a file."""

_TIMED_OUT = 124
_STDOUT, _STDERR, _OUTPUTS = "5", "7", "8"
"""The descriptors of the acting shell whose contents it sends back."""


def shell_text(marker: str) -> str:
    """The text that makes a shell an acting shell."""
    lines = preamble(marker, nested=True)
    lines += [shell_source("lock.sh"), shell_source("act.sh"), f"kx_mine= kx_cap={DEFAULT_CAP}", "kx_start"]
    return "\n".join(lines) + "\n"


def exchange_text(exchange: Exchange, staged: Mapping[str, str]) -> str:
    """The body of one exchange. `staged` names the files of payloads that are on the host already."""
    action = exchange.action
    files = dict(staged)
    lines = ["kx_probe() {", ":"]
    lines += [
        f"kx_observe {index} {quote(fragment_line(index, fragment))}"
        for index, fragment in enumerate(exchange.probe)
    ]
    lines.append("}")
    backup = f'"$kx_state/steps/{_name(exchange.store)}"' if exchange.store else ""
    lines.append(f"KX_BACKUP={backup}")
    removal = [f"rm -f -- {quote(path)}" for path in files.values()]
    if action.user and files:
        hand_over, files, removal = _hand_over(files, action.user)
        lines += hand_over
    lines.append(f"kx_script={quote(action_text(action, files))}")
    own = Member(exchange.store, exchange.claim, action.backup)
    lines += ["kx_members() {", ":"]
    lines += [f'"$1" {_member(member)} || return' for member in (own, *exchange.companions)]
    lines.append("}")
    release = "1" if exchange.claim and exchange.claim.release else ""
    words = [exchange.expect or "", action.user or "", release, "1" if exchange.verify else ""]
    lines.append("kx_exchange " + " ".join(map(quote, words)))
    lines += [*removal, ":"]
    return "\n".join(lines) + "\n"


def _member(member: Member) -> str:
    """A step's object, owner, release, directory and paths to save, as words."""
    claim = member.claim
    words = [
        _name(claim.object_id) if claim else "",
        claim.lineage if claim else "",
        "1" if claim and claim.release else "",
        _name(member.store) if member.store else "",
        *member.backup,
    ]
    return " ".join(map(quote, words))


def _hand_over(staged: Mapping[str, str], user: str) -> tuple[list[str], dict[str, str], list[str]]:
    """Lines that give staged files to the action's user, their new names, and lines that remove them.

    kubexms's own directory cannot be entered by others.
    """
    place = f"/var/tmp/{new_marker()}"  # noqa: S108 - unguessable, and mkdir fails if it exists
    lines = [f"mkdir -m 0700 {place} || exit 1"]
    files: dict[str, str] = {}
    for index, (name, path) in enumerate(staged.items()):
        files[name] = f"{place}/{index}"
        lines.append(f"mv -- {quote(path)} {files[name]}")
    lines.append(f"chown -R {quote(user)} {place}")
    return lines, files, [f"rm -rf {place}"]


def action_text(action: Action, staged: Mapping[str, str]) -> str:
    """What the action's own shell evaluates. Payloads stand in it as quoted data: never in an argument."""
    cases = [
        f"{quote(name)}) {_payload(payload, staged.get(name))} ;;"
        for name, payload in action.payloads.items()
    ]
    return "\n".join(
        [
            "exec </dev/null",
            "umask 022",
            """output() { printf '%s %s\\n%s\\n' "$1" "${#2}" "$2" >&8; }""",
            "payload() {",
            "case $1 in",
            *cases,
            """*) printf 'no such payload: %s\\n' "$1" >&2; return 1 ;;""",
            "esac",
            "}",
            # as a function: a text that was cut short would not be run at all
            "kx_action() {",
            "set -eu",
            action.script,
            "}",
            "kx_action",
            "#kx-end",
        ]
    )


def _payload(payload: Payload, path: str | None) -> str:
    if path is not None:
        return f"cat {quote(path)}"
    data = payload_bytes(payload)
    if b"\0" in data:
        return f"printf %s '{base64.b64encode(data).decode()}' | base64 -d"
    # printf is a builtin of every sh: the bytes show in no process list
    return f"printf %s {quote(data.decode('utf-8', 'surrogateescape'))}"


def payload_bytes(payload: Payload) -> bytes:
    """The bytes of a payload that is small enough to travel inline."""
    if payload.data is not None:
        return payload.data
    return b"" if payload.path is None else payload.path.read_bytes()


def payload_size(payload: Payload) -> int:
    """Bytes."""
    if payload.data is not None:
        return len(payload.data)
    return payload.size if payload.path is None else payload.path.stat().st_size


def _name(text: str) -> str:
    """A file name below the host's state directory; nothing that could lead out of it."""
    if not text or not all(c.isalnum() or c in "_-" for c in text):
        raise ValueError(f"not a store or object name: {text!r}")
    return text


class OutcomeCollector:
    """Collects the frames of one exchange. Not thread-safe."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._phases = {"B": AnswerCollector(exchange.probe), "A": AnswerCollector(exchange.probe)}
        self._streams = {_STDOUT: b"", _STDERR: b"", _OUTPUTS: b""}
        self._owner: str | None = None
        self._broken = ""
        self.status: int | None = None
        self.acted = False
        self.acting_pid: int | None = None
        self.timed_out = False

    def take(self, frame: Frame) -> None:
        """One frame of this exchange."""
        subject = frame.arguments[0] if frame.arguments else ""
        if frame.kind == "!":
            self._broken = frame.body.decode("utf-8", "replace") or subject
        elif frame.kind == "W":
            self._owner = frame.body.decode("utf-8", "replace")
        elif frame.kind == "O":
            self._streams[subject] = frame.body[-DEFAULT_CAP:]
        elif subject == "X":
            if frame.kind == "S":
                self.acted, self.acting_pid = True, int(frame.arguments[1])
            elif frame.kind == "T":
                self.status, self.acting_pid = int(frame.arguments[1]), None
        elif subject[:1] in self._phases and subject[1:].isdigit():
            collector, index = self._phases[subject[0]], int(subject[1:])
            if frame.kind == "B":
                collector.take_canonical(index, frame.body)
            else:
                collector.take(index, frame)

    @property
    def running(self) -> tuple[str, int, int | None] | None:
        """Phase, index and process of the fragment that runs now."""
        for phase, collector in self._phases.items():
            if collector.running is not None:
                return phase, collector.running, collector.pid
        return None

    def collector(self, phase: str) -> AnswerCollector:
        """The answers of phase ``B`` or ``A``."""
        return self._phases[phase]

    def outcome(self, seconds: float, *, complete: bool, status: int, said: str) -> Outcome:
        """The outcome; `status` is the worker's own. Raises `ActionFailed` if it could not even begin."""
        if self._broken or (status and not self.acted):
            raise ActionFailed(
                "the host could not save what was there before; nothing was changed"
                if self._broken
                else "the host could not start the action; nothing was changed",
                detail="\n".join(line for line in (said, self._broken) if line),
            )
        after: tuple[Answer, ...] = ()
        if self.acted and self._exchange.verify and complete:
            after = self._phases["A"].answers(complete=True)
        return Outcome(
            before=self._phases["B"].answers(complete=True),
            acted=self.acted,
            status=_TIMED_OUT if self.timed_out else self.status,
            stdout=self._streams[_STDOUT],
            stderr=self._streams[_STDERR],
            after=after,
            seconds=seconds,
            timed_out=self.timed_out,
            disconnected=self.acted and not complete,
            owner=self._owner,
            outputs=_outputs(self._streams[_OUTPUTS]),
        )


def _outputs(body: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    while body:
        header, _, body = body.partition(b"\n")
        name, _, length = header.rpartition(b" ")
        if not length.isdigit():
            break
        found[name.decode("utf-8", "replace")] = body[: int(length)].decode("utf-8", "replace")
        body = body[int(length) + 1 :]
    return found
