"""Rendering: types, text, files, errors that say where, and bounds."""

from __future__ import annotations

from pathlib import Path

import pytest

from kubexms.config.template import TemplateEngine, has_template
from kubexms.diagnostics import SourceRange
from kubexms.errors import ConfigError, TemplateError
from kubexms.spec.base import Json

ENGINE = TemplateEngine(Path("/nonexistent"))
SCOPE: dict[str, object] = {
    "vars": {
        "n": 3,
        "list": ["a", "b"],
        "map": {"k": 1},
        "yes": True,
        "null": None,
        "text": "it's",
        "items": "own",
    },
    "host": {"name": "n1"},
    "outputs": {"os/kernel/token": {"value": "t"}},
}


@pytest.mark.parametrize(
    ("template", "value"),
    [
        ("plain", "plain"),
        (5, 5),
        ({"{{ key }}": ["{{ vars.n }}", {"a": "{{ vars.yes }}"}]}, {"{{ key }}": [3, {"a": True}]}),
        ("{{ vars.n }}", 3),
        ("{{ vars.list }}", ["a", "b"]),
        ("{{ vars.map }}", {"k": 1}),
        ("{{ vars.null }}", None),
        ("{{ vars.list | map('upper') }}", ["A", "B"]),
        ("{{ vars.map.items() | list }}", [["k", 1]]),
        ("{{ vars.items }}", "own"),
        ("{{ vars['items'] }}", "own"),
        ("{{ vars.list[-1] }}{{ vars.list[:1] }}", 'b["a"]'),
        (" {{ vars.n }}", " 3"),
        ("{{ vars.n }}\n", "3\n"),
        ("{{ vars.yes }} {{ vars.n > 5 }}", "true false"),
        ("{{ vars.map }} {{ vars.list }}", '{"k": 1} ["a", "b"]'),
        ("{{ vars.yes ~ vars.n }}", "true3"),
        ("{{ vars.list + ['c'] }}", ["a", "b", "c"]),
        ("{{ ['c'] + vars.list }}", ["c", "a", "b"]),
        ("{{ vars.list == ['a', 'b'] }}", True),
        ("{{ 'a' in vars.list and 'k' in vars.map }}", True),
        ("{{ vars.nope is defined }}", False),
        ("{{ vars.nope | default('d') }}", "d"),
        ("{{ outputs['os/kernel/token'].value }}", "t"),
        ("{{ {1: 2} }}", {"1": 2}),
        ("{{ range(3) }}", [0, 1, 2]),
        ("{{ vars.list | to_json }}", '["a", "b"]'),
        ("{{ '[1]' | from_json }}", [1]),
        ("{{ {'a': 'off'} | to_yaml }}", 'a: "off"\n'),
        ("{{ 'a: 1' | from_yaml }}", {"a": 1}),
        ("{{ 'x' | b64encode }}{{ 'eA==' | b64decode }}", "eA==x"),
        ("{{ 'x' | sha256 }}", "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"),
        ("{{ 'v1.2' | regex_replace('v([0-9])', '\\\\1') }}", "1.2"),
        ("{{ 'v1.2' | regex_search('v([0-9])') }}", "1"),
        ("{{ vars.text | quote }} {{ vars.list | quote }}", "'it'\"'\"'s' a b"),
        ("{{ '10.0.0.7/24' | cidr_network }}", "10.0.0.0/24"),
        ("{{ '10.0.0.0/24' | cidr_host(5) }} {{ '10.0.0.0/24' | cidr_host(-1) }}", "10.0.0.5 10.0.0.255"),
        ("{{ '10.0.0.0/24' | cidr_netmask }} {{ '10.0.0.0/24' | cidr_prefix }}", "255.255.255.0 24"),
        ("{{ 'fe80::1' | ip_version }}", 6),
        ("{{ vars.map | combine({'b': 2}) }}", {"k": 1, "b": 2}),
        ("{{ {'a': {'b': 1}} | combine({'a': {'c': 2}}, recursive=true) }}", {"a": {"b": 1, "c": 2}}),
        ("{{ '/a/b.c' | basename }} {{ '/a/b.c' | dirname }}", "b.c /a"),
        ("{% for host in [{'name': 'x'}] %}{{ host.name }}{% endfor %}{{ host.name }}", "xn1"),
    ],
)
def test_rendering(template: Json, value: Json) -> None:
    result = ENGINE.render(template, SCOPE)
    assert result.value == value
    assert type(result.value) is type(value)
    assert result.known
    assert not result.sensitive


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("vars.n == 3", True),
        ("{{ vars.n == 3 }}", True),
        (" vars.n ", 3),
        (True, True),
        ("'a' ~ host.name", "an1"),
    ],
)
def test_conditions(expression: Json, value: Json) -> None:
    assert ENGINE.evaluate(expression, SCOPE).value == value


