"""Commands, checks, waiting and rebooting: what is run is run for real, with every shell."""

from __future__ import annotations

import http.server
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kubexms.errors import ActionFailed, AuthenticationFailed, HostKeyRejected, StepTimeout, Unreachable
from kubexms.step.contract import ActionKind, ChangeRequest
from kubexms.step.kinds.assertion import AssertExecutor, AssertSpec
from kubexms.step.kinds.command import CommandExecutor, CommandSpec
from kubexms.step.kinds.reboot import RebootExecutor, RebootSpec
from kubexms.step.kinds.wait import HttpTarget, TcpTarget, WaitExecutor, WaitSpec
from kubexms.step.observation import Observation, Presence
from tests.steps.context import RebootingHost, SandboxContext
from tests.steps.sandbox import Sandbox, Subject, applets, each_shell

REQUEST = ChangeRequest(ActionKind.UPDATE, Observation.absent())


def command(shell: str, tmp_path: Path) -> Subject:
    return Subject(CommandExecutor(), Sandbox(shell, tmp_path))


@each_shell()
class TestCommand:
    def test_creates_and_undo(self, shell: str, tmp_path: Path) -> None:
        host = command(shell, tmp_path)
        path = tmp_path / "it's\nthere"
        spec = CommandSpec(
            run='printf "%s" "$A" >"$B"; exit 3',
            creates=str(path),
            env={"A": 'x"\n$y', "B": str(path)},
            expected_status=(3,),
            undo='rm "$B"',
        )
        host.apply(spec)
        assert path.read_text() == 'x"\n$y'
        undo = host.executor.undo(spec, Observation.present({"satisfied": False}))
        assert undo is not None
        assert host.sandbox.act(undo).status == 0
        assert not path.exists()

    def test_stdin_directory_and_failure(self, shell: str, tmp_path: Path) -> None:
        host = command(shell, tmp_path)
        (tmp_path / "d").mkdir()
        spec = CommandSpec(
            run="cat >got", creates=str(tmp_path / "d/got"), stdin="a\nb", cwd=str(tmp_path / "d")
        )
        host.apply(spec)
        assert (tmp_path / "d/got").read_text() == "a\nb"
        failing = CommandSpec(run="set -e; echo no >&2; false; echo never", runs="always")
        outcome = host.sandbox.act(host.executor.action(failing, REQUEST))
        assert (outcome.status, outcome.stdout, outcome.stderr) == (1, b"", b"no\n")

    def test_the_text_is_in_no_argument(self, shell: str, tmp_path: Path) -> None:
        host = command(shell, tmp_path)
        spec = CommandSpec(
            run=": s3cret; cat /proc/$$/cmdline; cat /proc/$PPID/cmdline", runs="always", env={"T": "s3cret"}
        )
        outcome = host.sandbox.act(host.executor.action(spec, REQUEST))
        assert outcome.status == 0
        assert b"s3cret" not in outcome.stdout

    def test_outputs(self, shell: str, tmp_path: Path) -> None:
        host = command(shell, tmp_path)
        spec = CommandSpec(
            run="echo hello; echo version v1.2",
            runs="once",
            outputs={"all": "stdout", "version": "v([0-9.]+)$", "word": "^ver[a-z]+"},
        )
        outcome = host.executor.run(SandboxContext(host, spec), spec, REQUEST)
        assert outcome.outputs == {"all": "hello\nversion v1.2", "version": "1.2", "word": "version"}
        missing = CommandSpec(run="echo", runs="once", outputs={"a": "x+"})
        with pytest.raises(ActionFailed, match="output 'a'"):
            host.executor.run(SandboxContext(host, missing), missing, REQUEST)

    def test_outputs_that_the_host_tells(self, shell: str, tmp_path: Path) -> None:
        host = command(shell, tmp_path)
        made = tmp_path / "made"
        spec = CommandSpec(
            run=f"printf 'a\\n\\nid=7\\n' >{made}",
            creates=str(made),
            outputs={"all": "stdout", "id": "id=(.*)", "none": "x(.*)"},
            outputs_from=f"echo noise >&2; cat {made}",
        )
        before = host.observe(spec)
        assert (before.attributes, host.executor.outputs(spec, before)) == ({"satisfied": False}, {})
        host.apply(spec)
        told = host.executor.outputs(spec, host.observe(spec))
        assert told == {"all": "a\n\nid=7", "id": "7"}
        made.write_bytes(b"y" * 200_000 + b"\xff")
        assert host.observe(spec).reason == "'outputsFrom' printed 65536 bytes or more"
        made.write_bytes(b"y\xff\x00z")
        assert host.executor.outputs(spec, host.observe(spec))["all"] == "y\ufffdz"
        made.write_bytes(b"")
        assert host.executor.outputs(spec, host.observe(spec)) == {"all": ""}
        always = spec.model_copy(update={"creates": None, "runs": "always"})
        made.write_bytes(b"id=8\n")
        assert host.executor.outputs(always, host.observe(always))["id"] == "8"
        slow = spec.model_copy(update={"outputs_from": "sleep 60", "check_timeout": 1.0})
        assert "did not end within 1 s" in host.observe(slow).reason

    def test_checks_asked_together_and_alone(self, shell: str, tmp_path: Path) -> None:
        host = command(shell, tmp_path)
        specs = [
            CommandSpec(run="x", unless="echo noise; echo noise >&2; exit 0"),
            CommandSpec(run="x", unless="exit 7"),
            CommandSpec(run="x", only_if="no-such-tool"),
            CommandSpec(run="x", check="if", check_timeout=5),
            CommandSpec(run="x", check="sleep 30", check_timeout=1),
            CommandSpec(run="x", check="emit 0 x; exit 1"),
            CommandSpec(run="x", check="echo 'a: Read-only file system' >&2; exit 1"),
            CommandSpec(run="x", check="echo 'a: Read-only file system' >&2; exit 1", guard="off"),
            CommandSpec(run="x", creates="/etc/passwd"),
            CommandSpec(run="x", removes="/nonexistent", unless="false"),
            CommandSpec(run="x", check='test "$A" = "b c"', env={"A": "b c"}, cwd="/etc"),
            CommandSpec(run="x", check="true", cwd="/nonexistent"),
            CommandSpec(run="x", runs="always"),
        ]
        together = host.observe_all(specs)
        assert together == [host.observe(spec) for spec in specs]
        satisfied = [seen.attributes.get("satisfied") for seen in together]
        assert satisfied == [
            True,
            False,
            True,
            False,
            None,
            False,
            None,
            False,
            True,
            True,
            True,
            False,
            None,
        ]
        assert "1 s" in together[4].reason
        assert "guard" in together[6].reason
        assert not list(tmp_path.glob(".kubexms-store/*"))

    def test_all_checks_of_a_host_are_one_guarded_fragment(self, shell: str, tmp_path: Path) -> None:
        specs = [CommandSpec(run="x", check=f"test {number} = 3") for number in range(20)]
        specs += [CommandSpec(run="x", creates="/x"), CommandSpec(run="x", check="true", user="root")]
        probes = CommandExecutor().probe(specs)
        assert [(len(p.indexes), p.fragment.guarded, p.fragment.user) for p in probes] == [
            (20, True, None),
            (1, False, None),
            (1, True, "root"),
        ]


