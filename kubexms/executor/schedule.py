"""The graph as the coordinator counts it down: integers and lists, so that 100,000 steps are cheap."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from dataclasses import dataclass, field

from kubexms.executor.lanes import HookTask
from kubexms.executor.rolling import Rolling
from kubexms.graph.model import HookNode, HookSide, Node, Scope, StepGraph, TaskKey
from kubexms.spec.address import CONTROLLER

WAITING, QUEUED, DONE = 0, 1, 2


@dataclass(slots=True, eq=False)
class Lane:
    """One host (or the controller): one thing at a time."""

    name: str
    busy: bool = False
    listed: bool = False
    """It is among the lanes that have something ready."""
    ready: list[int] = field(default_factory=list)
    """A heap of steps, in the order of the documents."""
    hooks: deque[HookTask] = field(default_factory=deque)


@dataclass(slots=True, eq=False)
class TaskInfo:
    """What holds for every step of a task."""

    key: TaskKey
    rollings: list[Rolling] = field(default_factory=list)
    scopes: tuple[TaskKey, ...] = ()
    """The task, its module, the pipeline."""
    gated: bool = False
    """There are hooks around it."""

    @property
    def plain(self) -> bool:
        """A host may walk into this task without asking anybody."""
        return not self.gated and not self.rollings


@dataclass(slots=True, eq=False)
class TaskOnHost:
    """How far a host is with a task."""

    info: TaskInfo
    host: str
    lane: Lane
    gates: tuple[Scope, ...] = ()
    """Scopes with hooks that are entered by its steps, outermost first, each on the controller first."""
    left: int = 0
    changed: int = 0
    failed: int = 0
    ignored: int = 0
    begun: bool = False


def enclosing(key: TaskKey) -> tuple[TaskKey, ...]:
    """A task or module with what it is in: itself, its module, the pipeline."""
    return tuple(dict.fromkeys((key, (key[0], ""), ("", ""))))


class Schedule:
    """Nodes by number, what waits for them, and how many they wait for."""

    def __init__(self, graph: StepGraph, active: Container[str]) -> None:
        dag = graph.dag
        self.keys: list[str] = list(dag)
        self.index = {key: number for number, key in enumerate(self.keys)}
        self.nodes: list[Node] = [said["node"] for said in dag.nodes.values()]
        self.remaining = [0] * len(self.keys)
        self.blocked: list[str | None] = [None] * len(self.keys)
        """The smallest address because of which a node cannot go on."""
        self.state = bytearray(len(self.keys))
        self.controller = Lane(CONTROLLER)
        """Its hooks run besides those of the hosts, one at a time."""
        self.lanes: dict[str, Lane] = {CONTROLLER: self.controller}
        self.tasks: dict[TaskKey, TaskInfo] = {}
        self.groups: list[TaskOnHost | None] = [None] * len(self.keys)
        """Of each step that takes part; None for all other nodes."""
        index = self.index
        self.followers: list[list[int]] = []
        for node, (_, after) in zip(self.nodes, dag.adjacency(), strict=True):
            if isinstance(node, HookNode) and node.side is HookSide.OPEN:
                self.followers.append([])  # the gates of the steps see to it
                continue
            numbers = [index[key] for key in after]
            self.followers.append(numbers)
            for number in numbers:
                self.remaining[number] += 1
        self._of_hosts: list[TaskOnHost] = []
        self.rollings: dict[TaskKey, Rolling] = {}
        """Task or module -> its batches."""
        self._group(graph, active)
        self._roll(graph)

    def _group(self, graph: StepGraph, active: Container[str]) -> None:
        dag = graph.dag
        gated = graph.hooks.keys()
        for task, hosts in graph.members.items():
            scopes = enclosing(task)
            hooked = [scope for scope in reversed(scopes) if scope in gated]
            info = self.tasks[task] = TaskInfo(task, scopes=scopes, gated=bool(hooked))
            for host, steps in hosts.items():
                taking = [key for key in steps if key in active]
                if not taking:
                    continue
                lane = self.lane(host)
                gates = [gate for key in hooked for gate in (Scope(*key), Scope(*key, host))]
                group = TaskOnHost(info, host, lane, left=len(taking))
                group.gates = tuple(gate for gate in gates if f"open:{gate}" in dag)
                self._of_hosts.append(group)
                for key in taking:
                    self.groups[self.index[key]] = group

    def _roll(self, graph: StepGraph) -> None:
        """Count what each host has to do within each scope that takes its hosts in batches."""
        order: dict[str, None] = dict.fromkeys(node.host for node in graph.steps())
        closing = [node for node in self.nodes if isinstance(node, HookNode)]
        for scope, strategy in graph.strategies.items():
            if strategy.max_parallel is None:
                continue
            infos = [info for key, info in self.tasks.items() if scope in info.scopes]
            counts: dict[str, int] = {}
            for group in self._of_hosts:
                if scope in group.info.scopes:
                    counts[group.host] = counts.get(group.host, 0) + group.left
            if not counts:
                continue
            for node in closing:
                if self.closes(node, scope) and node.scope.host in counts:
                    counts[node.scope.host] += 1
            rolling = Rolling(strategy, {host: counts[host] for host in order if host in counts})
            for info in infos:
                info.rollings.append(rolling)
            self.rollings[scope] = rolling

    def lane(self, name: str) -> Lane:
        """The lane of a host, or of the controller."""
        lane = self.lanes.get(name)
        if lane is None:
            lane = self.lanes[name] = Lane(name)
        return lane

    @staticmethod
    def closes(node: HookNode, scope: TaskKey) -> bool:
        """Whether a host's closing hooks belong to what it does within `scope`."""
        own = node.scope.key
        within = own == scope or (not scope[1] and own[0] == scope[0] and bool(own[1]))
        return node.side is HookSide.CLOSE and bool(node.scope.host) and within
