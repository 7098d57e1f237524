"""Acting: guard, action and verification in one exchange."""

from __future__ import annotations

import threading

import pytest

from kubexms.errors import ActionFailed, Interrupted
from kubexms.runtime.protocol import (
    DEFAULT_CAP,
    Action,
    Claim,
    Exchange,
    Failure,
    Fragment,
    Member,
    Record,
    records_digest,
)
from tests.contract.connection.places import (
    Place,
    act,
    eventually,
    long_sleep,
    needs_root,
    run_identity,
    running,
)


def looking_at(path: object) -> Fragment:
    return Fragment(f'emit 0 "$(cat {path} 2>/dev/null)"')


def test_guard_action_and_verification(place: Place) -> None:
    path = place.root / "f"
    path.write_text("old")
    expect = records_digest([Record(0, b"old")])
    outcome = act(
        place.begun(),
        f"echo out; echo err >&2; output name 'a value'; printf new >{path}",
        probe=(looking_at(path),),
        expect=expect,
    )
    assert (outcome.acted, outcome.status, outcome.stdout, outcome.stderr) == (True, 0, b"out\n", b"err\n")
    assert outcome.before[0].records == (Record(0, b"old"),)
    assert outcome.after[0].records == (Record(0, b"new"),)
    assert outcome.outputs == {"name": "a value"}


def test_a_changed_host_is_left_alone(place: Place) -> None:
    path = place.root / "f"
    path.write_text("changed meanwhile")
    expect = records_digest([Record(0, b"old")])
    outcome = act(place.begun(), f"printf new >{path}", probe=(looking_at(path),), expect=expect)
    assert (outcome.acted, outcome.status, outcome.after) == (False, None, ())
    assert outcome.before[0].records == (Record(0, b"changed meanwhile"),)
    assert path.read_text() == "changed meanwhile"


def test_the_digest_covers_all_fragments(place: Place) -> None:
    probe = (Fragment("emit 0 'a\n'; emit 1 ''", records=2), Fragment("emit 2 'b\n\n'"))
    expect = records_digest([Record(0, b"a\n"), Record(1, b""), Record(2, b"b\n\n")])
    assert act(place.begun(), ":", probe=probe, expect=expect).acted


def test_a_probe_that_fails_is_not_what_was_expected(place: Place) -> None:
    sleep = long_sleep()
    probe = (Fragment(f"{sleep}; emit 0 x", timeout=0.2), Fragment("emit 0 '"), Fragment("emit 0 y"))
    outcome = act(place.begun(), ":", probe=probe, expect=records_digest([Record(0, b"x"), Record(0, b"y")]))
    assert not outcome.acted
    assert [a.failure for a in outcome.before] == [Failure.TIMEOUT, Failure.MALFORMED, None]
    assert eventually(lambda: not running(sleep))


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("exit 7", 7),
        ("false; echo not reached", 1),
        ("echo $undefined_variable", None),
        ("if", None),
        ("", 0),
    ],
)
def test_the_true_status_comes_back(place: Place, script: str, status: int | None) -> None:
    connection = place.begun()
    outcome = act(connection, script)
    assert outcome.status == status if status is not None else outcome.status != 0
    assert outcome.stdout == b""
    assert act(connection, "echo still there").stdout == b"still there\n"


def test_no_verification_is_possible(place: Place) -> None:
    assert act(place.begun(), ":", probe=(Fragment("emit 0 x"),), verify=False).after == ()


def test_time_limits_end_the_whole_group(place: Place) -> None:
    sleep_0 = long_sleep()
    sleep_1 = long_sleep()
    connection = place.begun()
    outcome = act(connection, f"{sleep_0} & {sleep_1}", timeout=0.3, probe=(Fragment("emit 0 x"),))
    assert (outcome.timed_out, outcome.status, outcome.acted) == (True, 124, True)
    assert outcome.after[0].records == (Record(0, b"x"),)
    assert eventually(lambda: not running(sleep_0) and not running(sleep_1))


def test_what_ignores_term_is_killed(place: Place) -> None:
    sleep = long_sleep()
    connection = place.begun()
    outcome = act(connection, f"trap '' TERM; {sleep} || {sleep}", timeout=0.3)
    assert outcome.timed_out
    assert eventually(lambda: not running(sleep))
    assert act(connection, ":").status == 0


def test_what_is_ended_does_not_go_on_to_its_next_command(place: Place) -> None:
    beyond = place.root / "beyond"
    sleep = long_sleep()
    # the more there is to end, the longer the script would have between its command's end and its own
    crowd = f"for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do {sleep} & done"
    connection = place.begun()
    outcome = act(connection, f"set +e; {crowd}; {sleep}; echo on >{beyond}", timeout=1.0)
    assert outcome.timed_out
    assert eventually(lambda: not running(sleep))
    assert not beyond.exists()


