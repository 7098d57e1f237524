"""Reading and writing YAML and JSON: positions, what is refused, and the laws of the writer."""

from __future__ import annotations

import contextlib
import json

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from kubexms.config.yaml import Document, read_documents, read_value
from kubexms.config.yaml.scalars import classify
from kubexms.config.yaml.writer import dump_yaml
from kubexms.errors import ConfigError
from kubexms.spec.base import Json

TEXT = st.text(st.characters(codec="utf-8"), max_size=30)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
VALUES: st.SearchStrategy[Json] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


def one(text: str, name: str = "x.yaml") -> Document:
    documents = read_documents(text.encode(), name)
    assert len(documents) == 1
    return documents[0]


def problem(data: bytes | str, name: str = "x.yaml") -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read_value(data.encode() if isinstance(data, str) else data, name)
    return caught.value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("null", None),
        ("true", True),
        ("False", False),
        ("0", 0),
        ("-12", -12),
        ("+12", 12),
        ("0x1F", 31),
        ("1.5", 1.5),
        ("1.0e+3", 1000.0),
        ("1.5E-3", 0.0015),
        ("1.5.2", "1.5.2"),
        ("v1.30", "v1.30"),
        ("10.0.0.1", "10.0.0.1"),
        ("a", "a"),
        ("-", "-"),
        ("y", "y"),
        ("1.30-rc1", "1.30-rc1"),
        ("fe80::1", "fe80::1"),
        ("{{x}}", "{{x}}"),
    ],
)
def test_plain_scalars(text: str, value: Json) -> None:
    found, trap = classify(text)
    assert (found, type(found), trap) == (value, type(value), None)


AMBIGUOUS = [
    "off",
    "On",
    "YES",
    "no",
    "0644",
    "00",
    "0o17",
    "1_000",
    "0b1",
    "1.30",
    "1e3",
    "1.0e3",
    "12:30",
    "1:2:3",
    "2024-01-01",
    "2024-01-01T00:00:00Z",
    ".inf",
    "-.INF",
    ".nan",
    "1e999",
]


@pytest.mark.parametrize("text", [*AMBIGUOUS, "1" * 400])
def test_ambiguous_scalars_are_traps(text: str) -> None:
    _, trap = classify(text)
    assert trap is not None
    assert trap.text == text


@given(TEXT)
@example("&")
def test_what_other_readers_take_for_something_else_is_never_taken_for_text(text: str) -> None:
    """PyYAML follows YAML 1.1: where it sees no string, neither do we, or we call it ambiguous."""
    if not text or yaml.SafeLoader.yaml_implicit_resolvers.get(text[0]) is None:
        return
    tags = [t for t, pattern in yaml.SafeLoader.yaml_implicit_resolvers[text[0]] if pattern.match(text)]
    value, trap = classify(text)
    # `<<`, `=`, and `!`, `&`, `*`: not values, and the last three begin no plain scalar at all
    if tags and tags[0].rpartition(":")[2] not in ("merge", "value", "yaml"):
        assert not isinstance(value, str) or trap is not None


def test_positions() -> None:
    document = one('a: é\nb:\n  - "x😀y"\n  - {k: v}\ntext: |\n  one\n  two\n')
    assert document.value == {"a": "é", "b": ["x😀y", {"k": "v"}], "text": "one\ntwo\n"}
    place = document.range(("b", 0))
    assert (place.line, place.column, place.byte, place.end_column) == (3, 5, 13, 10)
    assert place.end_byte == 13 + len('"x😀y"'.encode())
    assert place.snippet == '  - "x😀y"'
    assert document.range(("b", 1, "k"), key=True).column == 6
    assert document.range(("b", 1, "k")).column == 9
    assert document.range(("b", 7, "zzz")).line == 3, "what is not there is where it would be"
    assert document.range(("text",), line=2).line == 7
    assert document.range(("text",), line=2).snippet == "  two"
    assert document.range(("a",), show=False).snippet == ""


def test_several_documents_and_empty_ones() -> None:
    documents = read_documents(b"---\na: 1\n---\n---\n# nothing\n---\nb: 2\n", "x.yaml")
    assert [(d.value, d.index) for d in documents] == [({"a": 1}, 0), ({"b": 2}, 3)]
    assert read_documents(b"", "x.yaml") == ()
    assert read_documents(b"# only a comment\n", "x.yaml") == ()
    assert read_documents(b" ", "x.json") == ()


def test_windows_line_ends_and_byte_order_marks() -> None:
    document = read_documents(b"\xef\xbb\xbfa: 1\r\nb: 2\r\n", "x.yaml")[0]
    assert document.value == {"a": 1, "b": 2}
    assert document.range(("b",)).line == 2
    assert document.range(("b",)).snippet == "b: 2"


def test_aliases_and_merges() -> None:
    document = one("a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [{x: 5}, *a], z: 6}\n")
    assert document.value == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"y": 3, "x": 1},
        "d": {"z": 6, "x": 5, "y": 2},
    }
    assert document.range(("b", "x")).line == 1


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("a: 1\na: 2\n", "duplicate key 'a'"),
        ('a: 1\n"a": 2\n', "duplicate key 'a'"),
        ("012: 1\n", "the key 012 is ambiguous: YAML readers may take it for an octal number"),
        ("true: 1\n", "the key true is not a string"),
        ("5: 1\n", "the key 5 is not a string"),
        ("? [a]\n: 1\n", "a key must be a string"),
        ("a: *b\n", "unknown alias *b"),
        ("a: &a [*a]\n", "the alias *a stands inside of what it stands for"),
        ("a: !!set {}\n", "the tag tag:yaml.org,2002:set is not supported"),
        ("a: !x 1\n", "the tag !x is not supported"),
        ("a:\n\t- 1\n", "a tab indents this line"),
        ("a: b: c\n", "not valid YAML"),
        ("a: 'x\n", "this quote is not closed"),
        ("a: @x\n", "not valid YAML"),
        ("<<: 1\n", "'<<' takes a mapping"),
        ("a: \x07\n", "not valid YAML"),
        ("[" * 500, "nested too deeply"),
        ("a: off\n", "off is ambiguous: YAML readers may take it for a boolean"),
        ("a: 1\n---\nb: 1\n", "x.yaml holds 2 documents where one is expected"),
    ],
)
def test_what_is_refused(text: str, summary: str) -> None:
    error = problem(text)
    assert error.summary == summary
    assert error.diagnostics[0].source is not None


