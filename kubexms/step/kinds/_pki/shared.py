"""What `certificateAuthority` and `keyPair` have in common: two files that are the same on several hosts."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar, Self, TypeVar

from pydantic import Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from kubexms.runtime.protocol import Action, Outcome, Record
from kubexms.step.contract import ActionKind, ChangeRequest, Disruption, OneByOne, StepArgs, StepContext
from kubexms.step.kinds._pki import placing
from kubexms.step.kinds._pki.names import BasePath
from kubexms.step.kinds._pki.sharing import Share, obtain
from kubexms.step.kinds._pki.survey import File, Pair, question, read_record
from kubexms.step.observation import Attributes, Observation, Presence


class SharedSpec(StepArgs):
    """Fields of both."""

    path: BasePath
    """The files' path without their endings: `/etc/kubernetes/pki/ca`. Its directory must exist."""
    holders: tuple[str, ...] = Field(min_length=1)
    """The hosts that have the private key, by their names in the inventory."""
    with_key: bool = True
    """Whether this host is one of them. The others have the public half alone."""
    key_bits: int = Field(default=2048, ge=2048, le=8192)
    """Size of a new RSA key."""

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.holders)) < len(self.holders):
            raise PydanticCustomError("holders_twice", "'holders' names a host twice")
        return self


S = TypeVar("S", bound=SharedSpec)


class SharedPair(OneByOne[S]):
    """Base of the two kinds."""

    identity: ClassVar[tuple[str, ...]] = ("path",)
    ending: ClassVar[str]
    public: ClassVar[str]
    """The name of the attribute of the public half."""
    what: ClassVar[str]
    warns: ClassVar[int] = 0
    """Seconds before its end that a certificate is due."""

    @abstractmethod
    def make(self, spec: S) -> Action:
        """What makes it on this host."""

    @abstractmethod
    def identify(self, text: str) -> str:
        """What tells a public half from others; "" where it is none."""

    def ask(self, spec: S) -> str:
        return question(spec.path, self.ending, self.warns)

    def observe(self, spec: S, record: Record) -> Observation:
        """Absent where none of its files is there. A key that a host need not have is not looked at."""
        found = read_record(record)
        if isinstance(found, str):
            return Observation.unknown(found)
        key = found.private if spec.with_key else None
        if found.public is None and key is None:
            return Observation.absent()
        legible = found.public is not None and self.identify(found.text) != ""
        half = "missing" if found.public is None else "present" if legible else "illegible"
        attributes: dict[str, JsonValue] = {self.public: half}
        modes = [] if found.public is None else [f"{found.public.mode} {found.public.owner}"]
        if spec.with_key:
            attributes["key"] = found.key
            modes += [] if key is None else [f"{key.mode} {key.owner}"]
        attributes["modes"] = ", ".join(modes)
        extra: dict[str, JsonValue] = {"public": _told(found.public), "private": _told(key)}
        return Observation.present(attributes, {**extra, **self.more(spec, found)})

    def more(self, spec: S, found: Pair) -> dict[str, JsonValue]:
        """What else a person may want to know."""
        return {}

    def desired(self, spec: S) -> Attributes | None:
        modes = [f"{placing.PUBLIC} root", *([f"{placing.PRIVATE} root"] if spec.with_key else [])]
        wanted: dict[str, JsonValue] = {self.public: "present", "modes": ", ".join(modes)}
        return {**wanted, "key": "own"} if spec.with_key else wanted

    def verdict(self, spec: S, observation: Observation) -> str | None:
        """What is there already is adopted and never replaced: where it is of no use, a person decides."""
        if observation.attributes.get(self.public) == "illegible":
            return f"{spec.path}.{self.ending} is no {self.what}: move it away, or say another path"
        if observation.attributes.get("key") == "another's":
            return (
                f"{spec.path}.key is not the key of {spec.path}.{self.ending}: restore the right one; "
                "it is not replaced, since others trust what is there"
            )
        return None

    def disruption(self, spec: S, request: ChangeRequest) -> Disruption:
        """With the last key, everything that it has signed is lost."""
        leaves = request.action in (ActionKind.DELETE, ActionKind.REPLACE)
        last = spec.with_key and len(spec.holders) == 1 and request.before.presence is Presence.PRESENT
        return Disruption.DATA_LOSS if leaves and last else Disruption.NONE

    def action(self, spec: S, request: ChangeRequest) -> Action:
        """Permissions, or what makes it; `run` decides who makes it."""
        if request.action is ActionKind.UPDATE and request.changed <= {"modes"}:
            return placing.permitted(spec.path, self.ending, key=spec.with_key)
        return self.make(spec)

    def run(self, context: StepContext, spec: S, request: ChangeRequest) -> Outcome:
        """Ask the holders, then copy from one of them, or make it."""
        if request.action is ActionKind.UPDATE and request.changed <= {"modes"}:
            return context.exchange(self.action(spec, request))
        make, holders = self.make(spec), spec.holders
        share = Share(self.what, spec.path, self.ending, holders, spec.with_key, make, self.identify)
        return obtain(context, share)

    def undo(self, spec: S, prior: Observation) -> Action | None:
        return placing.withdrawal(spec.path, self.ending, prior, key=spec.with_key)

    def paths(self, spec: S) -> tuple[str, ...]:
        public = f"{spec.path}.{self.ending}"
        return (public, f"{spec.path}.key") if spec.with_key else (public,)

    def summary(self, spec: S) -> str:
        return f"{spec.path}.{self.ending}"


def _told(file: File | None) -> JsonValue:
    return None if file is None else [file.mode, file.owner, file.group]