def test_what_was_read() -> None:
    result = ENGINE.render("{{ vars.map.k }} {{ host.name }} {{ outputs['os/kernel/token'].value }}", SCOPE)
    assert result.reads == {"vars.map.k", "host.name", "outputs.os/kernel/token.value"}
    assert "vars.nope" in ENGINE.render("{{ vars.nope is defined }}", SCOPE).reads
    assert {"vars.list", "vars.list[1]"} <= ENGINE.render("{{ vars.list[1] }}", SCOPE).reads


NO_TEST = "not a valid template: there is no test 'evn'"
UNFINISHED = "not a valid template: unexpected end of template, expected 'end of print statement'"
NULL = "the template failed: null cannot be put into text; give it a value with the filter 'default(…, true)'"


@pytest.mark.parametrize(
    ("template", "summary", "detail"),
    [
        ("{{ vras.n }}", "the template failed: 'vras' is undefined", "Did you mean 'vars'?"),
        ("{{ vars.lst }}", "the template failed: 'vars.lst' is undefined", "Did you mean 'list'?"),
        ("{{ host.nmae }}", "the template failed: 'host.nmae' is undefined", "Did you mean 'name'?"),
        ("{{ zzz }}", "the template failed: 'zzz' is undefined", "A template may use: host, outputs, vars."),
        ("{{ vars.list[7] }}", "the template failed: the list has no item 7 (it has 2)", ""),
        ("{{ 1 | uper }}", "not a valid template: there is no filter 'uper'", "Did you mean 'upper'?"),
        ("{% if 1 is evn %}{% endif %}", NO_TEST, "Did you mean 'even'?"),
        ("{{ vars.n", UNFINISHED, ""),
        ("{{ vars.n + 'a' }}", "the template failed: unsupported operand type(s) for +: 'int' and 'str'", ""),
        ("a {{ vars.null }}", NULL, ""),
        ("{{ dict }}", "the template failed: the result is a type, which is no data", ""),
        ("{{ 'x' | b64decode }}", None, ""),
        ("{{ '10.0.0.0/30' | cidr_host(9) }}", "the template failed: 10.0.0.0/30 has no address 9", ""),
        ("{{ 'a' | truncate(1) }}", None, ""),
    ],
)  # fmt: skip
def test_failures(template: str, summary: str | None, detail: str) -> None:
    with pytest.raises(TemplateError) as caught:
        ENGINE.render(template, SCOPE)
    if summary is not None:
        assert (caught.value.summary, caught.value.detail) == (summary, detail)


def test_failures_name_the_place() -> None:
    asked: list[tuple[tuple[str | int, ...], int]] = []

    def locate(path: tuple[str | int, ...], line: int) -> SourceRange:
        asked.append((path, line))
        return SourceRange("doc.yaml", 10 + line, 1)

    with pytest.raises(TemplateError) as caught:
        ENGINE.render({"a": ["x", "one\ntwo {{ vars.n }}\n{{ nope }}"]}, SCOPE, locate=locate)
    assert asked == [(("a", 1), 3)]
    assert caught.value.diagnostics[0].source == SourceRange("doc.yaml", 13, 1)


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ vars.__class__ }}",
        "{{ vars._raw }}",
        "{{ vars | attr('_raw') }}",
        "{{ vars.list | attr('_trace') }}",
        "{{ vars.list.append(1) }}",
        "{{ range.__globals__ }}",
        "{{ cycler.__init__.__globals__ }}",
        "{{ '{0.__class__}'.format(1) }}",
        "{{ 'a' * 1000000000 }}",
        "{{ [1] * 1000000000 }}",
        "{{ 9 ** 999999999 }}",
        "{{ 'a' | center(1000000000) }}",
        "{{ 'a'.ljust(1000000000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%*d' % (1000000000, 1) }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ '{:{}}'.format(1, 1000000000) }}",
        "{{ '%1000000000d' | format(1) }}",
        "{{ range(1000000000) }}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
        "{% set n = namespace(v='aa') %}{% for a in range(99) %}{% set n.v = n.v ~ n.v %}{% endfor %}",
        "{% set n = namespace(v='aa') %}{% for a in range(99) %}{% set n.v = n.v + n.v %}{% endfor %}",
        "{% set n = namespace(v=7) %}{% for a in range(99) %}{% set n.v = n.v * n.v %}{% endfor %}",
        "{% set s = 'a' * 100000 %}{{ s.replace('a', s) }}",
        "{% set s = 'a' * 100000 %}{{ s.join(s) }}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% include '/etc/passwd' %}",
        "{% include '../x' %}",
        "{% import 'os' as os %}",
        "{{ lipsum(1000000) }}",
    ],
)
def test_templates_cannot_get_out_or_take_everything(template: str) -> None:
    with pytest.raises(TemplateError):
        ENGINE.render(template, SCOPE)


