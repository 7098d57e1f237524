"""The scripted connection behaves as a real one does, as far as its callers see."""

from __future__ import annotations

import pytest

from kubexms.errors import Unreachable
from kubexms.runtime.fake import Acted, ScriptedConnection, digest
from kubexms.runtime.protocol import (
    Action,
    Answer,
    Claim,
    Connection,
    Exchange,
    Failure,
    Fragment,
    Payload,
    ReadOnlyConnection,
    Record,
    RunIdentity,
)

RUN = RunIdentity("r", "me", "p", "line-1")


def test_it_is_a_connection() -> None:
    connection = ScriptedConnection("h", {})
    assert isinstance(connection, Connection)
    assert isinstance(connection, ReadOnlyConnection)
    assert connection.host == "h"


def test_answers_by_script_by_part_and_by_function() -> None:
    answers = {"whole": [Record(0, b"1")], "stat": [Record(0, b"2")], "stat /etc": [Record(0, b"3")]}
    connection = ScriptedConnection("h", answers)
    asked = [Fragment("whole"), Fragment("x; stat /usr"), Fragment("x; stat /etc/y"), Fragment("other")]
    reply = connection.ask(asked, deadline=1.0)
    assert [a.records[0].text if a.records else a.failure for a in reply.answers] == [
        b"1",
        b"2",
        b"3",
        Failure.MALFORMED,
    ]
    assert connection.asked == [tuple(asked)]
    echo = ScriptedConnection("h", lambda fragment: Answer((Record(0, fragment.script.encode()),)))
    assert echo.ask([Fragment("a")], deadline=1.0).answers[0].records == (Record(0, b"a"),)


def test_acting_changes_the_model() -> None:
    model = {"content": b"old"}

    def act(exchange: Exchange) -> Acted:
        model["content"] = exchange.action.script.encode()
        return Acted(stdout=b"done", outputs={"a": "b"})

    connection = ScriptedConnection("h", lambda _: [Record(0, model["content"])], act=act)
    connection.begin(RUN, wait=0.0)
    probe = (Fragment("x"),)
    expect = digest(connection.ask(probe, deadline=1.0).answers)
    outcome = connection.act(Exchange("t", probe, Action("new"), expect))
    assert (outcome.acted, outcome.status, outcome.stdout, outcome.outputs) == (True, 0, b"done", {"a": "b"})
    assert outcome.after[0].records == (Record(0, b"new"),)
    again = connection.act(Exchange("t", probe, Action("newer"), expect))
    assert (again.acted, again.status, again.before[0].records) == (False, None, (Record(0, b"new"),))


def test_claims() -> None:
    connection = ScriptedConnection("h", {})
    connection.act(Exchange("t", (), Action(":"), claim=Claim("a1", "line-1")))
    assert connection.owners == {"a1": "line-1"}
    assert connection.act(Exchange("t", (), Action(":"), claim=Claim("a1", "line-2"))).owner == "line-1"
    connection.act(Exchange("t", (), Action(":"), claim=Claim("a1", "line-1", release=True)))
    assert connection.owners == {}


def test_failures_and_the_rest() -> None:
    connection = ScriptedConnection("h", {}, failure=Unreachable("gone"))
    with pytest.raises(Unreachable):
        connection.ask([], deadline=1.0)
    connection.failure = None
    assert connection.upload(Payload(data=b"x"), name="image").endswith("/image")
    connection.reconnect(timeout=1.0)
    connection.interrupt()
    connection.close()
    assert (connection.reconnected, connection.interrupted, connection.closed) == (1, 1, 1)


def test_of_a_thousand_hosts_nothing_need_be_kept() -> None:
    fragments = [Fragment(f"ask {index}") for index in range(100)]
    answer = Answer((Record(0, b"x"),))
    for index in range(1000):
        connection = ScriptedConnection(f"h{index}", lambda _: answer, record=False)
        assert len(connection.ask(fragments, deadline=1.0).answers) == 100
        assert connection.asked == []
