"""The nodes and edges of the order, and the graph that holds them.

Keys are strings: a step's is its address (`os/kernel/overlay@n1`), a join's and a hook's begin with
a word and a colon, which no address can have before its first slash (`join:os`, `open:os/kernel@n1`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from kubexms.spec.address import CONTROLLER, Address
from kubexms.spec.pipeline import Hooks, HookSpec, Strategy

if TYPE_CHECKING:
    import networkx as nx

Dag: TypeAlias = "nx.DiGraph[str]"
"""Whoever makes one imports the library: that takes longer than a plan to decide."""

TaskKey: TypeAlias = tuple[str, str]
"""Module and task; a module's own is `(module, "")`, the pipeline's `("", "")`."""


class EdgeKind(StrEnum):
    """Why one node waits for another; `--target` follows all but mere order."""

    ORDER = "order"
    EXPLICIT = "explicit"
    """`dependsOn`."""
    DATA = "data"
    """A watched source (`restartOn`), or an output that a template reads."""
    HOOK = "hook"
    """Between a scope's steps and its hooks."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What hooks and waits are about: the pipeline, a module or a task, on every host or on one."""

    module: str = ""
    task: str = ""
    host: str = ""
    """Empty: all of them."""

    @property
    def key(self) -> TaskKey:
        """Module and task."""
        return (self.module, self.task)

    def __str__(self) -> str:
        """As state writes it: `module`, `module/task`, `module/task@host`; empty for the pipeline."""
        path = f"{self.module}/{self.task}" if self.task else self.module
        return f"{path}@{self.host}" if self.host else path


@dataclass(frozen=True, slots=True)
class StepNode:
    """One step on one host.

    `depends_on` and `data` are addresses that it waits for besides its place in the order; those
    that are not in the graph (deselected, or not in this run) are not waited for.
    """

    address: Address
    order: int
    """Position in its task; `forEach` entries of one step follow each other."""
    depends_on: tuple[Address, ...] = ()
    data: tuple[Address, ...] = ()
    ignore_errors: bool = False
    """What depends on it goes on although it failed."""

    @property
    def host(self) -> str:
        """Where it runs."""
        return self.address.host

    @property
    def task(self) -> TaskKey:
        """Module and task."""
        return (self.address.module, self.address.task)


@dataclass(frozen=True, slots=True)
class JoinNode:
    """A wait for a whole scope. Nothing runs; edges grow by hosts, not by their square."""

    scope: Scope
    strict: bool = False
    """Every host must have succeeded; otherwise failed hosts drop out, within `maxFailures`."""


class HookSide(StrEnum):
    """Which end of its scope a hook node stands at."""

    OPEN = "open"
    """The `pre` hooks."""
    CLOSE = "close"
    """The `post` hooks, or the `onFailure` hooks."""


@dataclass(frozen=True, slots=True)
class HookNode:
    """The hooks at one end of a scope, on the controller (`scope.host` empty) or on one host."""

    scope: Scope
    side: HookSide
    pre: tuple[HookSpec, ...] = ()
    post: tuple[HookSpec, ...] = ()
    on_failure: tuple[HookSpec, ...] = ()

    def address(self, hook: HookSpec) -> Address:
        """The address of one of these hooks."""
        return Address(self.scope.module, self.scope.task, "hook", self.scope.host or CONTROLLER, hook.name)


Node: TypeAlias = StepNode | JoinNode | HookNode


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a task or module names in `dependsOn`: all of another one, on the same host or on all."""

    on: TaskKey
    same_host: bool


@dataclass(slots=True)
class StepGraph:
    """The order of one run. Built once, then only read: any thread may read it."""

    dag: Dag
    """Every node has its `Node` as attribute `node`, every edge its `EdgeKind` as attribute `kind`."""
    members: Mapping[TaskKey, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    """Task -> host -> keys of its steps, in order. Tasks and hosts in the order of the documents."""
    requires: Mapping[TaskKey, tuple[Requirement, ...]] = field(default_factory=dict)
    strategies: Mapping[TaskKey, Strategy] = field(default_factory=dict)
    """Only those that say something; a module's is its own, or else the pipeline's."""
    hooks: Mapping[TaskKey, Hooks] = field(default_factory=dict)
    """Only those that have any."""

    def node(self, key: str) -> Node:
        """The node of a key. Raises `KeyError`."""
        node: Node = self.dag.nodes[key]["node"]
        return node

    def steps(self) -> Iterator[StepNode]:
        """Every step, in the order in which they were given."""
        for said in self.dag.nodes.values():
            node: Node = said["node"]
            if isinstance(node, StepNode):
                yield node

    def hosts(self) -> tuple[str, ...]:
        """Every host that has a step, in the order of their first."""
        return tuple(dict.fromkeys(host for hosts in self.members.values() for host in hosts))

    def waits_for(self, address: str) -> tuple[str, ...]:
        """What a step waits for directly: addresses, and scopes (`os`, `os/kernel@n1`) of joins; sorted.

        Hooks are looked through. This is what state records for the order of a later removal.
        """
        found: set[str] = set()
        queue = [address]
        while queue:
            for key in self.dag.predecessors(queue.pop()):
                match self.node(key):
                    case JoinNode(scope=scope):
                        found.add(str(scope))
                    case HookNode():
                        queue.append(key)
                    case StepNode():
                        found.add(key)
        return tuple(sorted(found - {""}))