@pytest.fixture
def files(tmp_path: Path) -> TemplateEngine:
    base = tmp_path / "base"
    (base / "sub").mkdir(parents=True)
    (base / "a.j2").write_text("{{ vars.n }} {% include 'sub/b.j2' %}{% import 'm.j2' as m %}{{ m.f(1) }}\n")
    (base / "sub/b.j2").write_text("b{{ host.name }}\n")
    (base / "m.j2").write_text("{% macro f(x) %}[{{ x }}]{% endmacro %}")
    (base / "bad.j2").write_text("one\n{% include 'sub/bad.j2' %}\n")
    (base / "sub/bad.j2").write_text("one\ntwo\n{{ host.nmae }}\n")
    (base / "syntax.j2").write_text("one\n{% if %}\n")
    (base / "up.j2").write_text("{% include '../secret' %}")
    (base / "link.j2").symlink_to(tmp_path / "secret")
    (base / "binary.j2").write_bytes(b"\xff\xfe")
    (tmp_path / "secret").write_text("secret")
    return TemplateEngine(base)


def test_template_files(files: TemplateEngine) -> None:
    result = files.render_file("a.j2", SCOPE)
    assert result.value == "3 bn1\n[1]\n"
    assert result.reads == {"vars.n", "host.name"}
    assert files.render_file(files.base_dir / "sub/b.j2", SCOPE).value == "bn1\n"


def test_a_changed_template_file_is_read_again(files: TemplateEngine) -> None:
    files.render_file("sub/b.j2", SCOPE)
    (files.base_dir / "sub/b.j2").write_text("changed")
    assert files.render_file("sub/b.j2", SCOPE).value == "changed"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("../secret", "outside"),
        ("/etc/passwd", "outside"),
        ("link.j2", "outside"),
        ("up.j2", "outside"),
        ("nope.j2", "there is no file"),
        ("sub", "there is no file"),
        ("binary.j2", "not UTF-8"),
        ("a\0b", "null"),
    ],
)
def test_files_elsewhere_are_out_of_reach(files: TemplateEngine, name: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        files.render_file(name, SCOPE)
    assert said in caught.value.summary


@pytest.mark.parametrize(
    ("name", "file", "line"), [("bad.j2", "sub/bad.j2", 3), ("syntax.j2", "syntax.j2", 2)]
)
def test_failures_in_files_name_file_and_line(files: TemplateEngine, name: str, file: str, line: int) -> None:
    with pytest.raises(TemplateError) as caught:
        files.render_file(name, SCOPE)
    source = caught.value.diagnostics[0].source
    assert source is not None
    assert (source.filename, source.line) == (str(files.base_dir / file), line)
    assert source.snippet


def test_what_a_template_needs() -> None:
    text = "{{ vars.a }}\n{{ vars['b'] }}{{ vars.c | default(1) }}"
    text += "{% if vars.d is defined %}{{ vars.d }}{% endif %}"
    assert ENGINE.names(text) == {"a": 1, "b": 2}
    assert ENGINE.names("vars.x and vars.y", expression=True) == {"x": 1, "y": 1}
    assert ENGINE.names("{% set vars = 1 %}{{ vars.x }}") == {}
    assert ENGINE.names("no template") == {}


def test_what_is_a_template() -> None:
    assert has_template({"a": ["x", "{{ y }}"]})
    assert has_template("{# comment #}")
    assert not has_template(["{", "}}", 1, None])
