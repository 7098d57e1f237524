"""The kind `wait`: until a port, a URL or a check answers as it should."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from kubexms.errors import StepTimeout
from kubexms.runtime.protocol import Action, Outcome, Payload, Record
from kubexms.spec.base import FrozenModel
from kubexms.step.contract import ChangeRequest, Probe, StepArgs, StepContext, StepExecutor
from kubexms.step.kinds._fields import AbsolutePath, Owner
from kubexms.step.kinds._shell.checks import (
    NOT_FOUND,
    Asked,
    Condition,
    ask_all,
    program,
    read_said,
    undecided,
)
from kubexms.step.kinds._shell.network import http_answers, tcp_open
from kubexms.step.observation import Attributes, Observation

STILL_WAITING = 75
_SLICE = 15.0
"""Seconds for which the host itself tries, before one line of progress."""


class TcpTarget(FrozenModel):
    """A TCP port, seen from the host."""

    host: str = Field(default="127.0.0.1", min_length=1, pattern=r"^[^\s/\-][^\s/]*$")
    """Name or address, as the host resolves it."""
    port: int = Field(ge=1, le=65535)
    """The port."""


class HttpTarget(FrozenModel):
    """A URL, fetched by the host with its curl or wget."""

    url: str = Field(pattern=r"^https?://[^\s\"\\]+$")
    """The URL."""
    status: tuple[Annotated[int, Field(ge=100, le=599)], ...] = (200,)
    """Statuses that count as an answer. Hosts without curl can only tell success from failure."""
    contains: str | None = None
    """A text that the body must hold."""
    insecure: bool = False
    """Take any certificate."""
    ca_file: AbsolutePath | None = None
    """A file on the host with the certificate authorities to trust."""


class WaitSpec(StepArgs):
    """Waits until something answers. Nothing to do where it does already."""

    tcp: TcpTarget | None = None
    """A port that accepts connections."""
    http: HttpTarget | None = None
    """A URL that answers."""
    command: str | None = None
    """A check in shell that succeeds. It only looks: plans run it, in a read-only guard."""
    state: Literal["started", "stopped"] = "started"
    """`stopped`: wait until it no longer answers."""
    limit: float = Field(default=300.0, gt=0)
    """Seconds after which the step has failed."""
    interval: float = Field(default=2.0, ge=0.1, le=600)
    """Seconds between two tries."""
    check_timeout: float = Field(default=10.0, gt=0, le=600)
    """Seconds for each try."""
    guard: Literal["on", "off"] = "on"
    """`off`: the command runs outside of the read-only guard, as it must write something harmless."""
    user: Owner | None = None
    """Run the command as this user instead of the one that kubexms works as."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum(target is not None for target in (self.tcp, self.http, self.command)) != 1:
            raise PydanticCustomError("wait_target", "give exactly one of 'tcp', 'http' and 'command'")
        return self