def test_assert(tmp_path: Path) -> None:
    host = Subject(AssertExecutor(), Sandbox("dash", tmp_path))
    good, bad = (
        AssertSpec(check="true", message="m"),
        AssertSpec(that=(True,), check="false", message="no good"),
    )
    assert [host.executor.verdict(spec, host.observe(spec)) for spec in (good, bad)] == [None, "no good"]
    assert host.fails(bad) == "no good\n"
    assert host.fails(AssertSpec(that=False, message="no good")) == "no good\n"
    assert host.sandbox.act(host.executor.action(good, REQUEST)).status == 0


@pytest.fixture
def listening() -> Iterator[int]:
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture
def web() -> Iterator[int]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path.startswith("/ok") else 503)
            self.end_headers()
            self.wfile.write(b"all is $well 'here'")

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def _only(tmp_path: Path, *tools: str) -> str:
    """A PATH with what every host has, and the given programs."""
    directory = tmp_path / "bin"
    directory.mkdir()
    (directory / "sh").symlink_to(str(shutil.which("dash")))
    for tool in ("cat", "date", "grep", "rm", "sleep", "tail", "timeout", "true", *tools):
        (directory / tool).symlink_to(str(shutil.which(tool) or Path(applets()) / tool))
    return str(directory)


@pytest.mark.parametrize("tool", ["bash", "nc", "curl"])
def test_tcp_with_each_tool(tool: str, tmp_path: Path, listening: int) -> None:
    host = Subject(WaitExecutor(), Sandbox("dash", tmp_path, {"PATH": _only(tmp_path, tool)}))
    for address in ("127.0.0.1", "localhost"):
        spec = WaitSpec(tcp=TcpTarget(host=address, port=listening), check_timeout=5)
        assert host.observe(spec).attributes == {"satisfied": True}, tool
    closed = WaitSpec(tcp=TcpTarget(port=_free_port()), state="stopped", check_timeout=5)
    assert host.observe(closed).attributes == {"satisfied": True}, tool


def test_what_still_says_that_it_is_not_done(tmp_path: Path) -> None:
    host = Subject(CommandExecutor(), Sandbox("dash", tmp_path))
    there, gone = tmp_path, tmp_path / "gone"
    for spec, said in (
        (CommandSpec(run="true", creates=str(gone)), f"{gone} (creates) is not there"),
        (CommandSpec(run="true", removes=str(there)), f"{there} (removes) is still there"),
        (CommandSpec(run="true", unless="exit 3"), "'unless' still fails with exit status 3"),
        (CommandSpec(run="true", only_if="true"), "'onlyIf' still succeeds"),
        (CommandSpec(run="true", creates=str(there)), ""),
    ):
        assert host.executor.unmet(spec, host.observe(spec)) == said


