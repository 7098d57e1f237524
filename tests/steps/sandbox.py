"""Runs what kinds write, for real, with each shell that hosts have: dash, bash, busybox."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kubexms.runtime.protocol import Action, Fragment, Outcome, Record
from kubexms.step.contract import ActionKind, ChangeRequest, Part, StepArgs, StepExecutor
from kubexms.step.observation import Observation, Presence
from kubexms.step.shell import quote

SHELLS = ("dash", "bash", "busybox")
PATIENCE = 1800.0
"""Seconds after which a script hangs: far more than apt takes on the busiest of machines."""

_ASKING = """\
umask 077
emit() { printf '%s %s\\n%s\\n' "$1" "${#2}" "$2" >&3; }
exec 3>&1 >/dev/null </dev/null
"""

_ACTING = """\
umask 022
payload() { cat "$KX_PAYLOADS/$1"; }
output() { printf '%s' "$2" >"$KX_PAYLOADS/out.$1"; }
exec </dev/null
"""

_BACKUP = """\
if [ ! -e "$KX_BACKUP/{index}" ] && [ ! -L "$KX_BACKUP/{index}" ]; then
    if [ -e "$kx_path" ] || [ -L "$kx_path" ]; then cp -a "$kx_path" "$KX_BACKUP/{index}"; fi
fi
"""


@cache
def applets() -> str:
    """A directory that holds busybox's applets and nothing else."""
    directory = tempfile.mkdtemp(prefix="kubexms-applets-")
    Path(directory).chmod(0o755)  # whoever a step becomes needs them too
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    subprocess.run(["busybox", "--install", "-s", directory], check=True)
    return directory