class WaitExecutor(StepExecutor[WaitSpec]):
    """See `WaitSpec`."""

    kind: ClassVar[str] = "wait"
    spec: ClassVar[type[StepArgs]] = WaitSpec
    identity: ClassVar[tuple[str, ...]] = ("tcp", "http", "command", "user")
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        name: ("satisfied",) if name == "state" else () for name in WaitSpec.model_fields
    }
    imperative: ClassVar[bool] = True
    can_undo: ClassVar[bool] = False
    example: ClassVar[str] = """\
- {name: api, kind: wait, tcp: {host: 10.0.0.1, port: 6443}, limit: 120}
"""

    def probe(self, specs: Sequence[WaitSpec]) -> Sequence[Probe]:
        return ask_all([_asked(spec) for spec in specs])

    def observe(self, spec: WaitSpec, record: Record) -> Observation:
        said = read_said(record)
        late = said.get("try")
        if late is not None and late.flag == "time":  # no answer in time is an answer here
            return Observation.present({"satisfied": spec.state == "stopped"})
        unknown = undecided(said, _asked(spec))
        if unknown is not None:
            return unknown
        if said["try"].status == NOT_FOUND and spec.command is None:
            return Observation.unknown(_no_tool(spec))
        return Observation.present({"satisfied": said["try"].holds == (spec.state == "started")})

    def desired(self, spec: WaitSpec) -> Attributes | None:
        return {"satisfied": True}

    def action(self, spec: WaitSpec, request: ChangeRequest) -> Action:
        return _attempt(spec, min(_SLICE, spec.limit), spec.limit)

    def run(self, context: StepContext, spec: WaitSpec, request: ChangeRequest) -> Outcome:
        began = context.monotonic()
        while True:
            left = spec.limit - (context.monotonic() - began)
            outcome = context.exchange(_attempt(spec, max(0.0, min(_SLICE, left)), left))
            if not outcome.acted or outcome.status != STILL_WAITING:
                return outcome
            waited = context.monotonic() - began
            if waited >= spec.limit:
                raise StepTimeout(
                    f"{_target(spec)} {_still(spec)} after {spec.limit:g} s",
                    detail="`limit` says how long it may take.",
                )
            context.progress(f"waiting for {_target(spec)} ({waited:.0f} s of {spec.limit:g} s)")
            context.sleep(min(spec.interval, spec.limit - waited))

    def summary(self, spec: WaitSpec) -> str:
        return (spec.command or "").strip().split("\n")[0] or _target(spec)

    def owns(self, spec: WaitSpec) -> bool:
        return False

    def object_id(self, spec: WaitSpec) -> str:
        text = json.dumps([self.kind, spec.to_json()], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def _text(spec: WaitSpec) -> str:
    seconds = max(1, round(spec.check_timeout))
    if spec.tcp is not None:
        return tcp_open(spec.tcp.host, spec.tcp.port, seconds)
    if spec.http is not None:
        http = spec.http
        return http_answers(
            http.url,
            http.status,
            seconds,
            contains=http.contains,
            insecure=http.insecure,
            ca_file=http.ca_file,
        )
    return program(spec.command or "false")


def _asked(spec: WaitSpec) -> Asked:
    condition = Condition("try", text=_text(spec), timeout=spec.check_timeout + (spec.command is None))
    return Asked((condition,), guarded=spec.command is not None and spec.guard == "on", user=spec.user)


def _target(spec: WaitSpec) -> str:
    if spec.tcp is not None:
        return f"{spec.tcp.host} port {spec.tcp.port}"
    return spec.http.url.split("?")[0] if spec.http is not None else "the command"


def _still(spec: WaitSpec) -> str:
    if spec.command is not None:
        return "does not succeed" if spec.state == "started" else "still succeeds"
    return "does not answer" if spec.state == "started" else "still answers"


def _no_tool(spec: WaitSpec) -> str:
    tools = "bash, nc or curl" if spec.tcp is not None else "curl or wget"
    return f"the host has no tool to try this with: it needs {tools}"


_TRY = """\
command -v timeout >/dev/null || timeout() {{ shift; "$@"; }}
end=$(($(date +%s) + {seconds}))
while :; do
    status=0
    said=$({{ payload try | timeout {limit:g} sh -c 'eval "$(cat)" </dev/null'; }} 2>&1 >/dev/null) ||
        status=$?
    {done}
    if [ "$(date +%s)" -ge "$end" ]; then
        case $status in 124 | 143) said="$said${{said:+ }}(the try was stopped after {limit:g} s)" ;; esac
        printf '%s\\n' "$said" | tail -c 2000 >&2
        exit {waiting}
    fi
    sleep {interval:g}
done
"""


def _attempt(spec: WaitSpec, seconds: float, left: float) -> Action:
    """Tries for so many seconds; no single try takes longer than what is `left` in all."""
    wanted = '[ "$status" -ne 0 ] || exit 0' if spec.state == "started" else '[ "$status" -eq 0 ] || exit 0'
    if spec.command is None:
        wanted = f'[ "$status" -ne {NOT_FOUND} ] || {{ printf "%s\\n" "$said" >&2; exit 1; }}\n    {wanted}'
    script = _TRY.format(
        seconds=round(seconds),
        limit=max(1.0, min(spec.check_timeout + (spec.command is None), left)),
        done=wanted,
        waiting=STILL_WAITING,
        interval=spec.interval,
    )
    text = _text(spec).encode("utf-8", "surrogateescape")
    timeout = seconds + spec.check_timeout + spec.interval + 30
    return Action(script, {"try": Payload(data=text)}, user=spec.user, timeout=timeout)


__all__ = ["HttpTarget", "TcpTarget", "WaitExecutor", "WaitSpec"]
