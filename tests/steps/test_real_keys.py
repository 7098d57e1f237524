"""Authorized keys, for real, with every shell."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kubexms.step.kinds.authorized_key import AuthorizedKeyExecutor, AuthorizedKeySpec
from kubexms.step.observation import Presence
from tests.steps.sandbox import Sandbox, Subject, applets, each_shell

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGtvaO0yBmC7SRRmWkgLCAS1ZZ0BdIv3H0bAGvBzkrhN"
OTHER = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBBBaO0yBmC7SRRmWkgLCAS1ZZ0BdIv3H0bAGvBzkrhN"


@each_shell()
class TestAuthorizedKey:
    def test_new_with_its_directory_and_back(self, shell: str, tmp_path: Path) -> None:
        host = Subject(AuthorizedKeyExecutor(), Sandbox(shell, tmp_path))
        path = tmp_path / "it's ssh/keys"
        spec = AuthorizedKeySpec(
            user=str(os.getuid()), key=f"{KEY} a 'b'", options='command="a b \\$x"', path=str(path)
        )
        prior = host.apply(spec)
        assert path.read_text() == f"command=\"a b \\$x\" {KEY} a 'b'\n"
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600
        host.undo(spec, prior)
        assert not path.parent.exists()

    def test_among_others_and_back(self, shell: str, tmp_path: Path) -> None:
        host = Subject(AuthorizedKeyExecutor(), Sandbox(shell, tmp_path))
        path = tmp_path / "keys"
        before = f"# comment\nno-pty {KEY} old\n\n{OTHER} of others\n"
        path.write_text(before)
        path.chmod(0o664)
        spec = AuthorizedKeySpec(user="root", key=f"{KEY} new", path=str(path))
        prior = host.apply(spec)
        assert path.read_text() == f"# comment\n{KEY} new\n\n{OTHER} of others\n"
        assert path.stat().st_mode & 0o777 == 0o644
        host.undo(spec, prior)
        assert path.read_text() == before
        alone = AuthorizedKeySpec(user="root", key=KEY, path=str(path), exclusive=True)
        prior = host.apply(alone)
        assert OTHER not in path.read_text()
        host.undo(alone, prior)
        assert sorted(path.read_text().splitlines()) == sorted(before.splitlines())
        host.apply(AuthorizedKeySpec(user="root", key=KEY, path=str(path), state="absent"))
        assert path.read_text() == f"# comment\n\n{OTHER} of others\n"

    def test_no_such_user(self, shell: str, tmp_path: Path) -> None:
        host = Subject(AuthorizedKeyExecutor(), Sandbox(shell, tmp_path))
        spec = AuthorizedKeySpec(user="nobody-of-that-name", key=KEY)
        assert host.observe(spec).presence is Presence.ABSENT
        assert "does not exist" in host.fails(spec)
        gone = spec.model_copy(update={"state": "absent"})
        assert host.sandbox.act(host.executor.action(gone, host.request(gone))).status == 0

    @pytest.mark.skipif(os.getuid() != 0 or not shutil.which("runuser"), reason="needs root and runuser")
    def test_written_as_the_user(self, shell: str, tmp_path: Path) -> None:
        home = Path(f"/var/tmp/kubexms-{os.getpid()}-{shell}")
        home.mkdir()
        try:
            os.chown(home, 65534, -1)
            host = Subject(AuthorizedKeyExecutor(), Sandbox(shell, tmp_path))
            path = home / "ssh/keys"
            spec = AuthorizedKeySpec(user="nobody", key=KEY, path=str(path))
            prior = host.apply(spec)
            assert (path.stat().st_uid, path.parent.stat().st_uid) == (65534, 65534)
            host.undo(spec, prior)
            secret = tmp_path / "secret"
            secret.write_text("of root\n")
            path.parent.mkdir(exist_ok=True)
            os.chown(path.parent, 65534, -1)
            path.symlink_to(secret)
            assert host.sandbox.act(host.executor.action(spec, host.request(spec))).status != 0
            assert secret.read_text() == "of root\n"
            assert path.is_symlink()
        finally:
            shutil.rmtree(home)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root")
def test_a_user_who_cannot_run_anything_is_no_success(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for tool in Path(applets()).iterdir():
        (closed / tool.name).symlink_to(tool.readlink())
    host = Subject(AuthorizedKeyExecutor(), Sandbox("busybox", tmp_path, {"PATH": str(closed)}))
    spec = AuthorizedKeySpec(user="nobody", key=KEY, path="/var/tmp/kubexms-of-nobody/keys")
    assert "Permission denied" in host.fails(spec)