@pytest.mark.parametrize("tool", ["curl", "wget"])
def test_http_with_each_tool(tool: str, tmp_path: Path, web: int) -> None:
    host = Subject(WaitExecutor(), Sandbox("dash", tmp_path, {"PATH": _only(tmp_path, tool)}))
    url = f"http://127.0.0.1:{web}"
    good = WaitSpec(http=HttpTarget(url=f"{url}/ok?a=b&c", contains="$well 'here'"))
    assert host.observe(good).attributes == {"satisfied": True}
    for bad in (HttpTarget(url=f"{url}/ok", contains="nothing"), HttpTarget(url=f"{url}/no")):
        assert host.observe(WaitSpec(http=bad)).attributes == {"satisfied": False}
    if tool == "curl":
        wanted = WaitSpec(http=HttpTarget(url=f"{url}/no", status=(500, 503)))
        assert host.observe(wanted).attributes == {"satisfied": True}


def test_a_host_without_any_tool_says_so(tmp_path: Path) -> None:
    host = Subject(WaitExecutor(), Sandbox("dash", tmp_path, {"PATH": _only(tmp_path)}))
    for spec in (WaitSpec(tcp=TcpTarget(port=1)), WaitSpec(http=HttpTarget(url="http://127.0.0.1:1/"))):
        seen = host.observe(spec)
        assert seen.presence is Presence.UNKNOWN
        assert "no tool" in seen.reason
        assert "neither" in host.fails(spec)


@each_shell()
class TestWait:
    def test_until_it_is_there(self, shell: str, tmp_path: Path) -> None:
        host = Subject(WaitExecutor(), Sandbox(shell, tmp_path))
        path = tmp_path / "it's there"
        spec = WaitSpec(command=f'test -e "{path}"', limit=100, interval=0.1)
        context = SandboxContext(host, spec)
        assert host.observe(spec).attributes == {"satisfied": False}
        later = threading.Timer(0.3, path.touch)
        later.start()
        assert host.executor.run(context, spec, REQUEST).status == 0
        later.join()
        assert host.observe(spec).attributes == {"satisfied": True}

    def test_its_limit(self, shell: str, tmp_path: Path) -> None:
        host = Subject(WaitExecutor(), Sandbox(shell, tmp_path))
        spec = WaitSpec(command="echo not yet >&2; false", limit=0.5, interval=0.5)
        context = SandboxContext(host, spec)
        with pytest.raises(StepTimeout, match="the command does not succeed after") as caught:
            host.executor.run(context, spec, REQUEST)
        assert "`limit`" in caught.value.detail
        assert context.said == ["waiting for the command (0 s of 0.5 s)"]


class TestReboot:
    spec = RebootSpec(limit=30)

    def test_comes_back_with_another_boot_id(self) -> None:
        host = RebootingHost(tries=3, ready_after=2, errors=[Unreachable("down")])
        outcome = RebootExecutor().run(host, self.spec, REQUEST)
        assert outcome.status == 0
        assert host.acted[0].expect_disconnect
        assert any("waiting for the host to come back" in line for line in host.said)

    def test_logins_may_be_refused_for_a_while(self) -> None:
        host = RebootingHost(tries=3, errors=[AuthenticationFailed("booting up")])
        assert RebootExecutor().run(host, self.spec, REQUEST).status == 0

    def test_another_host_key_is_an_error(self) -> None:
        host = RebootingHost(tries=3, errors=[HostKeyRejected("changed")])
        with pytest.raises(HostKeyRejected):
            RebootExecutor().run(host, self.spec, REQUEST)

    def test_never_comes_back(self) -> None:
        host = RebootingHost(tries=10**6, errors=[Unreachable("down")])
        with pytest.raises(StepTimeout, match="has not come back within 30 s"):
            RebootExecutor().run(host, self.spec, REQUEST)

    def test_sources_that_changed_since(self) -> None:
        executor, spec = RebootExecutor(), RebootSpec(reboot_on=("a", "b"))
        seen = Observation.present({"pending": False})
        recorded = executor.remember(spec, seen, {"a": "1", "b": "1", "c": "1"})
        assert executor.stale(spec, seen, recorded, {"a": "1", "b": "2", "c": "2"}) == ("b",)
        assert executor.stale(spec, seen, None, {"a": "1"}) == ()

    def test_never_ready(self) -> None:
        host = RebootingHost(ready_after=10**6, errors=[Unreachable("down")])
        with pytest.raises(StepTimeout, match="'ready' check has not succeeded") as caught:
            RebootExecutor().run(host, RebootSpec(ready="false", limit=30), REQUEST)
        assert "not yet" in caught.value.detail
        host = RebootingHost(ready_after=10**6, errors=[Unreachable("down")])
        assert RebootExecutor().run(host, self.spec, REQUEST).status == 0
        assert host.now > 120
