"""Hooks for real: on the controller or on hosts, their scopes open in state until `post` has run."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from kubexms.errors import ActionFailed, StepTimeout
from kubexms.executor.events import HOOK, StepResult, StepStatus
from kubexms.executor.hosts import RunHosts
from kubexms.executor.outcome import Scrubber
from kubexms.graph.model import Scope
from kubexms.plan.model import Change
from kubexms.runtime.connect import run_local_command
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
        for text in (address for address, change in changes.items() if change.effective):
            address = Address.parse(text)
            for host in ("", address.host):
                self._active |= {
                    ("", "", host),
                    (address.module, "", host),
                    (address.module, address.task, host),
                }

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
        """Run one hook. Raises `StepError` and `ConnectionFailed`."""
        began = time.monotonic()
        script, scrub = self._render(scope, hook)
        address = Address(scope.module, scope.task, "hook", scope.host or CONTROLLER, hook.name)
        if scope.host:
            status, stdout, stderr = self._on_host(scope.host, str(address), script, hook)
        else:
            status, stdout, stderr = _here(script, hook)
        stdout, stderr = scrub.text(stdout), scrub.text(stderr)
        if status != 0:
            last = (stderr or stdout).strip().splitlines()
            raise ActionFailed(
                f"hook {hook.name}: exit status {status}" + (f": {last[-1][:300]}" if last else ""),
                detail=stderr or stdout,
            )
        return StepResult(
            str(address),
            HOOK,
            "run",
            StepStatus.OK,
            changed=True,
            seconds=time.monotonic() - began,
            exit_status=status,
            stdout=stdout,
            stderr=stderr,
        )

    def _on_host(self, name: str, address: str, script: str, hook: HookSpec) -> tuple[int, str, str]:
        host = self._hosts.get(name)
        action = Action(script, timeout=hook.timeout)
        outcome = host.connection.act(Exchange(address, (), action, verify=False))
        host.acted = True
        if outcome.timed_out:
            raise StepTimeout(f"hook {hook.name} did not end within {hook.timeout:g} seconds and was stopped")
        return (
            outcome.status or 0,
            outcome.stdout.decode("utf-8", "replace"),
            outcome.stderr.decode("utf-8", "replace"),
        )


def _here(script: str, hook: HookSpec) -> tuple[int, str, str]:
    result = run_local_command(["sh", "-c", script], timeout=hook.timeout)
    if result.timed_out:
        raise StepTimeout(f"hook {hook.name} did not end within {hook.timeout:g} seconds and was stopped")
    return result.status, result.stdout.decode("utf-8", "replace"), result.stderr.decode("utf-8", "replace")
