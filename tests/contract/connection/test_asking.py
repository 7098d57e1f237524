"""Asking: one round trip, whatever the fragments do."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubexms.errors import ProtocolError
from kubexms.runtime.protocol import DEFAULT_CAP, Failure, Fragment, GuardMode, Record
from kubexms.runtime.quoting import quote_bytes
from tests.contract.connection.places import Place, eventually, long_sleep, needs_root, running

FINE = Fragment("emit 0 fine")


def _text(data: bytes) -> str:
    return quote_bytes(data).decode("utf-8", "surrogateescape")


def test_answers_come_in_the_order_of_the_questions(place: Place) -> None:
    first, second = place.ask(Fragment("emit 0 a; emit 3 'b c'", records=2), Fragment("emit 1 ''"))
    assert first.records == (Record(0, b"a"), Record(3, b"b c"))
    assert (second.records, second.failure, second.guard) == ((Record(1, b""),), None, GuardMode.OFF)


def test_a_prepared_connection_answers_the_same(place: Place) -> None:
    connection = place.reader()
    connection.prepare()
    for _ in range(2):
        (answer,) = connection.ask([FINE], deadline=30.0).answers
        assert answer.records == (Record(0, b"fine"),)


def test_what_was_prepared_may_have_ended_by_then(local_place: Place) -> None:
    there = local_place.environment(KX_MARK=long_sleep())
    connection = there.reader()
    connection.prepare()
    assert eventually(lambda: bool(_shells_of(there)))
    for pid in _shells_of(there):
        os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not _shells_of(there))
    (answer,) = connection.ask([FINE], deadline=30.0).answers
    assert answer.records == (Record(0, b"fine"),)


def test_what_was_prepared_ends_with_the_connection(local_place: Place) -> None:
    there = local_place.environment(KX_MARK=long_sleep())
    connection = there.reader()
    connection.prepare()
    assert eventually(lambda: bool(_shells_of(there)))
    connection.close()
    assert eventually(lambda: not _shells_of(there))


def _shells_of(place: Place) -> list[int]:
    """Processes that have the place's mark in their environment; those that have ended have none."""
    mark = f"KX_MARK={place.target.environment['KX_MARK']}".encode()
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
    return found


def test_no_question_is_answered_too(place: Place) -> None:
    assert place.ask() == ()


def test_what_is_printed_is_dropped_and_what_is_complained_is_kept(place: Place) -> None:
    answer, after = place.ask(Fragment("echo out; echo complaint >&2; emit 0 x"), FINE)
    assert (answer.records, answer.detail) == ((Record(0, b"x"),), "complaint")
    assert (after.records, after.detail) == ((Record(0, b"fine"),), "")


@pytest.mark.parametrize(
    "script",
    [
        "emit 0 '",
        "if true; then",
        "emit 0 $((",
        ")",
        "exit 7",
        "exec 3>&-; emit 0 x",
        "cat <<END",
        "emit() { :; }; emit 0 x",
        "",
    ],
)
def test_a_malformed_fragment_fails_alone(place: Place, script: str) -> None:
    before, broken, after = place.ask(FINE, Fragment(script), FINE)
    assert broken.failure is Failure.MALFORMED
    assert before.failure is after.failure is None


def test_more_records_than_promised_are_malformed(place: Place) -> None:
    answer, after = place.ask(Fragment("while :; do emit 0 x; done"), FINE)
    assert (answer.failure, after.failure) == (Failure.MALFORMED, None)
    assert answer.records == (Record(0, b"x"),)


def test_fewer_records_than_promised_are_kept(place: Place) -> None:
    answer = place.ask(Fragment("emit 0 x", records=2))[0]
    assert (answer.records, answer.failure) == ((Record(0, b"x"),), Failure.MALFORMED)


def test_time_limits_hold_for_each_fragment(place: Place) -> None:
    sleep = long_sleep()
    slow, after = place.ask(Fragment(f"{sleep}; emit 0 x", timeout=0.2), FINE)
    assert (slow.failure, after.failure) == (Failure.TIMEOUT, None)
    assert "0.2 s" in slow.detail
    assert eventually(lambda: not running(sleep))


def test_the_deadline_bounds_everything_and_what_came_stands(place: Place) -> None:
    sleep = long_sleep()
    first, slow, never = place.ask(FINE, Fragment(f"emit 0 part; {sleep}", records=2), FINE, deadline=2.0)
    assert first.failure is None
    assert (slow.records, slow.failure) == ((Record(0, b"part"),), Failure.DEADLINE)
    assert never.failure is Failure.DEADLINE
    assert eventually(lambda: not running(sleep))


