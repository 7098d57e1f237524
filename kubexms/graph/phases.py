"""How tasks follow each other on a host, how modules follow each other, and where hooks stand."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from kubexms.graph.model import EdgeKind, HookNode, HookSide, Requirement, Scope, TaskKey
from kubexms.graph.wiring import Wiring, join_key
from kubexms.spec.pipeline import Hooks, HookSpec, ModuleSpec, PipelineSpec, Strategy

Members = Mapping[TaskKey, Mapping[str, tuple[str, ...]]]


class Phases:
    """One use: `wire` adds to the chains of steps everything that orders them.

    A host's own predecessors are always edges of their own, because a failure there concerns the
    host; a wait for all hosts is a join beside them, which forgives the hosts that dropped out.
    """

    def __init__(
        self,
        wiring: Wiring,
        pipeline: PipelineSpec,
        members: Members,
        required: Mapping[TaskKey, tuple[Requirement, ...]],
        strategies: Mapping[TaskKey, Strategy],
        hooks: Mapping[TaskKey, Hooks],
    ) -> None:
        self._wiring = wiring
        self._modules = pipeline.modules
        self._members = members
        self._required = required
        self._strategies = strategies
        self._hooks = hooks
        self._begin: dict[tuple[TaskKey, str], str] = {}
        """Task on host -> its first step."""
        self._end: dict[tuple[TaskKey, str], str] = {}
        """Task or module on host -> the node with which it ends there."""
        self._ends: dict[tuple[TaskKey, str], tuple[str, ...]] = {}
        self._entries: dict[tuple[str, str], list[str]] = {}
        """Module on host -> the first steps that follow nothing in this module."""
        self._sinks: dict[tuple[str, str], dict[str, None]] = {}
        """Module on host -> the ends that nothing in this module follows."""
        self._before: dict[TaskKey, TaskKey] = {}
        """Task -> the task before it in its module, module -> the module before it."""
        self._joined: set[TaskKey] = set()

    def wire(self) -> None:
        """Add all edges, joins and hooks."""
        for key, hosts in self._members.items():
            for host, chain in hosts.items():
                self._begin[key, host] = chain[0]
                self._end[key, host] = self._close(Scope(*key, host), [chain[-1]]) or chain[-1]
                self._open(Scope(*key, host), [chain[0]])
            self._open(Scope(*key), [chain[0] for chain in hosts.values()])
        names = [(module.name, "") for module in self._modules]
        self._before.update(zip(names[1:], names, strict=False))
        for module in self._modules:
            self._wiring.join(Scope(module.name), (), strict=self._strict((module.name, "")))
            tasks = [(module.name, task.name) for task in module.tasks]
            self._before.update(zip(tasks[1:], tasks, strict=False))
        for module in self._modules:
            self._tasks(module)
        for module in self._modules:
            self._module_ends(module)
        for module in self._modules:
            self._module_begins(module)
        self._pipeline()

    # tasks of one module --------------------------------------------------------------------
    def _tasks(self, module: ModuleSpec) -> None:
        previous: dict[str, str] = {}
        for task in module.tasks:
            key = (module.name, task.name)
            wanted = self._required.get(key)
            for host in self._members[key]:
                begin, end = self._begin[key, host], self._end[key, host]
                inside = False
                if wanted is None:
                    if host in previous:
                        self._follow(module.name, host, previous[host], begin, EdgeKind.ORDER)
                        inside = True
                else:
                    inside = self._requirements(key, host, begin, wanted)
                if not inside:
                    self._entries.setdefault((module.name, host), []).append(begin)
                self._sinks.setdefault((module.name, host), {})[end] = None
                previous[host] = end

    def _requirements(self, key: TaskKey, host: str, begin: str, wanted: Iterable[Requirement]) -> bool:
        """The waits of one task on one host; whether it follows something of its own module there."""
        inside = False
        for item in wanted:
            if not item.on[1]:
                continue  # a module: wired when every module has its ends
            for end in self._task_ends(item.on, host):
                self._follow(key[0], host, end, begin, EdgeKind.EXPLICIT)
                inside = inside or item.on[0] == key[0]
            if not item.same_host:
                self._wiring.link(self._wait(item.on), begin, EdgeKind.EXPLICIT)
        return inside

    def _follow(self, module: str, host: str, before: str, after: str, kind: EdgeKind) -> None:
        self._wiring.link(before, after, kind)
        self._sinks.get((module, host), {}).pop(before, None)

    def _task_ends(self, key: TaskKey, host: str) -> tuple[str, ...]:
        """With what `key` ends on `host`; where the host takes no part, with what it would have followed."""
        if (key, host) in self._end:
            return (self._end[key, host],)
        if (key, host) not in self._ends:
            found: dict[str, None] = {}
            for before in self._names_before(key):
                if before[1]:
                    found.update(dict.fromkeys(self._task_ends(before, host)))
            self._ends[key, host] = tuple(found)
        return self._ends[key, host]

    def _names_before(self, key: TaskKey) -> list[TaskKey]:
        """What a task or module follows by its names alone."""
        wanted = self._required.get(key)
        if wanted is not None:
            return [item.on for item in wanted]
        before = self._before.get(key)
        return [] if before is None else [before]

    def _strict(self, key: TaskKey) -> bool:
        strategy = self._strategies.get(key)
        return strategy is not None and strategy.require_all

    def _wait(self, key: TaskKey) -> str:
        """The wait for a module or a task on all hosts."""
        scope = Scope(*key)
        if not key[1] or key in self._joined:
            return join_key(scope)
        self._joined.add(key)
        hosts = self._members[key]
        join = self._wiring.join(scope, [self._end[key, host] for host in hosts], strict=self._strict(key))
        if not hosts:  # nobody takes part: the wait is for what it would have followed
            for before in self._names_before(key):
                self._wiring.link(self._wait(before), join)
        return join

    # modules ----------------------------------------------------------------------------------
    def _module_ends(self, module: ModuleSpec) -> None:
        """One node per host with which the module ends there, its closing hooks, and the wait for all."""
        key = (module.name, "")
        hosts = dict.fromkeys(host for task in module.tasks for host in self._members[module.name, task.name])
        ends: list[str] = []
        for host in hosts:
            sinks = list(self._sinks[module.name, host])
            end = self._close(Scope(*key, host), sinks)
            if end is None:
                end = sinks[0] if len(sinks) == 1 else self._wiring.join(Scope(*key, host), sinks)
            self._end[key, host] = end
            ends.append(end)
        for task in module.tasks:
            own = [
                self._end[(module.name, task.name), host] for host in self._members[module.name, task.name]
            ]
            close = self._close(Scope(module.name, task.name), own) if own else None
            if close is not None:
                ends.append(close)
                self._wiring.link(close, self._wait((module.name, task.name)))
        close = self._close(Scope(*key), ends) if ends else None
        self._wiring.join(Scope(*key), [close] if close else ends)

    def _module_begins(self, module: ModuleSpec) -> None:
        """What the first steps on each host wait for: earlier phases, on this host and on all."""
        key = (module.name, "")
        wanted = self._required.get(key)
        if wanted is None:
            before = self._before.get(key)
            wanted = (Requirement(before, same_host=False),) if before else ()
            kind = EdgeKind.ORDER
        else:
            kind = EdgeKind.EXPLICIT
        hosts = {host for name, host in self._entries if name == module.name}
        waits = [self._wait(item.on) for item in wanted if not item.same_host]
        begins: list[str] = []
        for host in sorted(hosts):
            entries = self._entries[module.name, host]
            begins += entries
            befores = [end for item in wanted for end in self._host_ends(item.on, host)]
            for entry in entries:
                for end in [*befores, *waits]:
                    self._wiring.link(end, entry, kind)
            self._open(Scope(*key, host), entries)
        self._open(Scope(*key), begins)
        if not hosts:
            for wait in waits:
                self._wiring.link(wait, join_key(Scope(*key)))
        for task in module.tasks:
            for item in self._required.get((module.name, task.name), ()):
                if not item.on[1]:
                    self._task_after_module((module.name, task.name), item)

    def _task_after_module(self, key: TaskKey, item: Requirement) -> None:
        for host in self._members[key]:
            for end in self._host_ends(item.on, host):
                self._wiring.link(end, self._begin[key, host], EdgeKind.EXPLICIT)
            if not item.same_host:
                self._wiring.link(self._wait(item.on), self._begin[key, host], EdgeKind.EXPLICIT)

    def _host_ends(self, key: TaskKey, host: str) -> tuple[str, ...]:
        """With what a task or module ends on a host, or what it would have followed there."""
        if key[1]:
            return self._task_ends(key, host)
        if (key, host) in self._end:
            return (self._end[key, host],)
        if (key, host) not in self._ends:
            found: dict[str, None] = {}
            for before in self._names_before(key):
                found.update(dict.fromkeys(self._host_ends(before, host)))
            self._ends[key, host] = tuple(found)
        return self._ends[key, host]

    # the pipeline and hooks --------------------------------------------------------------------
    def _pipeline(self) -> None:
        hooks = self._hooks.get(("", ""))
        if hooks is None:
            return
        hosts: dict[str, list[str]] = {}
        for (_, host), entries in self._entries.items():
            hosts.setdefault(host, []).extend(entries)
        ends = [join_key(Scope(module.name)) for module in self._modules]
        for host, entries in hosts.items():
            self._open(Scope(host=host), entries)
            own = [self._end[(m.name, ""), host] for m in self._modules if ((m.name, ""), host) in self._end]
            close = self._close(Scope(host=host), own)
            ends += [close] if close else []
        self._open(Scope(), [entry for entries in hosts.values() for entry in entries])
        self._close(Scope(), ends)

    def _open(self, scope: Scope, firsts: list[str]) -> None:
        node = self._hook_node(scope, HookSide.OPEN)
        if node is None or not firsts:
            return
        key = self._wiring.add(f"open:{scope}", node)
        for first in firsts:
            self._wiring.link(key, first, EdgeKind.HOOK)

    def _close(self, scope: Scope, lasts: list[str]) -> str | None:
        node = self._hook_node(scope, HookSide.CLOSE)
        if node is None:
            return None
        key = self._wiring.add(f"close:{scope}", node)
        for last in lasts:
            self._wiring.link(last, key, EdgeKind.HOOK)
        return key

    def _hook_node(self, scope: Scope, side: HookSide) -> HookNode | None:
        hooks = self._hooks.get(scope.key)
        if hooks is None:
            return None

        def here(specs: tuple[HookSpec, ...]) -> tuple[HookSpec, ...]:
            return tuple(spec for spec in specs if (spec.on == "hosts") == bool(scope.host))

        pre, post, on_failure = here(hooks.pre), here(hooks.post), here(hooks.on_failure)
        if not (pre or post or on_failure):
            return None
        if side is HookSide.OPEN:
            return HookNode(scope, side, pre=pre)
        return HookNode(scope, side, post=post, on_failure=on_failure)
