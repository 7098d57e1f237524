"""The step contract: how a kind asks, compares, acts and undoes.

A kind is a frozen spec class (`StepArgs`: data) and a `StepExecutor` (behaviour). All methods of an
executor but `run` are pure: the same arguments give the same result, nothing is read or written.
The framework does the rest: batching, unknown and sensitive values, diffing, guards, verification,
state. Every kind passes the conformance suite in `tests/contract/step`.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Generic, Literal, TypeAlias

from pydantic import JsonValue

from kubexms.runtime.protocol import Action, Fragment, Outcome, Record
from kubexms.step.context import PeerContext, StepContext
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.terms import (
    ActionKind,
    ChangeRequest,
    Disruption,
    Part,
    Probe,
    Prospect,
    S,
    Source,
    StepArgs,
)

RunsPolicy: TypeAlias = Literal["observed", "once", "on-change", "always"]


class StepExecutor(ABC, Generic[S]):
    """The behaviour of one kind. Instances are stateless and shared by threads."""

    kind: ClassVar[str]
    """The name in documents, camelCase."""
    spec: ClassVar[type[StepArgs]]
    identity: ClassVar[tuple[str, ...]] = ()
    """Fields (snake_case) that say which object it is; unknown there means nothing can be asked."""
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    """Which attributes a field determines, where they are not the one of the same camelCase name."""
    changes_facts: ClassVar[frozenset[str]] = frozenset()
    """Top-level facts that applying may change (`hostname`, `swap_mb`)."""
    text_attributes: ClassVar[frozenset[str]] = frozenset()
    """Attributes whose values are multi-line text and are shown as a line diff."""
    imperative: ClassVar[bool] = False
    """Changes show as `run`: something happens, rather than an object being there."""
    can_undo: ClassVar[bool] = True
    """False: removing the step from the spec shows as `forget`."""
    puts_back: ClassVar[bool] = True
    """Whether undoing brings back what was there before; False: it only takes away what the step has made."""
    recalls: ClassVar[bool] = False
    """Whether `recall` makes use of what `remember` returned: then it is stored as soon as it is another."""
    parts: ClassVar[bool] = False
    """A step that is changed to be about another object has the one before undone: a file whose `path`
    changes does not stay behind. False where that may cost what nobody would expect (a user's home)."""
    undone_without: ClassVar[frozenset[str]] = frozenset()
    """Fields that are needed neither to ask about a recorded step nor to undo it. State keeps no secrets:
    where one stood in another field of the identity, the step can only be forgotten."""
    example: ClassVar[str] = ""
    """A YAML list entry for `kubexms explain` and the reference; tested to validate."""

    # asking -------------------------------------------------------------------------------
    @abstractmethod
    def probe(self, specs: Sequence[S]) -> Sequence[Probe]:
        """Fragments that together emit exactly one record per spec.

        Law (tested): asking for specs together or one at a time gives equal records.
        """

    @abstractmethod
    def observe(self, spec: S, record: Record) -> Observation:
        """What the record says. Never raises on what a real host can answer."""

    # comparing ----------------------------------------------------------------------------
    @abstractmethod
    def desired(self, spec: S) -> Attributes | None:
        """The attributes to bring about; None: the object is to be absent. Only these are compared."""

    def same(self, name: str, desired: JsonValue, observed: JsonValue) -> bool:
        """Whether an observed attribute satisfies the desired one."""
        return desired == observed

    def replaces(self, spec: S, before: Observation, changed: frozenset[str]) -> bool:
        """Whether the change cannot be made in place (delete, then create)."""
        return False

    def disruption(self, spec: S, request: ChangeRequest) -> Disruption:
        """What applying interrupts."""
        return Disruption.NONE

    def runs(self, spec: S) -> RunsPolicy:
        """`observed` for everything declarative; else when an imperative step runs (state decides)."""
        return "observed"

    def resumes(self, spec: S) -> bool:
        """Whether a later run finds what an interrupted one began, so that nobody has to decide about it."""
        return False

    def awaits(self, spec: S, observation: Observation) -> frozenset[str]:
        """Attributes that only another host can make right. A step that leaves just these is no failure."""
        return frozenset()

    def verdict(self, spec: S, observation: Observation) -> str | None:
        """For preflight kinds: with what a plan fails (details after the first line), or None."""
        return None

    def looks_at(self, spec: S) -> tuple[str, ...]:
        """Paths on the host that the question is about, where earlier steps may still change something.

        While one of them is to do so (`paths`), the answer of now tells nothing, and is taken as unknown.
        """
        return ()

    def unmet(self, spec: S, observation: Observation) -> str:
        """What is not as desired though the step has run, for a person; empty: its attributes say it."""
        return ""

    def review(self, steps: Sequence[Prospect[S]]) -> Mapping[str, str]:
        """What is wrong with all steps of this kind together, on all hosts that answer: address to message.

        Each message is an error of the plan. For kinds whose objects make up one thing: the members of a
        cluster, of which not too many may go.
        """
        return {}

    def outputs(self, spec: S, observation: Observation) -> Mapping[str, str]:
        """Outputs for later steps that the host itself tells, also where the step has nothing to do."""
        return {}

    # acting -------------------------------------------------------------------------------
    @abstractmethod
    def action(self, spec: S, request: ChangeRequest) -> Action:
        """What brings the host from `request.before` to `desired(spec)`."""

    def undo(self, spec: S, prior: Observation) -> Action | None:
        """What puts back what was there before: `prior.presence` absent means remove it.

        `spec` may lack sensitive values (they are not stored). Bytes come from `"$KX_BACKUP"`. None: cannot.
        """
        return None

    def run(self, context: StepContext, spec: S, request: ChangeRequest) -> Outcome:
        """Apply. Override only where several exchanges are needed (reboot, wait, transfers)."""
        return context.exchange(self.action(spec, request))

    def leaving(self, spec: S) -> S:
        """What to ask about when the step is to be undone, where that is another question: what else goes."""
        return spec

    def unclaimed(self, prior: Observation, staying: Sequence[S]) -> Observation:
        """What of `prior` an undo still brings back, beside steps of this kind that stay on the host.

        Override where undoing touches more than the step's own object: what others are about is theirs.
        """
        return prior

    def run_undo(self, context: StepContext, spec: S, prior: Observation) -> Outcome:
        """Undo. Override only where several exchanges are needed; the last one is of the step's own host.

        Called only where `undo` returns an action; before a replacement too, then with an absent prior.
        """
        return context.exchange(self.undo(spec, prior) or Action(":"))

    def shares(self, spec: S) -> Hashable | None:
        """Steps that follow each other on a host and answer equally here may be done together. None: never.

        Only for kinds whose `run` is one exchange.
        """
        return None

    def merge(self, parts: Sequence[Part[S]]) -> Action | None:
        """Does for all parts, in their order, what their actions do; None: these cannot share one action.

        The framework guards all parts by one comparison, has an intent of each recorded before, saves the
        paths of each (`alone.backup`) and asks about each afterwards. Those that are as desired then have
        succeeded, whatever the exit status was; the others are done alone. So a merged action may fail as a
        whole and need not say because of which part; it leaves no part worse than its own action would.
        """
        return None

    # watching -----------------------------------------------------------------------------
    def watches(self, spec: S) -> tuple[str, ...]:
        """Names of steps of the same module (`task/step` or `step`) whose change triggers this one."""
        return ()

    def bind(self, spec: S, sources: Sequence[Source]) -> S:
        """`spec` with what it needs to know of its sources in order to ask about them."""
        return spec

    def paths(self, spec: S) -> tuple[str, ...]:
        """Paths on the host whose ctime changes when this step changes something."""
        return ()

    def stale(
        self, spec: S, observation: Observation, recorded: JsonValue, digests: Mapping[str, str]
    ) -> tuple[str, ...]:
        """Names of sources that changed after this step last took them in.

        `recorded` is what `remember` returned when kubexms last acted; `digests` are the sources'
        current observation digests.
        """
        return ()

    def remember(self, spec: S, observation: Observation, digests: Mapping[str, str]) -> JsonValue:
        """What `stale` needs later; stored in state after each success."""
        return None

    def recall(self, spec: S, remembered: JsonValue) -> S:
        """`spec` with what `remember` returned, before the host is asked: what has been found out once and
        cannot have changed since need not be found out again. The answer is to be the same without it.
        """
        return spec

    # naming -------------------------------------------------------------------------------
    def owns(self, spec: S) -> bool:
        """Whether there is an object that one project alone may manage; waiting, say, is free for all."""
        return True

    def object_id(self, spec: S) -> str:
        """Hexadecimal digest of kind and identity: what two lineages must not both manage."""
        names = self.identity
        data = spec.model_dump(mode="json", include=set(names))
        text = json.dumps([self.kind, data], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def summary(self, spec: S) -> str:
        """What identifies the object, for a person; empty: the identity's fields do."""
        return ""

    def secrets_from(self, spec: S) -> frozenset[str]:
        """Attributes that are hidden because of what they are (a private key, an unreadable file)."""
        return frozenset()

    def why_hidden(self, spec: S) -> str:
        """Why `secrets_from` names something that nobody asked to hide, for a person; empty: it does not."""
        return ""


class OneByOne(StepExecutor[S]):
    """Base for kinds that ask about each spec apart; still one fragment for all of them."""

    @abstractmethod
    def ask(self, spec: S) -> str:
        """Read-only sh that prints the answer; its exit status and output become the record."""

    def probe(self, specs: Sequence[S]) -> Sequence[Probe]:
        """One fragment: each question in a subshell of its own, its output captured."""
        if not specs:
            return ()
        parts = [f'a=$(\n{self.ask(spec)}\n) 2>/dev/null\nemit "$?" "$a"\n' for spec in specs]
        fragment = Fragment("".join(parts), records=len(specs), timeout=30.0 + 2.0 * len(specs))
        return (Probe(fragment, tuple(range(len(specs)))),)


__all__ = [
    "ActionKind",
    "Attributes",
    "ChangeRequest",
    "Disruption",
    "Observation",
    "OneByOne",
    "Part",
    "PeerContext",
    "Presence",
    "Probe",
    "Prospect",
    "RunsPolicy",
    "Source",
    "StepArgs",
    "StepContext",
    "StepExecutor",
]
