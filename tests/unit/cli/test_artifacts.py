"""`kubexms artifacts …` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.fakes import FakeServices, run

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def kept(tmp_path: Path, capsys: Capture) -> Path:
    (tmp_path / "tool").write_text("#!/bin/sh\n")
    (tmp_path / "other").write_text("#!/bin/sh\nexit 1\n")
    files = [str(tmp_path / name) for name in ("tool", "other")]
    assert run(FakeServices(), "artifacts", "add", str(tmp_path / "a"), *files, "--version", "1.0") == 0
    out = capsys.readouterr().out
    assert [line.split()[:4] for line in out.splitlines()[1:]] == [
        ["tool", "1.0", "all", "binary"],
        ["other", "1.0", "all", "binary"],
    ]
    return tmp_path / "a"


def test_list(kept: Path, capsys: Capture) -> None:
    assert run(FakeServices(), "artifacts", "list", str(kept)) == 0
    head, first, _ = capsys.readouterr().out.splitlines()
    assert head.split() == ["NAME", "VERSION", "ARCH", "KIND", "SHA256", "FILE"]
    assert first.split()[-1] == "bin/1.0/all/tool"
    assert run(FakeServices(), "-C", str(kept), "artifacts", "list", ".", "--json") == 0
    [first_entry, _] = json.loads(capsys.readouterr().out)
    assert first_entry["name"] == "tool"
    assert first_entry["arch"] == "all"


def test_verify_says_that_all_is_well(kept: Path, capsys: Capture) -> None:
    assert run(FakeServices(), "artifacts", "verify", str(kept)) == 0
    said = capsys.readouterr()
    assert said.err == ""
    assert said.out == (
        "FILE               NAME   VERSION  SIZE\n"
        "bin/1.0/all/tool   tool   1.0      10 B  good\n"
        "bin/1.0/all/other  other  1.0      17 B  good\n"
        "\n2 artifacts good, 27 B.\n"
    )


def test_verify_names_what_is_wrong(kept: Path, capsys: Capture) -> None:
    (kept / "bin/1.0/all/tool").write_text("#!/bin/bash\n")
    (kept / "bin/1.0/all/other").unlink()
    (kept / "notes").write_text("x")
    assert run(FakeServices(), "artifacts", "verify", str(kept)) == 1
    said = capsys.readouterr()
    assert "1 file that the manifest does not name:\n  notes\n" in said.out
    assert "2 of 2 artifacts not as listed." in said.out
    assert "is not the file that was listed" in said.err
    assert "artifacts.yaml:11:13 (spec.entries[0].sha256)" in said.err
    assert run(FakeServices(), "artifacts", "verify", str(kept), "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert found["valid"] is False
    assert [each["verdict"] for each in found["artifacts"]] == ["changed", "missing"]
    assert found["unlisted"] == ["notes"]


def test_pack(kept: Path, tmp_path: Path, capsys: Capture) -> None:
    assert run(FakeServices(), "artifacts", "pack", str(kept), "--out", str(tmp_path / "a.tar")) == 0
    assert "a.tar: 10 KiB." in capsys.readouterr().out
    assert run(FakeServices(), "artifacts", "pack", str(kept), "--out", str(tmp_path / "a.tar")) == 1
    assert "is there already" in capsys.readouterr().err


def test_what_is_no_directory_of_artifacts(tmp_path: Path, capsys: Capture) -> None:
    for command in (["list"], ["verify"], ["pack", "--out", "x"]):
        assert run(FakeServices(), "artifacts", command[0], str(tmp_path), *command[1:]) == 1
        assert "`kubexms artifacts add` begins one" in capsys.readouterr().err
