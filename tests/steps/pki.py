"""Hosts with real shells and a real openssl, each with a directory of its own under one and the same path."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from kubexms.errors import PeerFailed
from kubexms.runtime.protocol import Action, Answer, Connection, Fragment, Outcome, Reply
from kubexms.step.contract import ActionKind, ChangeRequest, PeerContext, StepExecutor
from kubexms.step.observation import Observation, Presence
from kubexms.step.registry import default_registry
from tests.steps.context import InCompany
from tests.steps.sandbox import Sandbox, applets

REGISTRY = default_registry(plugins=False)
PLACE = "/srv/pki"
"""Where every host has its directory, as it believes."""


@dataclass
class Host(InCompany):
    """One host as a step's context, and as a peer of others."""

    name: str
    sandbox: Sandbox
    fleet: Mapping[str, Host]
    log: list[tuple[str, Action]]
    up: bool = True
    tells: Callable[[Outcome], Outcome] = lambda outcome: outcome
    """What becomes of what it says: for hosts that are not honest."""

    @property
    def host(self) -> str:
        return self.name

    @property
    def place(self) -> Path:
        return self.sandbox.root / "pki"

    @property
    def connection(self) -> Connection:
        return cast(Connection, _Own(self))

    def _here(self, script: str) -> str:
        return script.replace(PLACE, str(self.place))

    def fragment(self, fragment: Fragment) -> Answer:
        return Answer(tuple(self.sandbox.ask(replace(fragment, script=self._here(fragment.script)))))

    def ask(self, fragment: Fragment) -> Answer:
        if not self.up:
            raise PeerFailed(f"{self.name}: no route")
        return self.fragment(fragment)

    def exchange(self, action: Action, *, verify: bool = True) -> Outcome:
        self.log.append((self.name, action))
        there = replace(
            action,
            script=self._here(action.script),
            backup=tuple(self._here(path) for path in action.backup),
        )
        return self.tells(self.sandbox.act(there))

    def peer(self, host: str) -> PeerContext:
        if host not in self.fleet:
            raise PeerFailed(f"{host} is not in the inventory")
        return self.fleet[host]

    # steps --------------------------------------------------------------------------------
    def see(self, kind: str, **fields: Any) -> Observation:
        """What the real probe says."""
        executor, spec = _step(kind, fields)
        (probe,) = executor.probe([spec])
        (record,) = self.fragment(probe.fragment).records
        return executor.observe(spec, record)

    def request(self, kind: str, **fields: Any) -> ChangeRequest:
        """What the framework would ask for."""
        executor, spec = _step(kind, fields)
        before, desired = self.see(kind, **fields), executor.desired(spec) or {}
        if before.presence is not Presence.PRESENT:
            return ChangeRequest(ActionKind.CREATE, before, frozenset(desired))
        changed = frozenset(name for name in desired if desired[name] != before.attributes.get(name))
        return ChangeRequest(ActionKind.UPDATE if changed else ActionKind.NO_OP, before, changed)

    def run(self, kind: str, **fields: Any) -> Outcome:
        """Apply as the framework does, without asking afterwards."""
        executor, spec = _step(kind, fields)
        return executor.run(self, spec, self.request(kind, **fields))

    def apply(self, kind: str, **fields: Any) -> Observation:
        """Apply; what was there before. Fails the test where the step fails or does not converge."""
        before = self.see(kind, **fields)
        outcome = self.run(kind, **fields)
        assert outcome.status == 0, outcome.stderr.decode()
        after = self.request(kind, **fields)
        assert after.action is ActionKind.NO_OP, (after.changed, after.before)
        assert not [path.name for path in self.place.iterdir() if path.name.startswith(".")]
        return before

    def undo(self, kind: str, prior: Observation, **fields: Any) -> None:
        """Take back what `apply` did, twice."""
        executor, spec = _step(kind, fields)
        for _ in range(2):
            action = executor.undo(spec, prior)
            assert action is not None
            outcome = self.exchange(action)
            assert outcome.status == 0, outcome.stderr.decode()

    def files(self) -> dict[str, bytes]:
        """All that is in the directory."""
        return {path.name: path.read_bytes() for path in self.place.iterdir()}


@dataclass
class _Own:
    """What a step may ask of its own host."""

    of: Host

    @property
    def host(self) -> str:
        return self.of.name

    def ask(self, fragments: Sequence[Fragment], *, deadline: float) -> Reply:
        return Reply(tuple(self.of.fragment(fragment) for fragment in fragments), 0.0)


def _step(kind: str, fields: Mapping[str, Any]) -> tuple[StepExecutor[Any], Any]:
    executor = REGISTRY.get(kind)
    return executor, executor.spec.from_json(dict(fields))


def hosts(tmp_path: Path, shell: str, *names: str) -> list[Host]:
    """Hosts that know each other."""
    fleet: dict[str, Host] = {}
    log: list[tuple[str, Action]] = []
    for name in names:
        root = tmp_path / name
        (root / "pki").mkdir(parents=True)
        (root / "bin").mkdir()
        (root / "bin/openssl").symlink_to(shutil.which("openssl") or "/nonexistent")
        path = f"{root}/bin:{applets() if shell == 'busybox' else os.environ['PATH']}"
        fleet[name] = Host(name, Sandbox(shell, root, {"PATH": path}), fleet, log)
    return list(fleet.values())
