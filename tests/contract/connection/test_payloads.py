"""Payloads: any bytes, of any size, and secrets where nobody looks."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubexms.errors import ActionFailed
from kubexms.runtime.exchanging import INLINE_LIMIT
from kubexms.runtime.protocol import Payload
from tests.contract.connection.places import Place, act, needs_root


def test_any_bytes_arrive_as_they_are(place: Place) -> None:
    connection = place.begun()
    target = place.root / "f"

    @settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.binary(max_size=600))
    def check(data: bytes) -> None:
        outcome = act(connection, f"payload 'the name' >{target}", payloads={"the name": Payload(data=data)})
        assert outcome.status == 0, outcome.stderr
        assert target.read_bytes() == data

    check()


@pytest.mark.parametrize("size", [INLINE_LIMIT, INLINE_LIMIT + 1, 5_000_000])
def test_large_payloads(place: Place, size: int) -> None:
    data = os.urandom(size)
    target, source = place.root / "f", place.root / "source"
    source.write_bytes(data)
    connection = place.begun()
    outcome = act(connection, f"payload p >{target}", payloads={"p": Payload(data=data)})
    assert (outcome.status, target.read_bytes() == data) == (0, True)
    outcome = act(connection, f"payload p >{target}.2", payloads={"p": Payload(path=source)})
    assert (outcome.status, Path(f"{target}.2").read_bytes() == data) == (0, True)
    left = [path for path in (place.state / "staging").rglob("*") if path.is_file() and path.name != "worker"]
    assert left == []


def test_an_unknown_payload_fails(place: Place) -> None:
    outcome = act(place.begun(), "payload nothing")
    assert outcome.status == 1
    assert b"no such payload: nothing" in outcome.stderr


def test_upload_stages_a_private_file(place: Place) -> None:
    connection = place.begun()
    path = Path(connection.upload(Payload(data=b"x" * 1000), name="image"))
    assert path.read_bytes() == b"x" * 1000
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    connection.close()
    assert not path.exists()


def test_a_host_that_cannot_store_says_so(place: Place) -> None:
    connection = place.begun()
    (staging,) = (place.state / "staging").iterdir()
    for index in range(1, 4):
        (staging / f"payload.{index}").mkdir()
    with pytest.raises(ActionFailed, match="could not store"):
        connection.upload(Payload(data=b"x"), name="image")
    assert act(connection, ":").acted


@needs_root
@pytest.mark.parametrize("size", [10, INLINE_LIMIT + 1])
def test_another_user_can_read_its_payload(place: Place, size: int) -> None:
    outcome = act(
        place.begun(), "payload p | wc -c", payloads={"p": Payload(data=b"x" * size)}, user="nobody"
    )
    assert (outcome.status, outcome.stdout.strip()) == (0, str(size).encode())
    assert not list(Path("/var/tmp").glob("kx*"))


def test_a_secret_shows_in_no_process_list_and_no_file(place: Place) -> None:
    secret = f"secret{os.getpid()}x{time.monotonic_ns()}"
    seen: list[str] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            for entry in Path("/proc").glob("[0-9]*"):
                if int(entry.name) == os.getpid():
                    continue
                for name in ("cmdline", "environ"):
                    try:
                        if secret.encode() in (entry / name).read_bytes():
                            seen.append(f"{entry}/{name}")
                    except OSError:
                        continue

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        connection = place.begun()
        payload = Payload(data=secret.encode(), sensitive=True)
        for _ in range(3):
            outcome = act(connection, "payload p | sleep 0.1; payload p | wc -c", payloads={"p": payload})
            assert outcome.status == 0
    finally:
        stop.set()
        thread.join(10.0)
    assert seen == []
    places = [place.state, Path("/dev/shm"), Path("/var/tmp")]
    for path in (path for top in places for path in top.rglob("*") if path.is_file()):
        assert secret.encode() not in path.read_bytes()
