"""Steps that need other hosts, with every executor: one exchange at a time, and no deadlock."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from kubexms.errors import ConnectionFailed, Interrupted, PeerFailed, Unreachable
from kubexms.executor.clock import Clock
from kubexms.executor.events import StepResult
from kubexms.executor.job import Executor, Job
from kubexms.executor.peers import Peers
from kubexms.runtime.fake import Acted, ScriptedConnection
from kubexms.runtime.protocol import Action, Exchange, Fragment, Record, RunIdentity
from kubexms.spec.inventory import Host
from tests.contract.executor.scenario import EXECUTORS, changes_of, graph, module, result, task

IDENTITY = RunIdentity("r", "me", "d", "l")
QUESTION = Fragment("emit 0 hello")
HOSTS = ("a", "b", "c")


@dataclass
class Network:
    """Scripted peers that notice when they are talked to by two at once."""

    failure: ConnectionFailed | None = None
    held: list[str] = field(default_factory=list)
    connections: list[ScriptedConnection] = field(default_factory=list)
    overlapped: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)

    def connect(self, host: str) -> ScriptedConnection:
        busy = threading.Lock()

        def act(exchange: Exchange) -> Acted:
            if not busy.acquire(blocking=False):
                self.overlapped = True
                return Acted(1)
            threading.Event().wait(0.002)
            busy.release()
            return Acted(0, exchange.token.encode())

        made = ScriptedConnection(
            host, {QUESTION.script: (Record(0, b"hello"),)}, act=act, failure=self.failure
        )
        with self.lock:
            self.connections.append(made)
        return made

    def peers(self, *hosts: Host) -> Peers:
        known = hosts or tuple(Host(name=name) for name in HOSTS)
        return Peers(known, self.held.append, self.connect, IDENTITY)


@pytest.mark.parametrize("make", EXECUTORS.values(), ids=EXECUTORS.keys())
def test_hosts_that_need_each_other(make: Callable[[], Executor]) -> None:
    network = Network()
    peers = network.peers()
    said: dict[str, bytes] = {}

    def work(key: str) -> StepResult:
        own = key.rpartition("@")[2]
        for other in HOSTS:
            if other != own:
                peer = peers.open(other, token=key, clock=Clock())
                assert peer.ask(QUESTION).records == (Record(0, b"hello"),)
                said[f"{key} {other}"] = peer.exchange(Action(":")).stdout
        return result(key)

    order = graph({"modules": [module("m", task("t", "s1", "s2"))]}, HOSTS)
    results = make().execute(Job(order, changes_of(order), work))
    assert [item.status.value for item in results] == ["ok"] * 6
    assert not network.overlapped
    assert sorted(made.host for made in network.connections) == list(HOSTS)
    assert said["m/t/s1@a b"] == b"m/t/s1@a through b"
    assert len(said) == 12


def test_the_run_holds_a_peer_before_it_talks_to_it() -> None:
    network = Network()
    network.peers().open("b", token="t", clock=Clock()).exchange(Action("true"))
    assert network.held == ["b"]
    (made,) = network.connections
    assert made.runs == [IDENTITY]
    (exchange,) = made.exchanges
    assert (exchange.expect, exchange.claim, exchange.store, exchange.verify) == (None, None, "", False)


def test_who_is_no_peer() -> None:
    tired = Host.model_validate({"name": "b", "maintenance": {"reason": "new disk"}})
    network = Network()
    peers = network.peers(Host(name="a"), tired)
    with pytest.raises(PeerFailed, match="maintenance: new disk"):
        peers.open("b", token="t", clock=Clock())
    with pytest.raises(PeerFailed, match="z is not in the inventory"):
        peers.open("z", token="t", clock=Clock())
    assert not network.connections


def test_a_peer_that_does_not_answer_is_no_failure_of_the_host_itself() -> None:
    network = Network(failure=Unreachable("b: no route", detail="plug it in"))
    peer = network.peers().open("b", token="t", clock=Clock())
    for _ in range(2):
        with pytest.raises(PeerFailed, match="no route") as caught:
            peer.ask(QUESTION)
        assert not isinstance(caught.value, ConnectionFailed)
        assert caught.value.detail == "plug it in"


def test_waiting_for_a_turn_ends_when_the_user_says_so() -> None:
    network = Network()
    peers = network.peers()
    inside, over = threading.Event(), threading.Event()

    def hold() -> None:
        with peers.open("b", token="t", clock=Clock())._turn():
            inside.set()
            over.wait(10)

    holder = threading.Thread(target=hold)
    holder.start()
    assert inside.wait(10)
    try:
        with pytest.raises(Interrupted):
            peers.open("b", token="u", clock=Clock(lambda: True)).ask(QUESTION)
    finally:
        over.set()
        holder.join()


@pytest.mark.parametrize("make", EXECUTORS.values(), ids=EXECUTORS.keys())
def test_steps_that_must_be_alone(make: Callable[[], Executor]) -> None:
    peers = Network().peers()
    inside = threading.Lock()
    entered: list[str] = []

    def work(key: str) -> StepResult:
        with peers.alone("etcd", clock=Clock()):
            assert inside.acquire(blocking=False)
            entered.append(key)
            threading.Event().wait(0.002)
            inside.release()
        return result(key)

    order = graph({"modules": [module("m", task("t"))]}, HOSTS)
    results = make().execute(Job(order, changes_of(order), work))
    assert [item.status.value for item in results] == ["ok"] * 3
    assert len(entered) == 3


def test_waiting_to_be_alone_ends_when_the_user_says_so() -> None:
    peers = Network().peers()
    with peers.alone("etcd", clock=Clock()):
        with pytest.raises(Interrupted), peers.alone("etcd", clock=Clock(lambda: True)):
            pass
        with peers.alone("other", clock=Clock(lambda: True)):
            pass