def test_background_children_neither_hang_nor_pollute(place: Place) -> None:
    connection = place.begun()
    outcome = act(connection, "( while :; do echo noise; sleep 0.05; done ) & echo done; echo $! >&2")
    try:
        assert outcome.stdout.endswith(b"done\n") or b"done\n" in outcome.stdout
        assert act(connection, "sleep 0.2; echo clean").stdout == b"clean\n"
    finally:
        act(connection, f"kill {int(outcome.stderr)}")


def test_floods_keep_their_tail(place: Place) -> None:
    script = (
        "head -c 30000000 /dev/zero | tr '\\0' x; echo the end; head -c 3000000 /dev/zero | tr '\\0' y >&2"
    )
    outcome = act(place.begun(), script)
    assert outcome.status == 0
    assert len(outcome.stdout) == len(outcome.stderr) == DEFAULT_CAP
    assert outcome.stdout.endswith(b"xthe end\n")


def test_a_long_flood_does_not_fill_the_disk(place: Place) -> None:
    """Its space is given back while it runs, and its end is kept all the same."""
    script = "for i in 1 2 3 4 5 6; do head -c 20000000 /dev/zero | tr '\\0' x; sleep 0.3; done; "
    measure = 'sleep 0.8; set -- $(du -k "/proc/$PPID/fd/5" -L); output used "$1"; echo the end'
    outcome = act(place.begun(), script + measure)
    assert outcome.stdout.endswith(b"xthe end\n")
    if place.name != "busybox":
        # busybox cannot punch holes; there the limit is 256 MiB
        assert int(outcome.outputs["used"]) < 40_000


def test_any_bytes_in_what_is_printed(place: Place) -> None:
    outcome = act(
        place.begun(), "printf '\\000\\001\\377\\n\\n'; printf '\\000' >&2; output b 'x\ny'; output c ''"
    )
    assert (outcome.stdout, outcome.stderr) == (b"\x00\x01\xff\n\n", b"\x00")
    assert outcome.outputs == {"b": "x\ny", "c": ""}


@pytest.mark.parametrize(
    "script", ["read -r x || :; cat", "exec >&- 2>&-", "kill -9 $$", "exec 3>&- 6>&- 8>&-", "kill -9 0"]
)
def test_hostile_commands_do_not_end_the_session(place: Place, script: str) -> None:
    connection = place.begun()
    assert act(connection, script).acted
    assert act(connection, "echo still there").stdout == b"still there\n"


def test_backups_are_made_once_and_before_the_first_write(place: Place) -> None:
    path, absent = place.root / "f", place.root / "absent"
    path.write_text("first")
    path.chmod(0o640)
    connection = place.begun()
    backup = (str(path), str(absent))
    script = f'printf second >{path}; cat "$KX_BACKUP/0"; [ ! -e "$KX_BACKUP/1" ]'
    assert act(connection, script, backup=backup, store="abc").stdout == b"first"
    assert act(connection, script, backup=backup, store="abc").stdout == b"first"
    saved = place.state / "steps" / "abc"
    assert (saved / "0").stat().st_mode & 0o777 == 0o640
    assert saved.stat().st_mode & 0o777 == 0o700
    assert place.state.stat().st_mode & 0o777 == 0o700


def test_directories_and_links_are_saved_as_they_are(place: Place) -> None:
    directory = place.root / "d"
    directory.mkdir()
    (directory / "x").write_text("x")
    (place.root / "link").symlink_to("nowhere")
    backup = (str(directory), str(place.root / "link"))
    outcome = act(place.begun(), 'cat "$KX_BACKUP/0/x"; readlink "$KX_BACKUP/1"', backup=backup, store="abc")
    assert outcome.stdout == b"xnowhere\n"


def test_what_cannot_be_saved_is_not_overwritten(place: Place) -> None:
    path = place.root / "f"
    path.write_text("first")
    connection = place.begun()
    (place.state / "steps" / "abc").write_text("in the way")
    with pytest.raises(ActionFailed, match="could not save") as caught:
        act(connection, f"printf second >{path}", backup=(str(path),), store="abc")
    assert f"cannot write below {place.state} on this host; its file system has " in caught.value.detail
    assert path.read_text() == "first"
    assert act(connection, ":").acted


