"""Downloads from a real web server, with every shell, curl, wget and busybox."""

from __future__ import annotations

import hashlib
import http.server
import os
import re
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kubexms.spec.asset import Asset
from kubexms.step.kinds.download import DownloadExecutor, DownloadSpec
from tests.steps.sandbox import Sandbox, Subject, applets, each_shell

DATA = os.urandom(300_000)
DIGEST = hashlib.sha256(DATA).hexdigest()


@dataclass
class Web:
    """What the server does, and what it was asked."""

    port: int = 0
    breaks_after: int | None = None
    ranges: bool = True
    token: str = ""
    asked: list[str] = field(default_factory=list)

    def url(self, path: str = "file") -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


@pytest.fixture
def web() -> Iterator[Web]:
    state = Web()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            wanted = self.headers.get("Range", "")
            state.asked.append(wanted)
            if state.token and self.headers.get("X-Token") != state.token:
                self.send_error(403)
                return
            start = int(m[1]) if state.ranges and (m := re.match(r"bytes=(\d+)-", wanted)) else 0
            if start >= len(DATA):
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(DATA) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(DATA) - 1}/{len(DATA)}")
            self.end_headers()
            end = len(DATA) if state.breaks_after is None else start + state.breaks_after
            self.wfile.write(DATA[start:end])

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def _with(tool: str, tmp_path: Path) -> Sandbox:
    """dash, what every host has, and one tool."""
    directory = tmp_path / "bin"
    directory.mkdir()
    needed = ("cat", "chmod", "chown", "cp", "grep", "id", "mktemp", "mv", "rm", "sha256sum", "sleep", "stat")
    for name in (*needed, "sync"):
        (directory / name).symlink_to(str(shutil.which(name)))
    place = Path(applets()) / "wget" if tool == "busybox" else Path(str(shutil.which(tool)))
    (directory / ("wget" if tool == "busybox" else tool)).symlink_to(place)
    return Sandbox("dash", tmp_path, {"PATH": str(directory)})


@pytest.mark.parametrize("tool", ["curl", "wget", "busybox"])
class TestTools:
    def test_resumes_and_is_pinned(self, tool: str, tmp_path: Path, web: Web) -> None:
        host = Subject(DownloadExecutor(), _with(tool, tmp_path))
        path = tmp_path / "it's here"
        path.write_text("old")
        spec = DownloadSpec(path=str(path), url=web.url(), sha256=DIGEST, mode="0755")
        web.breaks_after = 100_000
        if tool == "curl":
            assert host.sandbox.act(host.executor.action(spec, host.request(spec))).status != 0
        else:  # these two go on by themselves: kill them instead
            part = hashlib.sha256(str(path).encode()).hexdigest()[:10]
            (tmp_path / f".kubexms.{part}.part").write_bytes(DATA[:100_000])
        assert path.read_text() == "old"
        web.breaks_after = None
        prior = host.apply(spec)
        assert "bytes=100000-" in web.asked
        assert path.read_bytes() == DATA
        assert path.stat().st_mode & 0o7777 == 0o755
        host.undo(spec, prior)
        assert path.read_text() == "old"

    def test_other_bytes_never_arrive(self, tool: str, tmp_path: Path, web: Web) -> None:
        host = Subject(DownloadExecutor(), _with(tool, tmp_path))
        path = tmp_path / "file"
        spec = DownloadSpec(path=str(path), url=web.url(), sha256="0" * 64)
        assert f"sha256 {DIGEST} instead of" in host.fails(spec)
        assert not path.exists()

    def test_a_stale_part_is_replaced(self, tool: str, tmp_path: Path, web: Web) -> None:
        host = Subject(DownloadExecutor(), _with(tool, tmp_path))
        path = tmp_path / "file"
        part = tmp_path / f".kubexms.{hashlib.sha256(str(path).encode()).hexdigest()[:10]}.part"
        spec = DownloadSpec(path=str(path), url=web.url(), sha256=DIGEST)
        for stale in (b"x" * 1000, DATA + b"more", DATA):
            part.write_bytes(stale)
            host.apply(spec)
            assert path.read_bytes() == DATA
            path.unlink()
        web.ranges = False
        part.write_bytes(DATA[:1000])
        host.apply(spec)

    def test_headers(self, tool: str, tmp_path: Path, web: Web) -> None:
        host = Subject(DownloadExecutor(), _with(tool, tmp_path))
        web.token = 'a "b" \\c'
        spec = DownloadSpec(
            path=str(tmp_path / "file"), url=web.url(), sha256=DIGEST, headers={"X-Token": web.token}
        )
        if tool != "curl":
            assert "headers need curl" in host.fails(spec)
        else:
            host.apply(spec)

    def test_errors(self, tool: str, tmp_path: Path, web: Web) -> None:
        host = Subject(DownloadExecutor(), _with(tool, tmp_path))
        web.token = "x"
        spec = DownloadSpec(path=str(tmp_path / "file"), url=web.url(), sha256=DIGEST)
        assert "the transfer failed" in host.fails(spec)


@each_shell()
def test_from_the_controller(shell: str, tmp_path: Path) -> None:
    host = Subject(DownloadExecutor(), Sandbox(shell, tmp_path))
    source = tmp_path / "source"
    source.write_bytes(DATA)
    asset = Asset(path=str(source), sha256=DIGEST, size=len(DATA))
    spec = DownloadSpec(path=str(tmp_path / "file"), source=asset, sha256=DIGEST, owner="0")
    prior = host.apply(spec)
    assert (tmp_path / "file").stat().st_mode & 0o7777 == 0o644
    host.undo(spec, prior)
    assert not (tmp_path / "file").exists()