@dataclass
class Sandbox:
    """One shell and one step's backup directory. Not a stand-in for the runtime: no guards, no locks."""

    shell: str
    root: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = ".kubexms-store"

    @property
    def store(self) -> Path:
        """What `$KX_BACKUP` is."""
        path = self.root / self.name
        path.mkdir(mode=0o700, exist_ok=True)
        return path

    def _argv(self) -> list[str]:
        return ["busybox", "sh"] if self.shell == "busybox" else [self.shell]

    def _run(
        self, script: str, extra: Mapping[str, str], timeout: float
    ) -> subprocess.CompletedProcess[bytes]:
        path = applets() if self.shell == "busybox" else os.environ["PATH"]
        env = {"PATH": path, "LC_ALL": "C", "HOME": "/nonexistent", **self.environment, **extra}
        argv = [shutil.which(self._argv()[0]) or self._argv()[0], *self._argv()[1:]]
        text = script.encode("utf-8", "surrogateescape")
        # a file, not stdin: bash and dash read a script from stdin byte by byte
        program = self.root / ".kubexms-program"
        program.write_bytes(text)
        return subprocess.run(
            [*argv, str(program)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=env,
            cwd="/",
            timeout=timeout,
        )

    def ask(self, fragment: Fragment) -> list[Record]:
        """The records of one fragment. Fails the test if it says anything on stderr or too little."""
        done = self._run(_ASKING + fragment.script, {"TMPDIR": str(self.store)}, PATIENCE)
        records = []
        out = done.stdout
        while out:
            head, _, out = out.partition(b"\n")
            status, length = (int(number) for number in head.split())
            records.append(Record(status, out[:length]))
            out = out[length + 1 :]
        assert len(records) == fragment.records, done.stderr.decode()
        return records

    def act(self, action: Action) -> Outcome:
        """Run one action as the runtime does: backup, payloads, `set -eu`."""
        payloads = self.root / ".kubexms-payloads"
        payloads.mkdir(exist_ok=True)
        for name, payload in action.payloads.items():
            data = payload.data if payload.path is None else payload.path.read_bytes()
            (payloads / name).write_bytes(data or b"")
        parts = [_ACTING]
        for index, path in enumerate(action.backup):
            parts.append(f"kx_path={quote(path)}\n" + _BACKUP.format(index=index))
        script = "".join(parts) + "set -eu\n" + action.script
        extra = {"KX_BACKUP": str(self.store), "KX_PAYLOADS": str(payloads), "TMPDIR": str(self.store)}
        done = self._run(script, extra, PATIENCE)
        outputs = {path.name.removeprefix("out."): path.read_text() for path in payloads.glob("out.*")}
        shutil.rmtree(payloads)
        return Outcome((), True, done.returncode, done.stdout, done.stderr, (), 0.0, outputs=outputs)


def sandboxes(tmp_path: Path) -> list[Sandbox]:
    """One sandbox per shell that this machine has; each in a directory of its own."""
    found = []
    for shell in SHELLS:
        if shutil.which(shell):
            root = tmp_path / shell
            root.mkdir()
            found.append(Sandbox(shell, root))
    return found


@dataclass
class Subject:
    """One step of one kind in a sandbox."""

    executor: StepExecutor[Any]
    sandbox: Sandbox

    def observe(self, spec: StepArgs) -> Observation:
        """What the real probe says."""
        return self.observe_all([spec])[0]

    def observe_all(self, specs: Sequence[StepArgs]) -> list[Observation]:
        """All specs together."""
        seen: dict[int, Observation] = {}
        for probe in self.executor.probe(specs):
            records = self.sandbox.ask(probe.fragment)
            for index, record in zip(probe.indexes, records, strict=True):
                seen[index] = self.executor.observe(specs[index], record)
        return [seen[index] for index in range(len(specs))]

    def request(self, spec: StepArgs) -> ChangeRequest:
        """What the framework would ask for now."""
        before = self.observe(spec)
        desired = self.executor.desired(spec)
        if desired is None:
            kind = ActionKind.NO_OP if before.presence is Presence.ABSENT else ActionKind.DELETE
            return ChangeRequest(kind, before)
        if before.presence is not Presence.PRESENT:
            return ChangeRequest(ActionKind.CREATE, before, frozenset(desired))
        changed = frozenset(
            name
            for name, value in desired.items()
            if name not in before.attributes or not self.executor.same(name, value, before.attributes[name])
        )
        return ChangeRequest(ActionKind.UPDATE if changed else ActionKind.NO_OP, before, changed)

    def apply(self, spec: StepArgs) -> Observation:
        """Act, then observe. Fails the test if the step fails, does not converge, or is not idempotent."""
        before = self.observe(spec)
        request = self.request(spec)
        action = self.executor.action(spec, request)
        outcome = self.sandbox.act(action)
        assert outcome.status == 0, outcome.stderr.decode()
        assert self.request(spec).action is ActionKind.NO_OP, self.observe(spec)
        again = self.sandbox.act(action)
        assert again.status == 0, again.stderr.decode()
        assert self.request(spec).action is ActionKind.NO_OP
        self.leftovers()
        return before

    def member(self, number: int) -> Subject:
        """The same in the directory of the step of that number, of those that `merged` is about."""
        return Subject(self.executor, replace(self.sandbox, name=f"store{number}"))

    def merged(self, specs: Sequence[StepArgs]) -> Action:
        """What does for all of them, in directories of their own."""
        parts = []
        for number, spec in enumerate(specs):
            store = self.member(number).sandbox.store
            request = self.request(spec)
            parts.append(Part(spec, request, self.executor.action(spec, request), store.name))
        assert len({self.executor.shares(spec) for spec in specs}) == 1
        assert self.executor.shares(specs[0]) is not None
        action = self.executor.merge(parts)
        assert action is not None
        return action

    def fails(self, spec: StepArgs) -> str:
        """Act and expect an error; returns stderr."""
        outcome = self.sandbox.act(self.executor.action(spec, self.request(spec)))
        assert outcome.status != 0
        self.leftovers()
        return outcome.stderr.decode()

    def undo(self, spec: StepArgs, prior: Observation) -> None:
        """Undo, twice: it must be as safe to repeat as applying."""
        action = self.executor.undo(spec, prior)
        assert action is not None
        for _ in range(2):
            outcome = self.sandbox.act(action)
            assert outcome.status == 0, outcome.stderr.decode()
        self.leftovers()

    def leftovers(self) -> None:
        """No temporary file is left behind."""
        found = list(self.sandbox.root.rglob(".kubexms.*"))
        assert not found, found


def each_shell() -> pytest.MarkDecorator:
    """Runs a test once per shell, by the argument `shell`."""
    return pytest.mark.parametrize("shell", [s for s in SHELLS if shutil.which(s)])