def test_children_in_the_background_hang_nothing(place: Place) -> None:
    sleep = long_sleep()
    answers = place.ask(Fragment(f"{sleep} & emit 0 x"), FINE)
    assert [answer.failure for answer in answers] == [None, None]
    for pid in running(sleep):
        os.kill(pid, signal.SIGKILL)


def test_floods_are_dropped_or_capped(place: Place) -> None:
    flood = "head -c 100000000 /dev/zero | tr '\\0' x"
    dropped, after = place.ask(Fragment(f"{flood}; emit 0 x"), FINE)
    assert (dropped.failure, after.failure) == (None, None)
    capped, after = place.ask(Fragment(f'emit 0 "$(head -c {DEFAULT_CAP + 1} /dev/zero | tr "\\0" x)"'), FINE)
    assert (capped.failure, after.failure) == (Failure.CAPPED, None)
    many = Fragment("x=0123456789; x=$x$x$x$x$x$x$x$x; while :; do emit 0 $x; done", records=1 << 30)
    capped, after = place.ask(many, FINE)
    assert (capped.failure, after.failure) == (Failure.CAPPED, None)


def test_a_flood_of_complaints_keeps_its_tail(place: Place) -> None:
    script = "head -c 10000000 /dev/zero | tr '\\0' x >&2; echo the end >&2; emit 0 x"
    answer, after = place.ask(Fragment(script), FINE)
    assert (answer.failure, after.failure) == (None, None)
    assert answer.detail.endswith("the end")
    assert len(answer.detail) < 5000


def test_a_megabyte_of_script(place: Place) -> None:
    text = "x" * 1_500_000
    answer, after = place.ask(Fragment(f"x='{text}'; emit 0 ${{#x}}"), FINE)
    assert (answer.records, after.failure) == ((Record(0, b"1500000"),), None)


def test_commands_that_read_stdin_read_nothing(place: Place) -> None:
    answers = place.ask(Fragment('emit 0 "$(cat)"; read -r x; emit $? ""', records=2), FINE)
    assert answers[0].records == (Record(0, b""), Record(1, b""))
    assert answers[1].failure is None


def test_killing_the_whole_shell_ends_the_rest_only(place: Place) -> None:
    first, killer, after = place.ask(FINE, Fragment("kill -9 $$; sleep 5"), FINE)
    assert first.failure is None
    assert killer.failure is after.failure is Failure.MALFORMED


def test_fragments_do_not_see_each_other(place: Place) -> None:
    answers = place.ask(Fragment("x=1; cd /tmp; f() { :; }; emit 0 a"), Fragment('emit 0 "$x$(pwd)$#"'))
    assert answers[1].records == (Record(0, b"/0"),)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(st.binary(max_size=300).map(lambda b: b.replace(b"\0", b"")), min_size=1, max_size=5))
def test_any_bytes_come_back_as_they_are(place: Place, texts: list[bytes]) -> None:
    script = "\n".join(f"emit {index} {_text(text)}" for index, text in enumerate(texts))
    answer = place.ask(Fragment(script, records=len(texts)))[0]
    assert answer.records == tuple(Record(index, text) for index, text in enumerate(texts))


def test_a_hundred_records_cost_no_process_each(place: Place) -> None:
    script = 'i=0; while [ $i -lt 100 ]; do emit $i "record $i"; i=$((i+1)); done'
    reply = place.reader().ask([Fragment(script, records=100)] * 5, deadline=30.0)
    assert all(len(answer.records) == 100 for answer in reply.answers)


@needs_root
def test_another_user_answers(place: Place) -> None:
    mine, other, nobody = place.ask(
        Fragment('emit 0 "$(id -un)"'),
        Fragment('emit 0 "$(id -un)"', user="nobody"),
        Fragment("emit 0 x", user="no-such-user"),
    )
    assert (mine.records, other.records) == ((Record(0, b"root"),), (Record(0, b"nobody"),))
    assert nobody.failure is Failure.DENIED


def test_a_host_without_a_shell_is_a_protocol_error(local_place: Place) -> None:
    broken = local_place.root / "bin"
    broken.mkdir()
    (broken / "sh").write_text("#!/bin/true\n")
    (broken / "sh").chmod(0o755)
    place = local_place.environment(PATH=f"{broken}:/usr/bin:/bin")
    with pytest.raises(ProtocolError, match="POSIX shell"):
        place.ask(FINE)
