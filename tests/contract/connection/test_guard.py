"""The read-only guard, and that asking leaves no trace at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.runtime.protocol import Failure, Fragment, GuardMode, Record
from tests.contract.connection.places import IS_ROOT, Place, act, eventually, long_sleep, needs_root, running

WRITES = (
    "echo x >{root}/file",
    "mkdir {root}/directory",
    "touch {root}/keep",
    "rm -f {root}/keep",
    "chmod 600 {root}/keep",
    "ln -s x {root}/link",
    "echo 1 >/proc/sys/kernel/sysrq",
    "echo x >/dev/shm/kubexms-test",
)


def guarded(script: str, **more: float) -> Fragment:
    return Fragment(script, guarded=True, **more)  # type: ignore[arg-type]


@needs_root
@pytest.mark.parametrize("command", WRITES)
def test_no_check_writes(place: Place, command: str) -> None:
    (place.root / "keep").write_text("kept")
    command = command.format(root=place.root)
    answer = place.ask(guarded(f"( {command} ) 2>/dev/null; emit $? ''"))[0]
    assert answer.guard in (GuardMode.ENFORCED, GuardMode.MOUNTS), "the guard is not available as root"
    assert answer.records[0].status != 0
    assert sorted(p.name for p in place.root.iterdir() if p != place.state) == ["keep"]
    assert (place.root / "keep").read_text() == "kept"


@needs_root
@pytest.mark.parametrize(
    "command", ["umount /sys/fs/pstore", "mount -o remount,rw,bind /", "mount --bind / /mnt"]
)
def test_the_enforced_guard_cannot_be_undone(place: Place, command: str) -> None:
    answer = place.ask(guarded(f"( {command} ) 2>/dev/null; emit $? ''"))[0]
    if place.name == "busybox":  # its setpriv takes no right away, and the answer says so
        assert answer.guard is GuardMode.MOUNTS
        return
    assert answer.guard is GuardMode.ENFORCED
    assert answer.records[0].status != 0


def test_a_check_has_a_place_of_its_own_to_write(place: Place) -> None:
    script = 'echo x >"$TMPDIR/a" && emit $? "$(ls "$TMPDIR")"'
    first, second = place.ask(guarded(script), guarded(script))
    assert first.records == second.records == (Record(0, b"a"),)
    expected = (GuardMode.ENFORCED, GuardMode.MOUNTS) if IS_ROOT else (GuardMode.UNAVAILABLE,)
    assert first.guard in expected


def test_checks_fail_alone(place: Place) -> None:
    sleep = long_sleep()
    answers = place.ask(
        guarded("kill -9 $$"),
        guarded("emit 0 '"),
        guarded(f"{sleep}; emit 0 x", timeout=0.2),
        guarded("exec 3>&-; exit 1"),
        guarded("emit 0 fine; echo complaint >&2"),
        Fragment("emit 0 plain"),
    )
    assert [answer.failure for answer in answers] == [
        Failure.MALFORMED,
        Failure.MALFORMED,
        Failure.TIMEOUT,
        Failure.MALFORMED,
        None,
        None,
    ]
    assert answers[4].detail == "complaint"
    assert eventually(lambda: not running(sleep))


def test_a_check_leaves_no_process_behind(place: Place) -> None:
    sleep_0 = long_sleep()
    sleep_1 = long_sleep()
    # without a namespace, nobody can find a process that has left its session
    stray = f"setsid {sleep_1}" if IS_ROOT else ":"
    answers = place.ask(guarded(f"{sleep_0} & {stray} & emit 0 x"), guarded("emit 0 y"))
    assert [answer.failure for answer in answers] == [None, None]
    if IS_ROOT:
        assert eventually(lambda: not running(sleep_0) and not running(sleep_1))
    else:
        assert eventually(lambda: not running(sleep_0))


def test_asking_writes_nothing_below_the_temporary_directories(place: Place) -> None:
    def entries() -> set[str]:
        return {
            str(name)
            for directory in ("/tmp", "/dev/shm", "/run", "/var/tmp")
            for name in Path(directory).iterdir()
            if "kubexms." in name.name
        }

    before = entries()
    place.ask(guarded("echo x >$TMPDIR/x; emit 0 x"), Fragment("emit 0 x"))
    assert entries() <= before
    assert not place.state.exists()


@needs_root
def test_the_host_stays_writable(place: Place) -> None:
    place.ask(guarded("emit 0 x"))
    mounts = [line.split()[5] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    (place.root / "written").write_text("x")
    assert any(options.startswith("rw") for options in mounts)


def test_guard_and_verification_use_the_guard_too(place: Place) -> None:
    check = guarded(f"echo x >{place.root}/from-check; emit $? ''")
    outcome = act(place.begun(), ":", probe=(check, Fragment("emit 0 plain")))
    assert outcome.acted
    assert outcome.before[1].records == outcome.after[1].records == (Record(0, b"plain"),)
    assert outcome.before[0].guard is outcome.after[0].guard is not GuardMode.OFF
    if IS_ROOT:
        assert outcome.before[0].records[0].status != 0
        assert not (place.root / "from-check").exists()


@needs_root
def test_another_user_is_guarded_as_well(place: Place) -> None:
    fragment = Fragment('echo x >"$TMPDIR/x"; emit $? "$(id -un)"', guarded=True, user="nobody")
    answer = place.ask(fragment)[0]
    assert answer.records == (Record(0, b"nobody"),)
