"""Passwords, and hosts that want two proofs: against a small server, for sshd would need a real account."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import paramiko
import pytest
from paramiko.common import AUTH_FAILED, AUTH_PARTIALLY_SUCCESSFUL, AUTH_SUCCESSFUL
from paramiko.server import InteractiveQuery

from kubexms.errors import AuthenticationFailed
from kubexms.runtime.ssh.endpoint import connect, disconnect
from kubexms.runtime.ssh.settings import resolve
from kubexms.runtime.target import HostKeyPolicy, HostTarget
from tests.contract.connection.places import make_key

PASSWORD = "the password"


class Server(paramiko.ServerInterface):
    """Takes the methods in `wants`, one after the other."""

    def __init__(self, wants: Sequence[str], key: paramiko.PKey) -> None:
        self._wants = list(wants)
        self._key = key
        self.asked: list[str] = []

    def get_allowed_auths(self, username: str) -> str:
        return self._wants[0]

    def _proved(self, method: str, *, right: bool) -> int:
        self.asked.append(method)
        if not right or self._wants[0] != method:
            return AUTH_FAILED
        self._wants.pop(0)
        return AUTH_PARTIALLY_SUCCESSFUL if self._wants else AUTH_SUCCESSFUL

    def check_auth_password(self, username: str, password: str) -> int:
        return self._proved("password", right=password == PASSWORD)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        return self._proved("publickey", right=key == self._key)

    def check_auth_interactive(self, username: str, submethods: str) -> int | InteractiveQuery:
        query = InteractiveQuery("login", "")
        query.add_prompt("Password: ", False)
        return query

    def check_auth_interactive_response(self, responses: list[str]) -> int:
        return self._proved("keyboard-interactive", right=responses == [PASSWORD])


class Listening:
    """A server on the loopback interface that serves one connection after the other."""

    def __init__(self, directory: Path) -> None:
        make_key(directory / "host")
        make_key(directory / "user")
        self.key_path = directory / "user"
        self._host_key = paramiko.PKey.from_path(directory / "host")
        self._user_key = paramiko.PKey.from_path(directory / "user")
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._transports: list[paramiko.Transport] = []
        self.server: Server | None = None

    def expects(self, *methods: str) -> None:
        self.server = Server(methods, self._user_key)
        threading.Thread(target=self._serve, args=(self.server,), daemon=True).start()

    def _serve(self, server: Server) -> None:
        try:
            caller, _ = self._listener.accept()
            transport = paramiko.Transport(caller)
            self._transports.append(transport)
            transport.add_server_key(self._host_key)
            transport.start_server(event=threading.Event(), server=server)
        except (OSError, EOFError, paramiko.SSHException):
            return

    def log_in(self, **changes: object) -> None:
        options: Mapping[str, object] = {"identity_files": (str(self.key_path),), **changes}
        target = HostTarget(
            "h1",
            address="127.0.0.1",
            port=int(self._listener.getsockname()[1]),
            user="somebody",
            ssh_config=Path("/dev/null"),
            host_key_policy=HostKeyPolicy.OFF,
            **options,  # type: ignore[arg-type]
        )
        disconnect(connect(resolve(target)))

    def close(self) -> None:
        self._listener.close()
        for transport in self._transports:
            transport.close()


@pytest.fixture
def listening(tmp_path: Path) -> Iterator[Listening]:
    found = Listening(tmp_path)
    yield found
    found.close()


@pytest.mark.parametrize(
    "methods",
    [
        ("publickey",),
        ("password",),
        ("keyboard-interactive",),
        ("publickey", "password"),
        ("publickey", "keyboard-interactive"),
    ],
)
def test_what_the_host_wants_is_given(listening: Listening, methods: tuple[str, ...]) -> None:
    listening.expects(*methods)
    listening.log_in(password=PASSWORD)


def test_a_wrong_password_is_tried_once(listening: Listening) -> None:
    listening.expects("password")
    with pytest.raises(AuthenticationFailed) as caught:
        listening.log_in(password="mistaken")
    assert listening.server is not None
    assert listening.server.asked.count("password") == 1
    assert "mistaken" not in f"{caught.value} {caught.value.detail}"


def test_a_missing_second_proof_is_said(listening: Listening) -> None:
    listening.expects("publickey", "password")
    with pytest.raises(AuthenticationFailed) as caught:
        listening.log_in()
    assert "The host takes: password." in caught.value.detail
