"""Archives of every format, unpacked for real with every shell."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from kubexms.spec.asset import Asset
from kubexms.step.kinds.archive import ArchiveExecutor, ArchiveSpec
from kubexms.step.observation import Presence
from tests.steps.sandbox import Sandbox, Subject, each_shell

FILES = {"top/bin/it's x": b"one", "top/bin/y": b"two", "top/README": b""}
COMPRESSORS = {"gz": "gzip", "xz": "xz", "zst": "zstd", "bz2": "bzip2"}


def make_tar(path: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> None:
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.uid, member.uname = len(data), 0o755, 1234, "somebody"
            tar.addfile(member, io.BytesIO(data))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)


def make(path: Path, kind: str, files: dict[str, bytes]) -> None:
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return
    make_tar(path, files)
    if kind != "tar":
        packed = subprocess.run([COMPRESSORS[kind], "-c", path], capture_output=True, check=True)
        path.write_bytes(packed.stdout)


def tree(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def host(shell: str, tmp_path: Path, name: str = "step") -> Subject:
    root = tmp_path / f"{name}-root"
    root.mkdir()
    environment = {"KUBEXMS_HOST_STATE": str(tmp_path / "state")}
    return Subject(ArchiveExecutor(), Sandbox(shell, root, environment))


@each_shell()
class TestArchive:
    @pytest.mark.parametrize(
        ("kind", "strip"),
        [
            ("tar", 0),
            ("tar", 1),
            ("tar", 2),
            ("zip", 0),
            ("zip", 2),
            ("gz", 1),
            ("xz", 1),
            ("zst", 1),
            ("bz2", 1),
        ],
    )
    def test_every_format(self, shell: str, tmp_path: Path, kind: str, strip: int) -> None:
        if kind in COMPRESSORS and not shutil.which(COMPRESSORS[kind]):
            pytest.skip(f"{COMPRESSORS[kind]} is not installed")
        archive, dest = tmp_path / "a", tmp_path / "dest 'x'"
        make(archive, kind, FILES)
        subject = host(shell, tmp_path)
        spec = ArchiveSpec(path=str(archive), dest=str(dest), strip=strip)
        if kind == "zst" and shell == "busybox":
            assert "zstd" in subject.fails(spec)  # which busybox has not
            assert tree(dest) == {}
            return
        prior = subject.apply(spec)
        wanted = {
            "/".join(name.split("/")[strip:]): data
            for name, data in FILES.items()
            if len(name.split("/")) > strip
        }
        assert tree(dest) == wanted
        assert {path.stat().st_uid for path in dest.rglob("*")} == {os.getuid()}
        subject.undo(spec, prior)
        assert not dest.exists()
        assert not (tmp_path / "state/archives").exists()

    def test_among_files_of_others(self, shell: str, tmp_path: Path) -> None:
        archive, dest = tmp_path / "a.tar", tmp_path / "dest"
        (dest / "bin").mkdir(parents=True)
        for name, text in (("bin/y", "of others"), ("bin/z", "z")):
            (dest / name).write_text(text)
        (dest / "bin/y").chmod(0o640)
        (dest / "README").symlink_to("bin/z")
        make_tar(archive, FILES, {"top/current": "bin/y"})
        subject = host(shell, tmp_path)
        spec = ArchiveSpec(path=str(archive), dest=str(dest), strip=1)
        prior = subject.apply(spec)
        assert tree(dest) == {
            "bin/it's x": b"one", "bin/y": b"two", "bin/z": b"z", "README": b"", "current": b"two",
        }  # fmt: skip
        assert not (dest / "README").is_symlink()
        subject.undo(spec, prior)
        assert tree(dest) == {"bin/y": b"of others", "bin/z": b"z", "README": b"z"}
        assert (dest / "README").is_symlink()
        assert (dest / "bin/y").stat().st_mode & 0o777 == 0o640

    def test_drift_is_seen_and_mended(self, shell: str, tmp_path: Path) -> None:
        archive, dest = tmp_path / "a.tar", tmp_path / "dest"
        make_tar(archive, FILES, {"top/l": "bin"})
        subject = host(shell, tmp_path)
        spec = ArchiveSpec(path=str(archive), dest=str(dest))
        prior = subject.apply(spec)
        (dest / "top/bin/y").write_text("2")
        (dest / "top/bin/it's x").unlink()
        (dest / "top/l").unlink()
        (dest / "top/l").symlink_to("elsewhere")
        damaged = subject.observe(spec).attributes["damaged"]
        assert isinstance(damaged, list)
        assert set(damaged) == {"top/bin/it's x", "top/bin/y", "top/l"}
        subject.apply(spec)
        assert (dest / "top/bin/y").read_text() == "two"
        archive.unlink()
        assert subject.observe(spec).attributes["current"] is True
        subject.undo(spec, prior)
        assert not dest.exists()

    def test_a_new_version_replaces_the_old_one(self, shell: str, tmp_path: Path) -> None:
        dest = tmp_path / "dest"
        subject = host(shell, tmp_path)
        first, second, third = tmp_path / "v1.tar", tmp_path / "v2.tar", tmp_path / "v3.tar"
        make_tar(first, {"a": b"1", "old/b": b"1", "kept/x": b"1"})
        make_tar(second, {"a": b"2", "new/c": b"2", "kept/x": b"2"})
        make_tar(third, {"a": b"3"})
        prior = subject.apply(ArchiveSpec(path=str(first), dest=str(dest)))
        shutil.copy(second, first)
        assert subject.observe(ArchiveSpec(path=str(first), dest=str(dest))).attributes["current"] is False
        subject.apply(ArchiveSpec(path=str(first), dest=str(dest)))
        assert tree(dest) == {"a": b"2", "new/c": b"2", "kept/x": b"2"}
        spec = ArchiveSpec(path=str(third), dest=str(dest))
        assert subject.observe(spec).presence is Presence.ABSENT
        subject.apply(spec)
        assert tree(dest) == {"a": b"3"}
        assert len(list((tmp_path / "state/archives").iterdir())) == 1
        subject.undo(spec, prior)
        assert not dest.exists()

    def test_two_archives_in_one_directory(self, shell: str, tmp_path: Path) -> None:
        dest = tmp_path / "dest"
        one, two = tmp_path / "1.tar", tmp_path / "2.tar"
        make_tar(one, {"bin/a": b"1"})
        make_tar(two, {"bin/b": b"2"})
        first, second = host(shell, tmp_path, "first"), host(shell, tmp_path, "second")
        spec, other = ArchiveSpec(path=str(one), dest=str(dest)), ArchiveSpec(path=str(two), dest=str(dest))
        prior, prior_other = first.apply(spec), second.apply(other)
        assert first.observe_all([spec, other]) == [first.observe(spec), second.observe(other)]
        second.undo(other, prior_other)
        assert tree(dest) == {"bin/a": b"1"}
        first.undo(spec, prior)
        assert not dest.exists()

    def test_from_the_controller_with_an_owner(self, shell: str, tmp_path: Path) -> None:
        archive, dest = tmp_path / "a.tar", tmp_path / "dest"
        make_tar(archive, FILES)
        digest = hashlib.sha256(archive.read_bytes()).hexdigest()
        asset = Asset(path=str(archive), sha256=digest, size=archive.stat().st_size)
        subject = host(shell, tmp_path)
        subject.apply(ArchiveSpec(source=asset, dest=str(dest), owner="1234", group="0"))
        assert {path.stat().st_uid for path in dest.rglob("*")} == {1234}

    def test_what_cannot_be_unpacked(self, shell: str, tmp_path: Path) -> None:
        subject = host(shell, tmp_path)
        dest = tmp_path / "dest"
        broken = tmp_path / "broken.tgz"
        make(broken, "gz", {"a": os.urandom(5000)})
        broken.write_bytes(broken.read_bytes()[:3000])
        nothing, text = tmp_path / "nothing", tmp_path / "text"
        text.write_text("not an archive\n" * 100)
        names = tmp_path / "names.tar"
        make_tar(names, {"a\nb": b"1"})
        wrong = {
            broken: "could not be unpacked",
            text: "could not be unpacked",
            nothing: "does not exist",
            names: "names with line ends",
        }
        for path, message in wrong.items():
            assert message in subject.fails(ArchiveSpec(path=str(path), dest=str(dest)))
            assert not dest.exists()
        make_tar(names, FILES)
        pinned = ArchiveSpec(path=str(names), dest=str(dest), sha256="0" * 64)
        assert "instead of 000" in subject.fails(pinned)
        no_parent = ArchiveSpec(path=str(names), dest=str(tmp_path / "no/dest"))
        assert "is not a directory" in subject.fails(no_parent)
