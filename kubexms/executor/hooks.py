"""Hooks for real: on the controller or on hosts, their scopes open in state until `post` has run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from kubexms.errors import exit_words
from kubexms.executor.events import HOOK, StepResult, StepStatus
from kubexms.executor.hosts import RunHosts
from kubexms.executor.outcome import Scrubber
from kubexms.graph.model import Scope
from kubexms.plan.model import Change
from kubexms.runtime.connect import Ending, run_local_command
from kubexms.runtime.protocol import Action, Exchange
from kubexms.spec.address import CONTROLLER, Address
from kubexms.spec.pipeline import HookSpec
from kubexms.state.model import OpenScope
from kubexms.state.protocol import StateWriter

RenderHook = Callable[[Scope, HookSpec], tuple[str, Scrubber]]
"""The hook's shell with its templates rendered, and what removes its secrets from what it prints."""


class ScopeHooks:
    """Runs the hooks of one run. Thread-safe. Implements `executor.job.HookRunner`."""

    def __init__(
        self,
        changes: Mapping[str, Change],
        open_scopes: Mapping[str, OpenScope],
        hosts: RunHosts,
        writer: StateWriter,
        run: str,
        render: RenderHook,
    ) -> None:
        self._active: set[tuple[str, str, str]] = set()
        self._open = set(open_scopes)
        self._hosts = hosts
        self._writer = writer
        self._run = run
        self._render = render
        self._ending = Ending()
        for text in (address for address, change in changes.items() if change.effective):
            address = Address.parse(text)
            for host in ("", address.host):
                self._active |= {
                    ("", "", host),
                    (address.module, "", host),
                    (address.module, address.task, host),
                }

    def interrupt(self) -> None:
        """End the hooks that run on the controller now; those on hosts end with their connections."""
        self._ending.now()

    def active(self, scope: Scope) -> bool:
        """Whether the scope has something to do, or was left open by an earlier run."""
        return (scope.module, scope.task, scope.host) in self._active or str(scope) in self._open

    def open(self, scope: Scope) -> None:
        """The scope begins: durable before its first `pre` hook."""
        self._writer.open_scope(OpenScope(scope=str(scope), run=self._run, at=datetime.now(UTC)))

    def close(self, scope: Scope) -> None:
        """Its `post` hooks have run."""
        self._writer.close_scope(str(scope))

    def run(self, scope: Scope, hook: HookSpec) -> StepResult:
        """Run one hook; one that fails has a result, too. Raises `ConnectionFailed` and `ConfigError`."""
        began = time.monotonic()
        script, scrub = self._render(scope, hook)
        address = Address(scope.module, scope.task, "hook", scope.host or CONTROLLER, hook.name)
        ended = (
            self._on_host(scope.host, str(address), script, hook) if scope.host else self._here(script, hook)
        )
        stdout, stderr = scrub.text(ended.stdout), scrub.text(ended.stderr)
        message, status = "", StepStatus.FAILED
        if not scope.host and ended.status < 0 and self._ending.asked:
            message, status = f"hook {hook.name}: stopped; what it ran was ended", StepStatus.INTERRUPTED
        elif ended.timed_out:
            message = f"hook {hook.name}: did not end within {hook.timeout:g} seconds and was stopped"
        elif ended.status != 0:
            last = (stderr or stdout).strip().splitlines()
            reason = f": {last[-1][:300]}" if last else ""
            message = f"hook {hook.name}: {exit_words(ended.status)}{reason}"
        return StepResult(
            str(address),
            HOOK,
            "run",
            status if message else StepStatus.OK,
            changed=True,
            seconds=time.monotonic() - began,
            message=message,
            exit_status=None if ended.timed_out else ended.status,
            stdout=stdout,
            stderr=stderr,
        )

    def _on_host(self, name: str, address: str, script: str, hook: HookSpec) -> _Ended:
        host = self._hosts.get(name)
        action = Action(script, timeout=hook.timeout)
        outcome = host.connection.act(Exchange(address, (), action, verify=False))
        host.acted = True
        return _Ended(outcome.status or 0, outcome.stdout, outcome.stderr, outcome.timed_out)

    def _here(self, script: str, hook: HookSpec) -> _Ended:
        command = ["sh", "-c", script]
        result = run_local_command(command, timeout=hook.timeout, tail=True, ending=self._ending)
        return _Ended(result.status, result.stdout, result.stderr, result.timed_out)


@dataclass(frozen=True, slots=True)
class _Ended:
    status: int
    stdout: bytes
    stderr: bytes
    timed_out: bool