def test_several_steps_share_an_exchange(place: Place) -> None:
    for name in ("f0", "f1"):
        (place.root / name).write_text(f"first {name}")
    members = [
        Member(f"c{n}", Claim(f"a{n}", "line-1"), (str(place.root / f"f{n}"), str(place.root / "absent")))
        for n in range(3)
    ]
    own, companions = members[0], tuple(members[1:])
    script = f"""for n in 0 1 2; do printf second >{place.root}/f$n; done
        echo "$KX_BACKUP"; cat "${{KX_BACKUP%/*}}"/c[01]/0"""
    exchange = Exchange(
        "a/b/c@h", (), Action(script, backup=own.backup), None, True, own.store, own.claim, companions
    )
    connection = place.begun()
    saved = place.state / "steps"
    for _ in range(2):  # what was saved is not saved again
        outcome = connection.act(exchange)
        assert outcome.stdout.decode() == f"{saved}/c0\nfirst f0first f1"
    assert not (saved / "c2/0").exists()
    assert (saved / "c2/1.path").read_text() == str(place.root / "absent")
    assert all((place.state / f"objects/a{n}").read_text() == "line-1\n" for n in range(3))


def test_nothing_is_shared_where_one_object_is_somebody_elses(place: Place) -> None:
    connection, path = place.begun(), place.root / "f"
    assert act(connection, ":", claim=Claim("b2", "line-2")).acted
    companions = (Member("c1", Claim("b1", "line-1")), Member("c2", Claim("b2", "line-1")))
    exchange = Exchange(
        "a/b/c@h", (), Action(f"touch {path}"), store="c0", claim=Claim("b0", "line-1"), companions=companions
    )
    outcome = connection.act(exchange)
    assert (outcome.acted, outcome.owner, path.exists()) == (False, "line-2", False)
    assert not (place.state / "objects/b0").exists()
    assert not (place.state / "steps/c0").exists()


def test_claims_are_exclusive_until_released(place: Place) -> None:
    connection = place.begun()
    path = place.root / "f"
    mine, other = Claim("a1", "line-1"), Claim("a1", "line-2")
    assert act(connection, f"touch {path}", claim=mine, backup=(str(path),), store="abc").acted
    refused = act(connection, f"rm {path}", claim=other)
    assert (refused.acted, refused.owner, path.exists()) == (False, "line-1", True)
    assert act(connection, "exit 1", claim=Claim("a1", "line-1", release=True), store="abc").status == 1
    assert act(connection, ":", claim=other).owner == "line-1"
    assert act(connection, ":", claim=Claim("a1", "line-1", release=True), store="abc").status == 0
    assert not (place.state / "steps" / "abc").exists()
    assert act(connection, ":", claim=other).acted


def test_interruption_ends_what_runs(place: Place) -> None:
    sleep = long_sleep()
    connection = place.begun()
    threading.Timer(0.5, connection.interrupt).start()
    with pytest.raises(Interrupted):
        act(connection, sleep)
    assert eventually(lambda: not running(sleep))
    assert act(connection, "echo again").stdout == b"again\n"


def test_an_expected_disconnection_is_no_error(place: Place) -> None:
    connection = place.begun()
    # the acting shell is the parent of the worker, which is the parent of this script
    script = "sleep 0.2; read -r a b c d rest </proc/$PPID/stat; kill -9 $d $PPID"
    outcome = act(connection, script, expect_disconnect=True)
    assert (outcome.acted, outcome.disconnected, outcome.status) == (True, True, None)
    connection.reconnect(timeout=10.0)
    assert act(connection, "echo back").stdout == b"back\n"


@needs_root
def test_an_action_of_another_user(place: Place) -> None:
    outcome = act(place.begun(), "id -un; output who me", user="nobody")
    assert (outcome.stdout, outcome.outputs) == (b"nobody\n", {"who": "me"})


def test_acting_needs_a_run(place: Place) -> None:
    with pytest.raises(AssertionError, match="begin"):
        act(place.connection(), ":")


def test_asking_and_acting_share_a_connection(place: Place) -> None:
    connection = place.begun()
    assert connection.ask([Fragment("emit 0 x")], deadline=10.0).answers[0].records == (Record(0, b"x"),)
    assert act(connection, ":").acted


def test_closing_leaves_only_what_must_stay(place: Place) -> None:
    connection = place.begun()
    act(connection, "echo x", claim=Claim("a1", "line-1"))
    connection.close()
    connection.close()
    assert eventually(lambda: not (place.state / "lock").exists())
    assert sorted(p.name for p in (place.state / "objects").iterdir()) == ["a1"]
    assert list((place.state / "staging").iterdir()) == []


def test_a_run_may_begin_again(place: Place) -> None:
    connection = place.begun()
    connection.begin(run_identity("run-2"), wait=5.0)
    assert act(connection, ":").acted
