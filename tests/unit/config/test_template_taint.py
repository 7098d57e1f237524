"""What is unknown stays unknown and what is secret stays secret, whatever a template does with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubexms.config.template import Deferred, RenderedValue, Sensitive, TemplateEngine, Unknown
from kubexms.config.template.environment import TemplateEnvironment
from kubexms.config.template.files import BaseDirectory
from kubexms.errors import TemplateError

ENGINE = TemplateEngine(Path("/nonexistent"))
_NAMES = TemplateEnvironment(BaseDirectory(Path("/nonexistent")))
FILTERS = sorted(name for name in _NAMES.filters if not name.startswith("_"))
TESTS = sorted(_NAMES.tests)

ARGUMENTS = ["", "1", "'x'", "'name'", "true", "[1]", "{'a': 1}", "'x', 'y'", "1, 2", "attribute='name'"]
"""Arguments that one filter or test or another accepts."""

PLACES = [
    "value",
    "box.value",
    "box['value']",
    "items[1]",
    "nested.a.b[0]",
    "box | attr('value') | default(value)",
]
"""Ways to reach the value that matters."""


def scope(value: object) -> dict[str, object]:
    return {
        "value": value,
        "box": {"value": value, "known": 1},
        "items": ["a", value, "c"],
        "nested": {"a": {"b": [value]}},
    }


def unknown_or_error(template: str, names: dict[str, object]) -> RenderedValue | None:
    """None if the template is refused before it reads anything, as one with wrong arguments is."""
    try:
        return ENGINE.render(template, names)
    except TemplateError:
        return None


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("place", PLACES)
def test_every_filter_keeps_the_unknown(name: str, place: str) -> None:
    reached = 0
    for arguments in ARGUMENTS:
        template = f"{{{{ {place} | {name}({arguments}) }}}}"
        result = unknown_or_error(template, scope(Unknown("the value")))
        if result is not None:
            reached += 1
            assert result.unknown == {"the value"}, template
            assert result.value is None, template
    assert reached == len(ARGUMENTS), "reading it comes first, so no argument can be wrong"


@pytest.mark.parametrize("name", [test for test in TESTS if test.isidentifier()])
@pytest.mark.parametrize("place", PLACES)
def test_every_test_keeps_the_unknown(name: str, place: str) -> None:
    for arguments in ("", "(1)", "('x')", "([1])", "(value)"):
        for form in (
            "{{ %s is %s%s }}",
            "{%% if %s is %s%s %%}a{%% else %%}b{%% endif %%}",
            "{{ not (%s is %s%s) }}",
        ):
            template = form % (place, name, arguments)
            result = unknown_or_error(template, scope(Unknown("the value")))
            assert result is not None, template
            assert result.unknown == {"the value"}, template


@pytest.mark.parametrize("name", FILTERS)
def test_every_filter_keeps_the_unknown_inside_of_what_it_is_given(name: str) -> None:
    """A container may be looked at without its unknown part; then the result must not depend on it."""
    for arguments in ARGUMENTS:
        for place in ("box", "items", "nested"):
            template = f"{{{{ {place} | {name}({arguments}) }}}}"
            results = [unknown_or_error(template, scope(value)) for value in ("p", "quite another", 7)]
            hidden = unknown_or_error(template, scope(Unknown("the value")))
            known = [result for result in results if result is not None]
            if hidden is not None and not hidden.unknown and name != "random":
                assert all(result.value == hidden.value for result in known), template


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("place", ["value", "box.value", "items[1]", "box", "items", "nested.a.b"])
def test_every_filter_keeps_the_secret(name: str, place: str) -> None:
    for arguments in ARGUMENTS:
        template = f"{{{{ {place} | {name}({arguments}) }}}}"
        for secret in ("hunter2", "hunter3"):
            try:
                result = ENGINE.render(template, scope(Sensitive(secret)))
            except TemplateError as error:
                assert secret not in error.summary + error.detail, template  # noqa: PT017 - many may fail
                continue
            if not result.sensitive:
                other = ENGINE.render(template, scope(Sensitive("something else")))
                assert name == "random" or other.value == result.value, template
            assert not any(secret in read for read in result.reads), template


EXPRESSIONS = st.sampled_from(
    [
        "{{ %s == 'a' }}",
        "{{ 'a' if %s else 'b' }}",
        "{{ %s ~ 'x' }}",
        "x{{ %s }}y",
        "{{ [%s, 1] | length }}",
        "{{ {'k': %s} }}",
        "{{ %s in ['a'] }}",
        "{{ 'a' in [%s] }}",
        "{%% set x = %s %%}{{ x }}",
        "{%% for c in %s %%}.{%% endfor %%}",
        "{%% for c in [%s] %%}{{ c }}{%% endfor %%}",
        "{%% if %s is defined %%}a{%% endif %%}",
        "{{ %s | default('d') }}",
        "{{ %s | default('d', true) | length }}",
        "{{ (%s, 1) | first }}",
        "{{ %s.anything }}",
        "{{ %s['anything'] }}",
        "{{ %s() }}",
        "{{ box[%s] }}",
        "{{ range(%s) | list }}",
        "{{ dict(a=%s) }}",
        "{{ %s + 1 }}",
        "{{ -%s }}",
        "{{ %s[1:] }}",
        "{{ 'a' < %s }}",
        "{%% macro m(a) %%}{{ a | upper }}{%% endmacro %%}{{ m(%s) }}",
        "{%% filter upper %%}{{ %s }}{%% endfilter %%}",
        "{%% with a = %s %%}{{ a }}{%% endwith %%}",
        "{%% set n = namespace(v=%s) %%}{{ n.v }}",
        "{%% set b %%}{{ %s }}{%% endset %%}{{ b | length }}",
    ]
)


@settings(max_examples=300)
@given(EXPRESSIONS, st.sampled_from(PLACES), st.lists(st.sampled_from(FILTERS), max_size=3))
def test_nothing_that_a_template_can_write_hides_the_unknown(
    form: str, place: str, filters: list[str]
) -> None:
    template = form % ("(" + "|".join([f"({place})", *filters]) + ")")
    result = ENGINE.render(template, scope(Unknown("the value")))
    assert result.unknown == {"the value"}


@settings(max_examples=200)
@given(EXPRESSIONS, st.sampled_from(PLACES[:5]))
def test_nothing_that_a_template_can_write_hides_the_secret(form: str, place: str) -> None:
    try:
        result = ENGINE.render(form % place, scope(Sensitive("hunter2")))
    except TemplateError as error:
        assert "hunter2" not in error.summary + error.detail  # noqa: PT017 - most forms fail, and may
    else:
        assert result.sensitive


def test_branches_that_are_not_taken_do_not_count() -> None:
    names = scope(Unknown("u"))
    assert ENGINE.render("{{ 'a' if true else box.value }}", names) == RenderedValue("a")
    assert ENGINE.render("{{ items | length }}", names).value == 3
    assert ENGINE.render("{{ box.known }}", names).value == 1
    assert ENGINE.render("{{ items[0] }}{{ items | first }}", names).value == "aa"
    hosts: dict[str, object] = {
        "hosts": [{"name": "a", "facts": Unknown("facts of a")}, {"name": "b", "facts": {}}]
    }
    assert ENGINE.render("{{ hosts | map(attribute='name') | join(' ') }}", hosts).value == "a b"
    assert ENGINE.render("{% for h in hosts %}{{ h.name }}{% endfor %}", hosts).value == "ab"
    assert ENGINE.render("{{ hosts }}", hosts).unknown == {"facts of a"}


def test_everything_that_is_waited_for_is_named() -> None:
    names: dict[str, object] = {
        "a": {"x": Unknown("first")},
        "b": {"y": Unknown("second"), "s": Sensitive("z")},
    }
    result = ENGINE.render(["{{ a.x }} {{ b['y'] }} {{ b.s }}", "{{ a }}"], names)
    assert result.unknown == {"first", "second"}
    assert result.sensitive
    assert {"a.x", "b.y"} <= result.reads


def test_what_is_waited_for_under_names_that_the_template_makes_is_named_too() -> None:
    fetched: list[str] = []
    names: dict[str, object] = {
        "each": ["a", "b", "c"],
        "of": {"x-a": {"v": Unknown("")}, "x-b": {"v": "known"}, "x-c": {"v": Unknown("")}},
        "vars": {"token": Deferred(lambda: fetched.append("x"))},
    }
    result = ENGINE.render("{% for n in each %}{{ of['x-' ~ n].v }}{% endfor %}", names)
    assert result.unknown == {"of.x-a.v", "of.x-c.v"}
    assert result.value is None
    assert result.reads & {"of.x-a.v", "of.x-b.v", "of.x-c.v"} == {"of.x-a.v", "of.x-c.v"}
    result = ENGINE.render("{{ of['x-a'].v }}{{ vars.token }}{{ 1 + of['x-' ~ 'a'].v }}", names)
    assert result.unknown == {"of.x-a.v"}, "no error is told"
    assert fetched == [], "nothing is fetched only to see"


def test_secrets_are_fetched_only_when_read() -> None:
    fetched: list[str] = []

    def fetch() -> object:
        fetched.append("x")
        return "hunter2"

    names: dict[str, object] = {"vars": {"token": Deferred(fetch), "other": 1}}
    assert ENGINE.render("{{ vars.other }}", names) == RenderedValue(1, reads=frozenset({"vars.other"}))
    assert fetched == []
    assert ENGINE.render("{{ vars.token }}", names).sensitive
    assert fetched == ["x"]
    nothing: dict[str, object] = {"vars": {"token": Deferred(lambda: Unknown("secret"))}}
    assert ENGINE.render("{{ vars.token }}", nothing).unknown == {"secret"}


def test_a_secret_is_in_no_error_and_in_no_name() -> None:
    names: dict[str, object] = {"vars": {"token": Sensitive("hunter2"), "map": {"a": 1}}}
    for template in (
        "{{ vars.map[vars.token] }}",
        "{{ vars.token | from_json }}",
        "{{ vars.token + 1 }}",
        "{{ vars.token.nope }}",
        "{{ vars.token | cidr_network }}",
        "{{ vars.token | regex_replace('(', vars.token) }}",
        "{{ vars.map | attr(vars.token) }}",
    ):
        with pytest.raises(TemplateError) as caught:
            ENGINE.render(template, names)
        assert "hunter2" not in caught.value.summary + caught.value.detail
    result = ENGINE.render("{{ vars.token in vars.map }}", names)
    assert not any("hunter2" in read for read in result.reads)
    assert repr(Sensitive("hunter2")) == "Sensitive(…)"


@pytest.mark.parametrize("place", PLACES[1:5])
@pytest.mark.parametrize("name", ["upper", "b64encode", "length", "quote", "to_json"])
def test_what_was_made_of_a_secret_is_remembered(place: str, name: str) -> None:
    assert name in FILTERS
    alone = ENGINE.render(f"{{{{ {place} | {name} }}}}", scope(Sensitive("hunter2")))
    within = ENGINE.render(
        f"known: {{{{ box.known }}}}; {{{{ {place} | {name} }}}}!", scope(Sensitive("hunter2"))
    )
    assert "hunter2" in alone.secrets
    assert {"hunter2", str(alone.value)} <= within.secrets
    assert not {"known: ", "1", "!"} & within.secrets
    assert within.sensitive
    assert "secrets" not in repr(within)


def test_parts_of_a_structure_are_secrets_each() -> None:
    names: dict[str, object] = {"vars": {"db": Deferred(lambda: {"user": "app", "keys": ["k1", 2]})}}
    assert {"app", "k1", "2"} <= ENGINE.render("{{ vars.db | to_json }}", names).secrets
