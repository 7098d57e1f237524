"""Files, directories and links, for real, with every shell."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubexms.spec.asset import Asset
from kubexms.step.contract import ActionKind, Part
from kubexms.step.kinds.directory import DirectoryExecutor, DirectorySpec
from kubexms.step.kinds.file import FileExecutor, FileSpec
from kubexms.step.kinds.symlink import SymlinkExecutor, SymlinkSpec
from kubexms.step.observation import Presence
from tests.steps.sandbox import Sandbox, Subject, each_shell

CONTENT = "línea\nwith 'quotes' $HOME `id` \\ and no newline at the end"


def subject(shell: str, tmp_path: Path, executor: Any) -> Subject:
    return Subject(executor, Sandbox(shell, tmp_path))


@each_shell()
class TestFile:
    def test_new_file_and_back(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        path = tmp_path / 'it\'s a "file"\nwith $x'
        spec = FileSpec(path=str(path), content=CONTENT, mode="0640")
        prior = host.apply(spec)
        assert path.read_text() == CONTENT
        assert path.stat().st_mode & 0o7777 == 0o640
        host.undo(spec, prior)
        assert not path.exists()

    def test_changed_file_and_back(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        path = tmp_path / "a"
        path.write_bytes(b"old\0\xff\n")
        path.chmod(0o4711)
        spec = FileSpec(path=str(path), content=CONTENT)
        prior = host.apply(spec)
        assert path.read_text() == CONTENT
        assert path.stat().st_mode & 0o7777 == 0o4711
        host.undo(spec, prior)
        assert path.read_bytes() == b"old\0\xff\n"
        assert path.stat().st_mode & 0o7777 == 0o4711

    def test_only_the_mode(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        path = tmp_path / "a"
        path.write_text("kept")
        path.chmod(0o644)
        spec = FileSpec(path=str(path), mode="600", owner="0", group="0")
        prior = host.apply(spec)
        assert (path.read_text(), path.stat().st_mode & 0o7777) == ("kept", 0o600)
        host.undo(spec, prior)
        assert path.stat().st_mode & 0o7777 == 0o644

    def test_symlinks_are_replaced_and_put_back(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        (tmp_path / "d").mkdir()
        for name, target in (("broken", "nowhere"), ("to-directory", "d")):
            link = tmp_path / name
            link.symlink_to(target)
            spec = FileSpec(path=str(link), content="x")
            prior = host.apply(spec)
            assert not link.is_symlink()
            assert link.read_text() == "x"
            host.undo(spec, prior)
            assert str(link.readlink()) == target
        assert not list((tmp_path / "d").iterdir())

    def test_what_is_in_the_way(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        (tmp_path / "d").mkdir()
        assert "is a directory" in host.fails(FileSpec(path=str(tmp_path / "d"), content="x"))
        assert "is not a directory" in host.fails(FileSpec(path=str(tmp_path / "no/d"), content="x"))
        os.mkfifo(tmp_path / "pipe")
        assert "is there, and is not a file" in host.fails(FileSpec(path=str(tmp_path / "pipe"), content="x"))
        assert (tmp_path / "pipe").is_fifo()
        host.apply(FileSpec(path=str(tmp_path / "pipe"), content="x", force=True))
        host.apply(FileSpec(path=str(tmp_path / "d"), content="x", force=True))

    def test_a_refused_file_is_not_put_in_place(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        path = tmp_path / "a b"
        path.write_text("old")
        spec = FileSpec(path=str(path), content="bad", validate_with="echo line 3 is wrong; grep -q good %s")
        error = host.fails(spec)
        assert "line 3 is wrong" in error
        assert "exit status 1" in error
        assert path.read_text() == "old"
        host.apply(spec.model_copy(update={"content": "good"}))

    def test_assets_and_text_before(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        source = tmp_path / "source"
        source.write_bytes(bytes(range(256)) * 1000)
        path = tmp_path / "copy"
        path.write_text("old\n\n")
        path.chmod(0o644)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        spec = FileSpec(path=str(path), source=Asset(path=str(source), sha256=digest, size=256000))
        assert "content" not in host.observe(spec).extra
        assert host.observe(FileSpec(path=str(path), content="x")).extra["content"] == "old\n\n"
        path.chmod(0o600)
        assert "content" not in host.observe(FileSpec(path=str(path), content="x")).extra
        assert (
            host.observe(FileSpec(path=str(path), content="x", show_diff=True)).extra["content"] == "old\n\n"
        )
        host.apply(spec)
        assert path.read_bytes() == source.read_bytes()

    def test_absent(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        path = tmp_path / "a"
        path.write_text("old")
        path.chmod(0o604)
        spec = FileSpec(path=str(path), state="absent")
        prior = host.apply(spec)
        assert not path.exists()
        host.undo(spec, prior)
        assert path.read_text() == "old"
        assert path.stat().st_mode & 0o7777 == 0o604

    def test_ensured_to_exist(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        spec = FileSpec(path=str(tmp_path / "a"))
        prior = host.apply(spec)
        assert prior.presence is Presence.ABSENT
        assert (tmp_path / "a").read_text() == ""

    def test_a_killed_run_leaves_nothing_behind(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        spec = FileSpec(path=str(tmp_path / "a"), content="x")
        action = host.executor.action(spec, host.request(spec))
        killed = action.script.replace("commit\n", "kill -KILL $$\n")
        assert killed != action.script
        assert host.sandbox.act(replace(action, script=killed)).status == -9
        assert not (tmp_path / "a").exists()
        assert list(tmp_path.glob(".kubexms.*"))
        host.apply(spec)


@each_shell()
class TestFilesTogether:
    def test_new_and_changed(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        (tmp_path / "d").mkdir()
        (tmp_path / "old").write_text("old")
        (tmp_path / "old").chmod(0o600)
        specs = [
            FileSpec(path=str(tmp_path / 'it\'s "new"\n$x'), content=CONTENT, mode="0640"),
            FileSpec(path=str(tmp_path / "old"), content="\0binary"),
            FileSpec(path=str(tmp_path / "d/empty")),
            FileSpec(path=str(tmp_path / "d/last"), content="last"),
        ]
        outcome = host.member(0).sandbox.act(host.merged(specs))
        assert (outcome.status, outcome.stderr) == (0, b"")
        assert [host.request(spec).action for spec in specs] == [ActionKind.NO_OP] * 4
        assert (tmp_path / "old").stat().st_mode & 0o7777 == 0o600
        host.leftovers()

    def test_nothing_is_put_in_place_unless_all_are_written(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        specs = [FileSpec(path=str(tmp_path / name), content="x") for name in ("a", "no/b", "c")]
        outcome = host.member(0).sandbox.act(host.merged(specs))
        assert outcome.status == 1
        assert b"no is not a directory: declare it in a step before this one" in outcome.stderr
        assert not (tmp_path / "a").exists()
        host.leftovers()

    def test_files_that_cannot_share(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, FileExecutor())
        path = tmp_path / "a"
        once = FileSpec(path=str(path), content="x")
        request = host.request(once)
        part = Part(once, request, host.executor.action(once, request), "s")
        assert host.executor.merge([part, part]) is None
        path.write_text("x")
        mode = FileSpec(path=str(path), content="x", mode="0600")
        request = host.request(mode)
        alone = Part(mode, request, host.executor.action(mode, request), "s")
        assert host.executor.merge([alone, replace(part, spec=FileSpec(path="/b", content="x"))]) is None
        assert host.executor.shares(FileSpec(path="/b", content="x" * 20_000)) is None
        assert host.executor.shares(FileSpec(path="/b", state="absent")) is None


def test_names_that_are_not_utf8(tmp_path: Path) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/a\xff\xfeb")
    files = Subject(FileExecutor(), Sandbox("dash", tmp_path))
    spec = FileSpec(path=path, content="x")
    prior = files.apply(spec)
    assert Path(path).read_text() == "x"
    files.undo(spec, prior)
    Subject(DirectoryExecutor(), files.sandbox).apply(DirectorySpec(path=path))
    assert Path(path).is_dir()


@each_shell()
class TestDirectory:
    def test_with_parents_and_back(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, DirectoryExecutor())
        path = tmp_path / "a b/'c'/d\ne"
        spec = DirectorySpec(path=str(path), mode="0750", owner="root")
        prior = host.apply(spec)
        assert path.stat().st_mode & 0o7777 == 0o750
        assert path.parent.stat().st_mode & 0o7777 == 0o755
        host.undo(spec, prior)
        assert not (tmp_path / "a b").exists()

    def test_parents_of_others_stay(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, DirectoryExecutor())
        (tmp_path / "a").mkdir()
        spec = DirectorySpec(path=str(tmp_path / "a/b/c"))
        prior = host.apply(spec)
        (tmp_path / "a/b/other").touch()
        host.undo(spec, prior)
        assert list((tmp_path / "a/b").iterdir()) == [tmp_path / "a/b/other"]

    def test_what_others_put_there_stops_the_removal(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, DirectoryExecutor())
        path = tmp_path / "a"
        spec = DirectorySpec(path=str(path))
        prior = host.apply(spec)
        (path / "data").touch()
        action = host.executor.undo(spec, prior)
        assert action is not None
        outcome = host.sandbox.act(action)
        assert outcome.status != 0
        assert b"is not removed" in outcome.stderr
        host.undo(DirectorySpec(path=str(path), force=True), prior)
        assert not path.exists()

    def test_mode_and_back(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, DirectoryExecutor())
        path = tmp_path / "a"
        path.mkdir()
        path.chmod(0o2775)
        spec = DirectorySpec(path=str(path), mode="1777")
        prior = host.apply(spec)
        assert path.stat().st_mode & 0o7777 == 0o1777
        host.undo(spec, prior)
        assert path.stat().st_mode & 0o7777 == 0o2775

    def test_links_and_files(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, DirectoryExecutor())
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        host.apply(DirectorySpec(path=str(tmp_path / "link"), mode="0700"))
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real").stat().st_mode & 0o7777 == 0o700
        (tmp_path / "f").touch()
        assert "in the way" in host.fails(DirectorySpec(path=str(tmp_path / "f/g")))
        host.apply(DirectorySpec(path=str(tmp_path / "link"), state="absent"))
        assert (tmp_path / "real").exists()

    def test_absent(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, DirectoryExecutor())
        path = tmp_path / "a"
        path.mkdir(mode=0o711)
        spec = DirectorySpec(path=str(path), state="absent")
        prior = host.apply(spec)
        assert not path.exists()
        host.undo(spec, prior)
        assert path.stat().st_mode & 0o7777 == 0o711


@each_shell()
class TestSymlink:
    def test_new_changed_and_back(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, SymlinkExecutor())
        (tmp_path / "dir").mkdir()
        link = tmp_path / "li nk"
        spec = SymlinkSpec(path=str(link), target="dir")
        prior = host.apply(spec)
        other = SymlinkSpec(path=str(link), target="-it's\na $x")
        before = host.apply(other)
        assert str(link.readlink()) == "-it's\na $x"
        assert not list((tmp_path / "dir").iterdir())
        host.undo(other, before)
        assert str(link.readlink()) == "dir"
        host.undo(spec, prior)
        assert not link.is_symlink()

    def test_a_file_in_the_way(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, SymlinkExecutor())
        path = tmp_path / "a"
        path.write_text("data")
        path.chmod(0o640)
        assert "force: true" in host.fails(SymlinkSpec(path=str(path), target="x"))
        spec = SymlinkSpec(path=str(path), target="x", force=True)
        prior = host.apply(spec)
        host.undo(spec, prior)
        assert path.read_text() == "data"
        assert path.stat().st_mode & 0o7777 == 0o640

    def test_absent(self, shell: str, tmp_path: Path) -> None:
        host = subject(shell, tmp_path, SymlinkExecutor())
        (tmp_path / "a").symlink_to("nowhere")
        spec = SymlinkSpec(path=str(tmp_path / "a"), state="absent")
        prior = host.apply(spec)
        assert not (tmp_path / "a").is_symlink()
        host.undo(spec, prior)
        assert str((tmp_path / "a").readlink()) == "nowhere"
