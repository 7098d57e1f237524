"""Edits of files that others write too, for real, with every shell."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.step.kinds.block import BlockExecutor, BlockSpec
from kubexms.step.kinds.hosts_entry import HostsEntryExecutor, HostsEntrySpec
from kubexms.step.kinds.line import LineExecutor, LineSpec
from kubexms.step.observation import Presence
from tests.steps.sandbox import Sandbox, Subject, each_shell

TEXT = "# comment\na=1\n\nb=2\n#a=9"
"""Without a newline at its end."""


@each_shell()
class TestLine:
    def host(self, shell: str, tmp_path: Path) -> tuple[Subject, Path]:
        path = tmp_path / "it's a file"
        path.write_text(TEXT)
        path.chmod(0o604)
        return Subject(LineExecutor(), Sandbox(shell, tmp_path)), path

    @pytest.mark.parametrize(
        ("fields", "after"),
        [
            ({"line": "c=3"}, TEXT + "\nc=3\n"),
            ({"line": "b=2"}, TEXT),
            ({"line": "a=2", "regexp": "^#?a="}, "# comment\na=1\n\nb=2\na=2\n"),
            ({"line": "a=2", "regexp": "^a="}, "# comment\na=2\n\nb=2\n#a=9"),
            ({"line": "-v $x `y` \\1 'q' \"", "regexp": "^(a|z)=[0-9]{1,2}$"},
             "# comment\n-v $x `y` \\1 'q' \"\n\nb=2\n#a=9"),
            ({"line": "c", "insert_after": "^#"}, TEXT + "\nc\n"),
            ({"line": "c", "insert_after": "^a"}, "# comment\na=1\nc\n\nb=2\n#a=9"),
            ({"line": "c", "insert_before": "^#"}, "# comment\na=1\n\nb=2\nc\n#a=9"),
            ({"line": "c", "insert_before": "BOF"}, "c\n" + TEXT),
            ({"line": "c", "insert_before": "^nothing"}, TEXT + "\nc\n"),
            ({"line": "c", "insert_after": "EOF"}, TEXT + "\nc\n"),
            ({"line": "b=2", "regexp": "^nothing"}, TEXT),
            ({"line": "#a=9", "state": "absent"}, "# comment\na=1\n\nb=2\n"),
            ({"regexp": "a", "state": "absent"}, "# comment\n\nb=2\n"),
            ({"regexp": "^", "state": "absent"}, ""),
            ({"line": "nothing", "state": "absent"}, TEXT),
        ],
    )  # fmt: skip
    def test_every_form_and_back(
        self, shell: str, tmp_path: Path, fields: dict[str, str], after: str
    ) -> None:
        host, path = self.host(shell, tmp_path)
        spec = LineSpec.model_validate({"path": str(path), **fields})
        prior = host.apply(spec)
        assert path.read_text() == after
        assert path.stat().st_mode & 0o7777 == 0o604
        host.undo(spec, prior)
        assert path.read_text() == TEXT

    @pytest.mark.parametrize(
        ("fields", "after"),
        [
            ({"line": "c"}, b"a\0b\xff\nx=1\nc\n"),
            ({"line": "x=2", "regexp": "^x="}, b"a\0b\xff\nx=2\n"),
            ({"line": "x=1", "state": "absent"}, b"a\0b\xff\n"),
        ],
    )
    def test_bytes_that_are_no_text_stay(
        self, shell: str, tmp_path: Path, fields: dict[str, str], after: bytes
    ) -> None:
        host, path = self.host(shell, tmp_path)
        path.write_bytes(b"a\0b\xff\nx=1\n")
        spec = LineSpec.model_validate({"path": str(path), **fields})
        prior = host.apply(spec)
        assert path.read_bytes() == after
        host.undo(spec, prior)
        assert path.read_bytes() == b"a\0b\xff\nx=1\n"

    def test_what_others_wrote_since_stays(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        changed = LineSpec(path=str(path), line="a=2", regexp="^a=")
        prior = host.apply(changed)
        path.write_text(path.read_text() + "\nof others\n")
        host.undo(changed, prior)
        assert path.read_text() == TEXT + "\nof others\n"

        other = Subject(LineExecutor(), Sandbox(shell, tmp_path / "second"))
        (tmp_path / "second").mkdir()
        added = LineSpec(path=str(path), line="added")
        prior = other.apply(added)
        path.write_text("first\n" + path.read_text())
        other.undo(added, prior)
        assert path.read_text() == "first\n" + TEXT + "\nof others\n"

    def test_a_repair_after_edits_of_others_does_not_undo_them(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        spec = LineSpec(path=str(path), line="a=2", regexp="^a=")
        prior = host.apply(spec)
        path.write_text(path.read_text().replace("a=2", "a=3") + "\nof others\n")
        host.apply(spec)
        host.undo(spec, prior)
        assert path.read_text() == TEXT + "\nof others\n"

    def test_removed_lines_come_back(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        spec = LineSpec(path=str(path), regexp="=", state="absent")
        prior = host.apply(spec)
        path.write_text(path.read_text() + "of others")
        host.undo(spec, prior)
        assert path.read_text() == "# comment\n\nof others\na=1\nb=2\n#a=9\n"

    def test_two_steps_on_one_file(self, shell: str, tmp_path: Path) -> None:
        first, path = self.host(shell, tmp_path)
        (tmp_path / "second").mkdir()
        second = Subject(LineExecutor(), Sandbox(shell, tmp_path / "second"))
        one, two = LineSpec(path=str(path), line="one"), LineSpec(path=str(path), line="two")
        prior_one, prior_two = first.apply(one), second.apply(two)
        second.undo(two, prior_two)
        first.undo(one, prior_one)
        assert path.read_text() == TEXT

    def test_lines_that_look_alike_are_told_apart_in_one_look(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        there = ["", "b", "a:b", "1:b", "a*", "[ab]", "a\\b", "-n", " a", "a ", "$(a)", "a", "é", "#a=9"]
        path.write_text("\n".join([*there, "", "a", "a", "last"]))
        missing = ["a.", "c", ":b", "b:", "*", "\\", "\\b", "ab", "b\\", "?"]
        specs = [
            LineSpec(path=str(place), line=line, state=state)
            for state in ("present", "absent")
            for line in (*there, *missing, "last")
            for place in (path, tmp_path / "nothing", tmp_path)
        ]
        seen = host.observe_all(specs)
        assert seen == [host.observe(spec) for spec in specs]
        counts = {"": 2, "a": 3}
        for spec, observation in zip(specs, seen, strict=True):
            assert spec.line is not None
            if spec.path == str(tmp_path):
                assert observation.presence is Presence.UNKNOWN
            elif spec.path == str(path) and spec.line not in missing:
                times = counts.get(spec.line, 1) if spec.state == "absent" else 1
                assert observation.attributes["line"] == "\n".join([spec.line] * times)
            else:
                assert observation.presence is Presence.ABSENT

    def test_missing_files_and_links(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        assert "create: true" in host.fails(LineSpec(path=str(tmp_path / "new"), line="x"))
        link = tmp_path / "link"
        link.symlink_to("new")
        spec = LineSpec(path=str(link), line="x", create=True)
        prior = host.apply(spec)
        assert prior.presence is Presence.ABSENT
        assert link.is_symlink()
        assert (tmp_path / "new").read_text() == "x\n"
        host.undo(spec, prior)
        assert not (tmp_path / "new").exists()
        host.apply(LineSpec(path=str(tmp_path / "nowhere"), line="x", state="absent"))
        assert host.observe(LineSpec(path=str(tmp_path), line="x")).presence is Presence.UNKNOWN
        assert host.observe(LineSpec(path=str(path / "below"), line="x")).presence is Presence.ABSENT


@each_shell()
class TestBlock:
    def host(self, shell: str, tmp_path: Path) -> tuple[Subject, Path]:
        path = tmp_path / "it's a file"
        path.write_text(TEXT)
        path.chmod(0o604)
        return Subject(BlockExecutor(), Sandbox(shell, tmp_path)), path

    def test_new_changed_and_back(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        spec = BlockSpec(path=str(path), block="x $y\n\n-n `z` \\n", marker="; {mark} it's $mine")
        prior = host.apply(spec)
        mine = "; BEGIN it's $mine\nx $y\n\n-n `z` \\n\n; END it's $mine\n"
        assert path.read_text() == TEXT + "\n" + mine
        assert path.stat().st_mode & 0o7777 == 0o604
        other = spec.model_copy(update={"block": "other\n"})
        before = host.apply(other)
        assert before.attributes == {"block": "x $y\n\n-n `z` \\n"}
        assert path.read_text() == TEXT + "\n; BEGIN it's $mine\nother\n; END it's $mine\n"
        host.undo(other, prior)
        assert path.read_text() == TEXT

    @pytest.mark.parametrize(
        ("fields", "start"),
        [
            ({"insert_before": "BOF"}, "# BEGIN"),
            ({"insert_after": "^a"}, "# comment\na=1\n# BEGIN"),
            ({"insert_before": "^#a"}, "# comment\na=1\n\nb=2\n# BEGIN"),
            ({"insert_after": "^#a"}, TEXT + "\n# BEGIN"),
            ({"insert_before": "nothing"}, TEXT + "\n# BEGIN"),
        ],
    )
    def test_places(self, shell: str, tmp_path: Path, fields: dict[str, str], start: str) -> None:
        host, path = self.host(shell, tmp_path)
        spec = BlockSpec.model_validate({"path": str(path), "block": "", **fields})
        prior = host.apply(spec)
        assert path.read_text().startswith(start)
        host.undo(spec, prior)
        assert path.read_text() == TEXT

    def test_others_and_double_blocks(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        spec = BlockSpec(path=str(path), block="x")
        prior = host.apply(spec)
        path.write_text(path.read_text() * 2 + "of others\n")
        host.apply(spec)
        assert path.read_text().count("BEGIN") == 1
        host.undo(spec, prior)
        assert path.read_text() == TEXT + "\n" + TEXT + "\nof others\n"

    def test_absent_and_back(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        path.write_text("a\n# BEGIN managed by kubexms\nx\ny\n# END managed by kubexms\nb\n")
        before = path.read_text()
        spec = BlockSpec(path=str(path), state="absent")
        prior = host.apply(spec)
        assert path.read_text() == "a\nb\n"
        host.undo(spec, prior)
        assert path.read_text() == before

    def test_half_a_block(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        path.write_text("# BEGIN managed by kubexms\nx\n")
        spec = BlockSpec(path=str(path), block="y")
        assert "by hand" in host.observe(spec).reason
        assert "by hand" in host.fails(spec)
        assert path.read_text() == "# BEGIN managed by kubexms\nx\n"

    def test_created(self, shell: str, tmp_path: Path) -> None:
        host, _ = self.host(shell, tmp_path)
        spec = BlockSpec(path=str(tmp_path / "new"), block="x", create=True)
        prior = host.apply(spec)
        (tmp_path / "new").write_text("of others\n" + (tmp_path / "new").read_text())
        host.undo(spec, prior)
        assert (tmp_path / "new").read_text() == "of others\n"


HOSTS = """\
127.0.0.1\tlocalhost # keep
127.0.1.1 n1.example n1 # of Debian
::1 localhost n1
# 10.0.0.1 n1
10.0.0.1 old
10.0.0.2 n2
10.0.0.1   old2 # why
"""


@each_shell()
class TestHostsEntry:
    def host(self, shell: str, tmp_path: Path) -> tuple[Subject, Path]:
        path = tmp_path / "hosts"
        path.write_text(HOSTS)
        return Subject(HostsEntryExecutor(), Sandbox(shell, tmp_path)), path

    def test_every_form_and_back(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        spec = HostsEntrySpec(ip="10.0.0.1", names=("n1.example", "n1"), path=str(path))
        prior = host.apply(spec)
        assert prior.attributes == {
            "names": ["old", "old2"],
            "conflicts": ["127.0.1.1 n1.example", "127.0.1.1 n1"],
        }
        assert path.read_text() == (
            "127.0.0.1\tlocalhost # keep\n::1 localhost n1\n# 10.0.0.1 n1\n"
            "10.0.0.1 n1.example n1\n10.0.0.2 n2\n"
        )
        host.undo(spec, prior)
        assert path.read_text() == HOSTS

    def test_among_edits_of_others(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        spec = HostsEntrySpec(ip="10.0.0.9", names=("n1",), path=str(path))
        prior = host.apply(spec)
        assert "127.0.1.1 n1.example # of Debian\n" in path.read_text()
        path.write_text(path.read_text() + "10.0.0.7 of-others\n")
        host.undo(spec, prior)
        assert "10.0.0.9" not in path.read_text()
        assert path.read_text().endswith("10.0.0.7 of-others\n127.0.1.1\tn1\n")

    def test_a_line_comes_back_with_its_blanks_or_tabs(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        path.write_text("127.0.0.1\tlocalhost\n 10.0.0.1  old old2 # of ours\n10.0.0.2\tn2\n")
        before = path.read_text()
        spec = HostsEntrySpec(ip="10.0.0.1", names=("new",), path=str(path))
        prior = host.apply(spec)
        assert " 10.0.0.1  new # of ours\n" in path.read_text()
        # somebody else has written meanwhile, so that the file is not put back as a whole
        path.write_text(path.read_text() + "10.0.0.7 of-others\n")
        host.undo(spec, prior)
        assert path.read_text() == before + "10.0.0.7 of-others\n"

    def test_not_exclusive_and_absent(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        (tmp_path / "first").mkdir()
        first = Subject(HostsEntryExecutor(), Sandbox(shell, tmp_path / "first"))
        first.apply(HostsEntrySpec(ip="10.0.0.9", names=("n1",), path=str(path), exclusive=False))
        assert path.read_text() == HOSTS + "10.0.0.9\tn1\n"
        gone = HostsEntrySpec(ip="10.0.0.1", state="absent", path=str(path))
        prior = host.apply(gone)
        assert "old" not in path.read_text()
        host.undo(gone, prior)
        assert path.read_text() == HOSTS + "10.0.0.9\tn1\n"

    def test_a_name_in_use_stays_until_it_is_not(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        conf = tmp_path / "kubelet.conf"
        conf.write_text("clusters:\n- cluster:\n    server: https://old2:6443\n")
        spec = HostsEntrySpec(ip="10.0.0.1", names=("new",), path=str(path), keep_named_in=str(conf))
        assert host.observe(spec).attributes["names"] == ["old"]
        prior = host.apply(spec)
        assert "10.0.0.1 new old2\n" in path.read_text()
        assert host.observe(spec).attributes == {"names": ["new"], "conflicts": []}
        conf.write_text("clusters:\n- cluster:\n    server: https://new:6443\n")
        assert host.observe(spec).attributes["names"] == ["new", "old2"]
        host.apply(spec)
        assert "10.0.0.1 new\n" in path.read_text()
        host.undo(spec, prior)
        assert path.read_text() == HOSTS

    def test_together_and_alone(self, shell: str, tmp_path: Path) -> None:
        host, path = self.host(shell, tmp_path)
        other = tmp_path / "other"
        (tmp_path / "conf").write_text("    server: https://n2:6443\n")
        keeping = HostsEntrySpec(
            ip="10.0.0.2", names=("n3",), path=str(path), keep_named_in=str(tmp_path / "conf")
        )
        specs = [keeping] + [
            HostsEntrySpec(ip=f"10.0.0.{number}", names=("n1", "n2"), path=str(place), exclusive=number != 2)
            for number in range(1, 4)
            for place in (path, other, tmp_path)
        ]
        assert host.observe_all(specs) == [host.observe(spec) for spec in specs]
        host.apply(specs[2])
        assert other.read_text() == "10.0.0.1\tn1 n2\n"
