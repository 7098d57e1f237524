"""The host's own lock: one run at a time, none that a dead run holds."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from kubexms.errors import HostBusy, KubexmsError, ProtocolError
from kubexms.runtime.local import LocalChannel, LocalTransport
from kubexms.runtime.protocol import Payload
from kubexms.runtime.shell_connection import ShellConnection
from tests.contract.connection.places import (
    Place,
    act,
    eventually,
    long_sleep,
    run_identity,
    running,
    shell_path,
)


def _holder(place: Place) -> dict[str, str]:
    lines = (place.state / "lock").read_text().splitlines()
    return dict(line.partition("=")[::2] for line in lines)


def test_the_lock_names_its_run(place: Place) -> None:
    place.begun("run-1")
    held = _holder(place)
    assert (held["run"], held["actor"], held["lineage"]) == ("run-1", "tester", "line-1")


def test_a_second_run_is_refused_and_told_by_whom(place: Place) -> None:
    first = place.begun("run-1")
    with pytest.raises(HostBusy, match="run-1 by tester"):
        place.connection().begin(run_identity("run-2"), wait=0.2)
    assert act(first, "echo mine").stdout == b"mine\n"


def test_the_same_run_works_beside_its_lock(place: Place) -> None:
    first = place.begun("run-1")
    beside = place.connection()
    beside.begin(run_identity("run-1"), wait=5.0, shared=True)
    assert act(beside, "payload p", payloads={"p": Payload(data=b"x" * 300_000)}).stdout == b"x" * 300_000
    beside.close()
    assert _holder(place)["run"] == "run-1"
    assert act(first, "echo mine").stdout == b"mine\n"
    with pytest.raises(HostBusy, match="run-1 by tester"):
        place.connection().begin(run_identity("run-2"), wait=0.0)


def test_a_second_run_waits_and_is_told_for_whom(place: Place) -> None:
    first = place.begun("run-1")
    since = datetime.fromtimestamp(int(_holder(place)["since"]), UTC)
    told: list[HostBusy] = []

    def waiting(busy: HostBusy) -> None:
        told.append(busy)
        first.close()

    second = place.connection()
    second.begin(run_identity("run-2"), wait=20.0, waiting=waiting)
    assert _holder(place)["run"] == "run-2"
    (busy,) = told
    assert "run-1 by tester is changing this host" in busy.summary
    assert f"since {since:%Y-%m-%d %H:%M:%S} UTC by its clock" in busy.summary
    assert "--lock-timeout" in busy.detail


def test_a_lock_that_cannot_be_written_is_told_and_nothing_is_done(place: Place) -> None:
    place.begun("run-1").close()
    (place.state / "lock").mkdir()
    try:
        with pytest.raises(ProtocolError, match="lock could not be taken; nothing was changed") as caught:
            place.connection().begin(run_identity("run-2"), wait=0.0)
    finally:
        (place.state / "lock").rmdir()
    assert f"cannot write below {place.state} on this host" in caught.value.detail


def test_a_place_that_cannot_be_made_is_told(place: Place) -> None:
    place.begun("run-1").close()
    shutil.rmtree(place.state)
    place.state.write_text("in the way")
    try:
        with pytest.raises(ProtocolError, match="directory there could not be made") as caught:
            place.begun("run-1")
    finally:
        place.state.unlink()
    assert f"cannot write below {place.state} on this host" in caught.value.detail


def test_a_dead_run_is_ended_and_its_lock_taken(place: Place) -> None:
    sleep = long_sleep()
    first = place.begun("run-1")
    outcome: list[Exception] = []

    def lose() -> None:
        try:
            act(first, sleep)
        except KubexmsError as error:
            outcome.append(error)

    thread = threading.Thread(target=lose)
    thread.start()
    assert eventually(lambda: bool(running(sleep)))
    os.kill(int(_holder(place)["pid"]), signal.SIGKILL)
    thread.join(20.0)
    assert outcome
    second = place.connection()
    second.begin(run_identity("run-2"), wait=10.0)
    assert _holder(place)["run"] == "run-2"
    assert eventually(lambda: not running(sleep))


def test_a_daemon_that_inherited_the_lock_does_not_hold_it(place: Place) -> None:
    sleep = long_sleep()
    first = place.begun("run-1")
    act(first, f"setsid {sleep} >/dev/null 2>&1 &")
    try:
        first.close()
        second = place.connection()
        second.begin(run_identity("run-2"), wait=10.0)
        assert running(sleep), "a daemon of a run that ended well must live on"
    finally:
        for pid in running(sleep):
            os.kill(pid, signal.SIGKILL)


def test_losing_the_channel_ends_what_runs_and_frees_the_host(local_place: Place) -> None:
    sleep = long_sleep()
    place = local_place
    first = place.begun("run-1")

    def lose() -> None:
        with contextlib.suppress(KubexmsError):
            act(first, sleep)

    thread = threading.Thread(target=lose)
    thread.start()
    assert eventually(lambda: bool(running(sleep)))
    first.interrupt()
    thread.join(20.0)
    assert eventually(lambda: not running(sleep))
    assert eventually(lambda: not (place.state / "lock").exists())


class BareTransport(LocalTransport):
    """Finds nothing but what lies in one directory: the bootstrap does not add the usual ones."""

    def __init__(self, directory: Path, state: Path) -> None:
        super().__init__({"PATH": str(directory), "KUBEXMS_HOST_STATE": str(state)})

    def open(self, command: str, *, timeout: float) -> LocalChannel:
        return super().open(re.sub("PATH=.*; export PATH; ", "", command), timeout=timeout)


def test_without_flock_a_directory_is_the_lock(shells: Path, tmp_path: Path) -> None:
    shell_path("busybox", shells)
    bare = tmp_path / "bare"
    shutil.copytree(shells / "busybox", bare, symlinks=True)
    (bare / "flock").unlink(missing_ok=True)
    state = tmp_path / "state"
    first, second = (ShellConnection("h1", BareTransport(bare, state)) for _ in range(2))
    try:
        first.begin(run_identity("run-1"), wait=0.0)
        assert (state / "lock.d").is_dir()
        with pytest.raises(HostBusy, match="run-1"):
            second.begin(run_identity("run-2"), wait=0.1)
        holder = dict(line.partition("=")[::2] for line in (state / "lock.d/lock").read_text().splitlines())
        os.kill(int(holder["pid"]), signal.SIGKILL)
        second.begin(run_identity("run-2"), wait=10.0)
        assert act(second, "echo x").stdout == b"x\n"
        second.close()
        assert not (state / "lock.d").exists()
    finally:
        first.close()
        second.close()
