"""Values, texts and what may not reach a terminal."""

from __future__ import annotations

import re

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from pydantic import JsonValue

from kubexms.views.escaping import printable, printable_lines, quoted
from kubexms.views.linediff import line_diff
from kubexms.views.paint import plain
from kubexms.views.tables import columns, table_lines
from kubexms.views.values import ABSENT, Phrase, Side, ValueWriter, inline

WRITER = ValueWriter(plain)
UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
VALUES: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(st.text(st.characters(), max_size=60))
def test_nothing_that_a_terminal_obeys_gets_through(text: str) -> None:
    assert not UNSAFE.search(printable(text))
    assert not UNSAFE.search(quoted(text))
    assert all(not UNSAFE.search(line) for line in printable_lines(text))


@given(VALUES | st.just(ABSENT), VALUES | st.just(ABSENT))
def test_any_two_values_can_be_shown(before: Side, after: Side) -> None:
    assume(not (before is ABSENT and after is ABSENT))
    lines = list(WRITER.attributes([("name", before, after)], 8))
    assert lines
    assert all(not UNSAFE.search(line) for line in lines)
    assert all(line.startswith("      ") for line in lines if line)


@given(st.text("ab\n\r", max_size=40), st.text("ab\n\r", max_size=40))
@example("a\n", "a\nb\r")
def test_a_line_diff_holds_both_texts(before: str, after: str) -> None:
    assume(printable_lines(before) != printable_lines(after))  # equal lines are counted, not shown
    lines = line_diff(before, after, context=10_000, limit=10_000)
    assert [line.text for line in lines if line.symbol in "- "] == printable_lines(before)
    assert [line.text for line in lines if line.symbol in "+ "] == printable_lines(after)


@given(st.text("ab\n\r", max_size=40), st.text("ab\n\r", max_size=40))
@example("a\r\nb\n", "a\nb\r\n")
def test_texts_that_differ_never_look_equal(before: str, after: str) -> None:
    lines = line_diff(before, after)
    assert (before == after) == all(line.symbol == " " or "unchanged" in line.text for line in lines)


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("0644", "0600", ['      ~ a = "0644" -> "0600"']),
        (ABSENT, True, ["      + a = true"]),
        (1, ABSENT, ["      - a = 1 -> null"]),
        (None, "x", ['      ~ a = null -> "x"']),
        (ABSENT, Phrase("(known after apply)"), ["      + a = (known after apply)"]),
        (Phrase(""), Phrase("(sensitive value)"), ["      ~ a = (sensitive value)"]),
        (ABSENT, [], ["      + a = []"]),
        (ABSENT, ["x", "y"], ['      + a = ["x", "y"]']),
        (["x"], ["x", "y"], ["      ~ a = [", '            "x",', '          + "y",', "        ]"]),
        (
            {"k": "1", "same": True},
            {"k": "2", "same": True},
            [
                "      ~ a = {",
                '          ~ "k" = "1" -> "2"',
                "            # (1 unchanged element hidden)",
                "        }",
            ],
        ),
        (
            "a\nb\n",
            "a\nc\n",
            ["      ~ a = <<-EOT", "            a", "          - b", "          + c", "        EOT"],
        ),
        (1, 1.5, ["      ~ a = 1 -> 1.5"]),
        (1, True, ["      ~ a = 1 -> true"]),
        ("a" * 64, "b" * 64, ['      ~ a = "aaaaaaaaaaaa…" -> "bbbbbbbbbbbb…"']),
        ("/data/" + "a" * 64, ABSENT, [f'      - a = "/data/{"a" * 64}" -> null']),
    ],
)
def test_attributes_read_as_terraform_writes_them(before: Side, after: Side, lines: list[str]) -> None:
    assert list(WRITER.attributes([("a", before, after)], 8)) == lines


def test_long_diffs_say_how_much_is_left_out() -> None:
    after = "".join(f"{number}\n" for number in range(500))
    lines = line_diff("", after, limit=10)
    assert len(lines) == 11
    assert lines[-1].text == "(… 490 more lines)"


def test_a_last_line_end_is_part_of_a_text() -> None:
    assert line_diff("a", "a\n")[-1].text == "(line end after the last line)"
    assert line_diff("a\n", "a")[-1].text == "(no line end after the last line)"


def test_huge_texts_are_counted_rather_than_compared() -> None:
    (line,) = line_diff("a\n" * 15_000, "b\n" * 15_000)
    assert line.text == "(15000 lines become 15000: too many to compare)"


def test_long_lists_go_over_lines() -> None:
    assert inline(["x" * 40, "y" * 40]) is None


def test_tables_count_columns_not_characters() -> None:
    assert columns("日本") == 4
    assert columns("e\u0301") == 1
    assert list(table_lines(("A", "B"), [("日本", "x"), ("a", "y\x1b")])) == [
        "A     B",
        "日本  x",
        "a     y\\x1b",
    ]


def test_a_byte_that_is_no_text_is_shown_as_it_is_on_the_host() -> None:
    assert quoted(b"n\xe9m \xff".decode("utf-8", "surrogateescape")) == '"n\\xe9m \\xff"'
