"""Adding to a directory of artifacts, checking it, packing it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kubexms.config.artifacts import load_artifacts
from kubexms.errors import ConfigError
from kubexms.services.artifacts import Named, Verdict, add, check, pack
from kubexms.services.artifacts.files import images_in, machine_of, sha256_of
from tests.e2e.cluster.images import Layer, write

ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00\x3e\x00" + bytes(44)


def program(path: Path, machine: int = 0x3E, order: int = 1) -> Path:
    head = bytearray(ELF)
    head[5] = order
    head[18:20] = machine.to_bytes(2, "little" if order == 1 else "big")
    path.write_bytes(bytes(head))
    path.chmod(0o755)
    return path


def image(path: Path, ref: str = "registry.example/tools/pause:3.9") -> Path:
    with Layer(Path("/")) as layer:
        layer.file("pause", path.name.encode())
        write(path, ref, layer.content(), {})
    return path


def archive(path: Path, members: Mapping[str, Any]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def test_a_program_says_its_machine(tmp_path: Path) -> None:
    [kubeadm] = add(tmp_path / "a", [program(tmp_path / "kubeadm")], Named(version="v1.31.0"))
    assert (kubeadm.name, kubeadm.kind, kubeadm.version, kubeadm.arch) == (
        "kubeadm",
        "binary",
        "v1.31.0",
        "amd64",
    )
    place = tmp_path / "a" / kubeadm.file
    assert sha256_of(place) == kubeadm.sha256
    assert place.stat().st_mode & 0o777 == 0o755
    assert load_artifacts(tmp_path / "a").entries == (kubeadm,)


@pytest.mark.parametrize(
    ("machine", "order", "arch"),
    [(0xB7, 1, "arm64"), (0x16, 2, "s390x"), (0x3E, 2, "amd64"), (0x99, 1, None)],
)
def test_machines(tmp_path: Path, machine: int, order: int, arch: str | None) -> None:
    assert machine_of(program(tmp_path / "x", machine, order)) == arch


def test_a_script_is_for_every_machine(tmp_path: Path) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    [tool] = add(tmp_path / "a", [tmp_path / "tool"], Named(version="1"))
    assert tool.arch == "all"


def test_an_image_says_everything(tmp_path: Path) -> None:
    [pause] = add(tmp_path / "a", [image(tmp_path / "x.tar")], Named())
    assert (pause.name, pause.kind, pause.version, pause.arch) == ("pause", "image", "3.9", "amd64")
    assert pause.ref == "registry.example/tools/pause:3.9"
    assert pause.digest == images_in(tmp_path / "x.tar")[0].digest
    findings, extra = check(load_artifacts(tmp_path / "a"))
    assert [finding.verdict for finding in findings] == [Verdict.GOOD]
    assert extra == ()


def test_an_image_without_a_full_name_is_given_one(tmp_path: Path) -> None:
    file = image(tmp_path / "x.tar", "3.9")
    with pytest.raises(ConfigError, match="does not say what its image is called"):
        add(tmp_path / "a", [file], Named())
    [pause] = add(tmp_path / "a", [file], Named(ref="registry.example:5000/pause:3.9"))
    assert (pause.name, pause.version) == ("pause", "3.9")


def test_an_image_for_several_machines(tmp_path: Path) -> None:
    digests = {arch: f"sha256:{arch:0>64}" for arch in ("amd", "arm")}
    index = {
        "manifests": [
            {"digest": digest, "platform": {"architecture": f"{arch}64", "os": "linux"}}
            for arch, digest in digests.items()
        ]
    }
    top = {"digest": f"sha256:{1:064}", "annotations": {"org.opencontainers.image.ref.name": "r.example/a:1"}}
    members: dict[str, Any] = {"index.json": {"manifests": [top]}, f"blobs/sha256/{1:064}": index}
    members[f"blobs/sha256/{'amd':0>64}"] = {}
    [found] = images_in(archive(tmp_path / "one.tar", members))
    assert (found.ref, found.arch) == ("r.example/a:1", "amd64")
    members[f"blobs/sha256/{'arm':0>64}"] = {}
    [found] = images_in(archive(tmp_path / "both.tar", members))
    assert found.arch == "all"


def test_two_versions_live_side_by_side(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    old, new = program(tmp_path / "kubeadm"), program(tmp_path / "new/kubeadm")
    new.write_bytes(new.read_bytes() + b"newer")
    add(tmp_path / "a", [old], Named(version="v1.30.0"))
    add(tmp_path / "a", [new], Named(version="v1.31.0"))
    found = load_artifacts(tmp_path / "a")
    assert [entry.version for entry in found.entries] == ["v1.30.0", "v1.31.0"]
    assert {finding.verdict for finding in check(found)[0]} == {Verdict.GOOD}


def test_adding_again_replaces(tmp_path: Path) -> None:
    file = program(tmp_path / "kubeadm")
    add(tmp_path / "a", [file], Named(version="v1.31.0"))
    file.write_bytes(file.read_bytes() + b"rebuilt")
    [entry] = add(tmp_path / "a", [file], Named(version="v1.31.0"))
    assert load_artifacts(tmp_path / "a").entries == (entry,)
    assert sha256_of(tmp_path / "a" / entry.file) == entry.sha256


def test_a_file_that_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    [entry] = add(tmp_path, [program(tmp_path / "own/kubeadm")], Named(version="1"))
    assert entry.file == "own/kubeadm"
    assert not (tmp_path / "bin").exists()


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("tool", Named(), "which version is"),
        ("tool", Named(kind="image", version="1"), "is no OCI archive of images"),
        ("tool", Named(version="../../x"), "cannot list"),
        ("tool", Named(version="1", arch="a/b"), "cannot list"),
        ("none", Named(version="1"), "No such file"),
        (".", Named(version="1"), "Is a directory"),
    ],
)
def test_what_cannot_be_added_leaves_nothing(tmp_path: Path, name: str, given: Named, message: str) -> None:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    with pytest.raises(ConfigError) as caught:
        add(tmp_path / "a", [tmp_path / name], given)
    assert message in str(caught.value)
    assert not (tmp_path / "a").exists()


def test_one_name_is_not_that_of_two_files(tmp_path: Path) -> None:
    files = [program(tmp_path / name) for name in ("a", "b")]
    with pytest.raises(ConfigError, match="that of one file"):
        add(tmp_path / "d", files, Named(version="1", name="kubeadm"))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"manifest.json": []}, "Docker's own form"),
        ({"index.json": b"{"}, "damaged archive"),
        ({"index.json": []}, "damaged archive"),
        ({"index.json": {}}, "damaged archive"),
        ({"index.json": {"manifests": [{"digest": "sha256:00"}]}}, "damaged archive"),
        ({"index.json": {"manifests": ["x"]}}, "damaged archive"),
    ],
)
def test_archives_of_another_form(tmp_path: Path, members: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        images_in(archive(tmp_path / "x.tar", members))


def test_what_is_not_as_listed(tmp_path: Path) -> None:
    directory = tmp_path / "a"
    added = [*add(directory, [program(tmp_path / name) for name in ("one", "two")], Named(version="1"))]
    added += add(directory, [image(tmp_path / "x.tar")], Named())
    (directory / added[0].file).unlink()
    (directory / added[1].file).write_text("other")
    image(directory / added[2].file, "registry.example/other:1")
    (directory / "README").write_text("hello")
    found = load_artifacts(directory)
    findings, extra = check(found)
    assert [finding.verdict for finding in findings] == [Verdict.MISSING, Verdict.CHANGED, Verdict.CHANGED]
    assert extra == ("README",)
    for finding, field in zip(findings, ("file", "sha256", "sha256"), strict=True):
        assert finding.problem is not None
        assert finding.problem.path.endswith(f".{field}")


def test_an_entry_that_names_another_image(tmp_path: Path) -> None:
    add(tmp_path / "a", [image(tmp_path / "x.tar")], Named())
    manifest = tmp_path / "a/artifacts.yaml"
    manifest.write_text(manifest.read_text().replace("tools/pause", "tools/other"))
    [finding], _ = check(load_artifacts(tmp_path / "a"))
    assert finding.verdict is Verdict.OTHER_IMAGE
    assert finding.problem is not None
    assert "It holds registry.example/tools/pause:3.9" in finding.problem.detail


def test_a_pack_is_the_same_every_time_and_holds_what_is_listed(tmp_path: Path) -> None:
    directory = tmp_path / "a"
    add(directory, [program(tmp_path / "kubeadm")], Named(version="1"))
    (directory / "README").write_text("stays")
    size = pack(load_artifacts(directory), tmp_path / "one.tar")
    (directory / "artifacts.yaml").touch()
    pack(load_artifacts(directory), tmp_path / "two.tar")
    one = (tmp_path / "one.tar").read_bytes()
    assert one == (tmp_path / "two.tar").read_bytes()
    assert size == len(one)
    with tarfile.open(tmp_path / "one.tar") as packed:
        packed.extractall(tmp_path / "there", filter="data")
    assert not (tmp_path / "there/README").exists()
    assert {finding.verdict for finding in check(load_artifacts(tmp_path / "there"))[0]} == {Verdict.GOOD}


def test_nothing_is_packed_that_is_not_as_listed(tmp_path: Path) -> None:
    directory = tmp_path / "a"
    entries = add(directory, [program(tmp_path / name) for name in ("one", "two")], Named(version="1"))
    (directory / entries[0].file).write_text("other")
    with pytest.raises(ConfigError, match="is not the file that was listed"):
        pack(load_artifacts(directory), tmp_path / "out.tar")
    (directory / entries[1].file).unlink()
    with pytest.raises(ConfigError) as caught:
        pack(load_artifacts(directory), tmp_path / "out.tar")
    assert len(caught.value.diagnostics) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "one", "two"]


@pytest.mark.parametrize(("out", "message"), [("one", "is there already"), ("none/out.tar", "cannot write")])
def test_a_pack_that_cannot_be_written(tmp_path: Path, out: str, message: str) -> None:
    add(tmp_path / "a", [program(tmp_path / "one")], Named(version="1"))
    with pytest.raises(ConfigError, match=message):
        pack(load_artifacts(tmp_path / "a"), tmp_path / out)
