"""What only SSH has: host keys, logins, configuration files, bastions."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kubexms.errors import AuthenticationFailed, HostKeyRejected, Unreachable
from kubexms.runtime.connect import open_readonly
from kubexms.runtime.protocol import Fragment
from kubexms.runtime.shell_connection import ShellReader
from kubexms.runtime.ssh.transport import SshTransport
from kubexms.runtime.target import HostTarget
from tests.contract.connection.known import asks, host_key, known
from tests.contract.connection.places import Sshd, free_port, make_key, shell_path, sshd_running


@pytest.mark.parametrize(
    ("principals", "validity", "problem"),
    [
        ("127.0.0.1", "-1d:+1d", None),
        ("other", "-1d:+1d", "does not name 127.0.0.1"),
        ("127.0.0.1", "-2d:-1d", "expired"),
    ],
)
def test_host_certificates(
    tmp_path: Path, shells: Path, principals: str, validity: str, problem: str | None
) -> None:
    make_key(tmp_path / "ca")
    directory = tmp_path / "sshd"
    with sshd_running(
        directory, shell_path("dash", shells), f"HostCertificate {directory}/host-cert.pub"
    ) as sshd:
        # sshd read its configuration before there was a certificate: a second one has it
        sign = [
            "ssh-keygen",
            "-q",
            "-s",
            str(tmp_path / "ca"),
            "-I",
            "h1",
            "-h",
            "-n",
            principals,
            "-V",
            validity,
        ]
        subprocess.run([*sign, str(directory / "host.pub")], check=True)
        port = free_port()
        text = (directory / "sshd_config").read_text().replace(f"Port {sshd.port}", f"Port {port}")
        (directory / "sshd_config2").write_text(text.replace("/pid", "/pid2"))
        server = subprocess.Popen(
            [
                shutil.which("sshd", path="/usr/sbin:/usr/bin") or "sshd",
                "-D",
                "-f",
                str(directory / "sshd_config2"),
            ]
        )
        try:
            _wait_for(port)
            authority = " ".join((tmp_path / "ca.pub").read_text().split()[:2])
            path = known(tmp_path / "known", f"@cert-authority [127.0.0.1]:{port} {authority}")
            target = sshd.target(known_hosts=path, port=port)
            if problem is None:
                assert asks(target)
                known(path, path.read_text().strip(), f"@revoked * {authority}")
                with pytest.raises(HostKeyRejected, match="revoked"):
                    asks(target)
            else:
                with pytest.raises(HostKeyRejected, match=problem):
                    asks(target)
        finally:
            server.terminate()
            server.wait(10.0)


def _wait_for(port: int) -> None:
    for _ in range(500):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        threading.Event().wait(0.01)
    raise TimeoutError


def test_user_certificates(tmp_path: Path, shells: Path) -> None:
    make_key(tmp_path / "ca")
    make_key(tmp_path / "key")
    with sshd_running(tmp_path / "sshd", shell_path("dash", shells)) as plain:
        with pytest.raises(AuthenticationFailed):
            asks(plain.target(identity_files=(str(tmp_path / "key"),)))
        user = plain.target().user or ""
        subprocess.run(
            [
                "ssh-keygen",
                "-q",
                "-s",
                str(tmp_path / "ca"),
                "-I",
                "me",
                "-n",
                user,
                str(tmp_path / "key.pub"),
            ],
            check=True,
        )
        (plain.directory / "authorized").write_text(f"cert-authority {(tmp_path / 'ca.pub').read_text()}")
        assert asks(plain.target(identity_files=(str(tmp_path / "key"),)))


def test_keys_with_a_passphrase(sshd: Sshd, tmp_path: Path) -> None:
    shutil.copy(sshd.user_key, tmp_path / "key")
    change = ["ssh-keygen", "-q", "-p", "-P", "", "-N", "the passphrase", "-f", str(tmp_path / "key")]
    subprocess.run(change, check=True)
    target = sshd.target(identity_files=(str(tmp_path / "key"),))
    assert asks(replace(target, passphrase="the passphrase"))
    with pytest.raises(AuthenticationFailed) as caught:
        asks(target)
    assert "needs a passphrase" in caught.value.detail
    with pytest.raises(AuthenticationFailed) as caught:
        asks(replace(target, passphrase="wrong"))
    assert "passphrase is wrong" in caught.value.detail
    assert "the passphrase" not in repr(target)


@contextmanager
def agent_with(key: Path) -> Iterator[str]:
    """An ssh-agent of its own that holds one key."""
    path = key.parent / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(500):
            if path.exists():
                break
            threading.Event().wait(0.01)
        environment = {**os.environ, "SSH_AUTH_SOCK": str(path)}
        subprocess.run(["ssh-add", "-q", str(key)], env=environment, check=True, stderr=subprocess.DEVNULL)
        yield str(path)
    finally:
        agent.terminate()
        agent.wait(10.0)


def test_the_agent(sshd: Sshd, tmp_path: Path) -> None:
    if shutil.which("ssh-agent") is None:
        pytest.skip("ssh-agent is not installed")
    shutil.copy(sshd.user_key, tmp_path / "key")
    with agent_with(tmp_path / "key") as path:
        config = tmp_path / "config"
        config.write_text(f"IdentityAgent {path}\n")
        assert asks(sshd.target(identity_files=(), ssh_config=config))
        # the public half names a key that only the agent has
        shutil.copy(sshd.directory / "user.pub", tmp_path / "only.pub")
        config.write_text(f"IdentityAgent {path}\nIdentitiesOnly yes\nIdentityFile {tmp_path}/only\n")
        assert asks(sshd.target(identity_files=(), ssh_config=config))


def test_a_login_that_fails_says_what_was_tried(sshd: Sshd, tmp_path: Path) -> None:
    make_key(tmp_path / "stranger")
    with pytest.raises(AuthenticationFailed, match="did not accept a login as") as caught:
        asks(sshd.target(identity_files=(str(tmp_path / "stranger"), str(tmp_path / "missing"))))
    assert str(tmp_path / "stranger") in caught.value.detail
    assert f"{tmp_path / 'missing'}: no such file" in caught.value.detail


def test_configuration_files_with_include(sshd: Sshd, tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more/10.conf").write_text(
        f"Host lab-*\n  HostName 127.0.0.1\n  Port {sshd.port}\n  IdentityFile {sshd.user_key}\n"
    )
    config = tmp_path / "config"
    config.write_text(
        f"Include {tmp_path}/more/*.conf\nHost *\n  UserKnownHostsFile {sshd.directory}/known_hosts\n"
    )
    target = HostTarget("lab-1", user=sshd.target().user, ssh_config=config, connect_timeout=20.0)
    assert asks(target)


def test_refused_and_unknown_names_are_said(tmp_path: Path) -> None:
    target = HostTarget("h1", address="127.0.0.1", port=free_port(), ssh_config=Path("/dev/null"))
    with pytest.raises(Unreachable, match=r"h1: 127\.0\.0\.1 port .* connection refused"):
        asks(target)
    with pytest.raises(Unreachable, match=r"name no-such-host\.invalid is not known"):
        asks(replace(target, address="no-such-host.invalid"))


class Doorkeeper:
    """Hangs up on the first callers, as sshd does when too many knock at once; then lets them through."""

    def __init__(self, port: int, refused: int) -> None:
        self._port, self._refused = port, refused
        self.calls = 0
        self._connections: list[socket.socket] = []
        self._copiers: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listener.accept()
            except OSError:
                return
            self.calls += 1
            if self.calls <= self._refused:
                caller.close()
                continue
            inner = socket.create_connection(("127.0.0.1", self._port))
            self._connections += [caller, inner]
            for source, sink in ((caller, inner), (inner, caller)):
                thread = threading.Thread(target=_copy, args=(source, sink), daemon=True)
                self._copiers.append(thread)
                thread.start()

    def cut(self) -> None:
        """Break every connection, as a failing network does."""
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        self.cut()
        for thread in self._copiers:
            thread.join(5.0)
        for connection in self._connections:
            connection.close()


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        return


@pytest.fixture
def known_anywhere(sshd: Sshd, tmp_path: Path) -> Path:
    return known(tmp_path / "anywhere", f"* {host_key(sshd)}")


def test_refused_banners_are_tried_again(sshd: Sshd, known_anywhere: Path) -> None:
    door = Doorkeeper(sshd.port, refused=3)
    pauses: list[float] = []
    target = sshd.target(port=door.port, known_hosts=known_anywhere)
    reader = ShellReader("h1", SshTransport(target, pause=pauses.append, jitter=lambda: 0.5))
    try:
        assert reader.ask([Fragment("emit 0 x")], deadline=30.0).answers[0].failure is None
    finally:
        reader.close()
        door.close()
    assert pauses == [0.2, 0.4, 0.8]
    assert door.calls == 4


def test_one_that_always_hangs_up_is_unreachable(sshd: Sshd, known_anywhere: Path) -> None:
    door = Doorkeeper(sshd.port, refused=1000)
    target = sshd.target(port=door.port, known_hosts=known_anywhere)
    reader = ShellReader("h1", SshTransport(target, pause=lambda _: None, jitter=lambda: 0.5))
    try:
        with pytest.raises(Unreachable, match="hangs up before the key exchange") as caught:
            reader.ask([Fragment("emit 0 x")], deadline=30.0)
    finally:
        door.close()
    assert "MaxStartups" in caught.value.detail


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-slow\r\n"])
def test_one_that_answers_too_slowly_is_unreachable(tmp_path: Path, said: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    taken: list[socket.socket] = []

    def answer() -> None:
        connection, _ = listener.accept()
        taken.append(connection)
        connection.sendall(said)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    target = HostTarget(
        name="h1",
        address="127.0.0.1",
        port=listener.getsockname()[1],
        connect_timeout=0.3,
        ssh_config=Path("/dev/null"),
        known_hosts=known(tmp_path / "none", ""),
    )
    try:
        with pytest.raises(Unreachable, match=r"no key exchange within 0\.3 s") as caught:
            asks(target)
    finally:
        thread.join(5.0)
        listener.close()
        for connection in taken:
            connection.close()
    assert "connectTimeout" in caught.value.detail


def test_a_whole_plan_is_one_connection_and_one_session(sshd: Sshd, known_anywhere: Path) -> None:
    door = Doorkeeper(sshd.port, refused=0)
    connection = open_readonly(sshd.target(port=door.port, known_hosts=known_anywhere))
    try:
        connection.prepare()
        connection.ask([Fragment("emit 0 x")] * 50, deadline=30.0)
        connection.ask([Fragment("emit 0 x")] * 50, deadline=30.0)
    finally:
        connection.close()
        door.close()
    assert door.calls == 1


def test_what_goes_wrong_beforehand_is_told_by_the_first_question(sshd: Sshd, tmp_path: Path) -> None:
    door = Doorkeeper(sshd.port, refused=0)
    connection = open_readonly(sshd.target(port=door.port, known_hosts=known(tmp_path / "none", "")))
    try:
        connection.prepare()
        assert door.calls == 1
        with pytest.raises(HostKeyRejected, match=r"^h1: "):
            connection.ask([Fragment("emit 0 x")], deadline=30.0)
        assert door.calls == 1
    finally:
        connection.close()
        door.close()


def test_jump_hosts_share_one_connection(sshd: Sshd, known_anywhere: Path) -> None:
    door = Doorkeeper(sshd.port, refused=0)
    user = sshd.target().user
    jump = f"{user}@127.0.0.1:{door.port}"
    target = sshd.target(proxy_jump=jump, known_hosts=known_anywhere)
    connections = [open_readonly(target) for _ in range(3)]
    try:
        for connection in connections:
            assert connection.ask([Fragment("emit 0 x")], deadline=30.0).answers[0].failure is None
        twice = sshd.target(proxy_jump=f"{jump},{user}@127.0.0.1:{sshd.port}", known_hosts=known_anywhere)
        assert asks(twice)
        with pytest.raises(Unreachable, match="cannot be reached from the bastion"):
            asks(replace(target, port=free_port()))
    finally:
        for connection in connections:
            connection.close()
        door.close()
    assert door.calls <= 2


def test_ipv6(tmp_path: Path, shells: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6 on the loopback interface")
    with sshd_running(tmp_path / "sshd", shell_path("dash", shells), "ListenAddress ::1") as sshd:
        path = known(tmp_path / "known", f"[::1]:{sshd.port} {host_key(sshd)}")
        assert asks(sshd.target(address="::1", known_hosts=path))
        assert asks(sshd.target(address="[::1]", known_hosts=path))


def test_a_lost_connection_is_opened_again(sshd: Sshd, known_anywhere: Path) -> None:
    door = Doorkeeper(sshd.port, refused=0)
    connection = open_readonly(sshd.target(port=door.port, known_hosts=known_anywhere))
    try:
        assert connection.ask([Fragment("emit 0 x")], deadline=30.0).answers[0].failure is None
        threading.Timer(0.3, door.cut).start()
        with pytest.raises(Unreachable, match="lost while the host was being asked"):
            connection.ask([Fragment("sleep 20; emit 0 x")], deadline=30.0)
        assert connection.ask([Fragment("emit 0 x")], deadline=30.0).answers[0].failure is None
    finally:
        connection.close()
        door.close()