@pytest.mark.parametrize(
    ("text", "place", "summary", "detail"),
    [
        ("a:\n  - {n: [h, c: {t: l}}\n", (2, 9), "this '[' is not closed", "Line 2, column 22 has '}'"),
        ("a: {x: 1\nb: 3\n", (1, 4), "this '{' is not closed", "',' or '}' is expected"),
        ("a: [1,\n  2", (1, 4), "this '[' is not closed", "The file ends where ',' or ']' is expected"),
        ('a: "abc\nb: 1\n', (1, 4), "this quote is not closed", "goes on to the end of the file"),
        ("a: [1, 2]]\n", (1, 10), "not valid YAML", "Nothing is open here that ']' would close"),
        ('a: "b" c\n', (1, 8), "not valid YAML", "The value goes on after its closing quote"),
        ('a: "a\\q"\n', (1, 6), "not valid YAML", "a backslash begins an escape"),
        ("a:\n  b: 1\n c: 2\n", (3, 2), "not valid YAML", "mapping which begins in line 1, column 1"),
        ("a:\n  - b\n  c: 2\n", (3, 3), "not valid YAML", "the list which begins in line 2"),
        ("a: |\n x\nz\n", (3, 1), "not valid YAML", "If it belongs to the text above, indent it"),
    ],
)
def test_syntax_is_told_where_it_begins_to_be_wrong(
    text: str, place: tuple[int, int], summary: str, detail: str
) -> None:
    error = problem(text)
    assert error.summary == summary
    source = error.diagnostics[0].source
    assert source is not None
    assert (source.line, source.column) == place
    assert detail in error.diagnostics[0].detail


def test_words_that_some_read_as_booleans_are_words_as_keys() -> None:
    assert read_documents(b"on: a\nOff: b\nyes: c\nNo: d\n", "x.yaml")[0].value == {
        "on": "a",
        "Off": "b",
        "yes": "c",
        "No": "d",
    }


def test_alias_bombs() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    assert "aliases stand for too much" in problem("\n".join(lines)).summary
    chain = ["b0: &b0 {x: 1}", *(f"b{i}: &b{i} {{k: *b{i - 1}}}" for i in range(1, 300))]
    assert "aliases stand for too much" in problem("\n".join(chain)).summary
    merges = [
        "c0: &c0 {x: 1}",
        *(f"c{i}: &c{i} {{<<: [*c{i - 1}, *c{i - 1}, *c{i - 1}]}}" for i in range(1, 30)),
    ]
    assert "aliases stand for too much" in problem("\n".join(merges)).summary


@pytest.mark.parametrize(
    ("data", "summary"),
    [
        (b'{"a": 1, "a": 2}', "duplicate key 'a'"),
        (b'{"a": 1,}', "not valid JSON"),
        (b'{"a": NaN}', "not valid JSON"),
        (b'{"a": 01}', "not valid JSON"),
        (b"{'a': 1}", "not valid JSON"),
        (b'{"a": 1} x', "not valid JSON"),
        (b'{"a": "\\ud800"}', "not valid JSON"),
        (b'{"a": 1e999}', "not valid JSON"),
        (b"[" * 500, "nested too deeply"),
        (b'["a', "not valid JSON"),
        (b"\xff", "x.json is not UTF-8 text"),
    ],
)
def test_json_is_strict(data: bytes, summary: str) -> None:
    assert problem(data, "x.json").summary == summary


@given(VALUES)
def test_json_reads_as_json(value: Json) -> None:
    document = one(json.dumps(value, indent=1), "x.json") if value is not None else None
    assert (document.value if document is not None else None) == value


@given(VALUES)
def test_what_is_written_reads_back_equal(value: Json) -> None:
    text = dump_yaml(value)
    found = read_value(text.encode(), "x.yaml").value
    assert found == value
    assert json.dumps(found) == json.dumps(value), "types too: 1 is not 1.0, true is not 1"


@given(st.dictionaries(TEXT, TEXT, max_size=5))
def test_other_readers_agree_about_text(value: dict[str, str]) -> None:
    assert yaml.safe_load(dump_yaml({**value})) == value


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for name in ("x.yaml", "x.json"):
        with contextlib.suppress(ConfigError):
            read_documents(data, name)


YAMLISH = st.text(st.sampled_from("ab:- \n[]{},&*!|>'\"#%@`?~<0.1\t\x85\u2028"), max_size=60)


@given(YAMLISH)
def test_any_punctuation_is_read_or_refused(text: str) -> None:
    documents: tuple[Document, ...] = ()
    with contextlib.suppress(ConfigError):
        documents = read_documents(text.encode(), "x.yaml")
    for document in documents:
        for path in document.spans:
            place = document.range(path)
            assert place.line >= 1
            assert place.column >= 1
            assert place.end_byte is not None
            assert place.byte <= place.end_byte
