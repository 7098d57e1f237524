"""Pages in a real browser: nothing is asked for, nothing is refused, and the filters filter."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubexms.plan.model import Plan
from kubexms.views.html.drift import drift_html
from kubexms.views.html.plan import plan_html
from tests.golden.cases import create, plan, update
from tests.unit.views.html.browser import Browser, DoesNotStart, missing
from tests.unit.views.html.plans import distinct, fleet, golden, mixed
from tests.unit.views.html.test_drift_page import full

pytestmark = pytest.mark.skipif(bool(missing()), reason=missing())

SHOWN = """[...document.querySelectorAll('.c')]
  .filter(change => change.checkVisibility())
  .map(change => change.querySelector('.p').textContent)"""
TYPE = """(name, value) => new Promise(done => {
  const field = document.querySelector(`[name=${name}]`);
  const seen = document.getElementById('shown');
  if (field.type === 'checkbox') field.checked = value; else field.value = value;
  new MutationObserver(() => done(seen.textContent)).observe(seen, {childList: true});
  field.dispatchEvent(new Event('input', {bubbles: true}));
})"""


CLEARED = """const seen = new Promise(done => new MutationObserver(() => done(0)).observe(
  document.getElementById('shown'), {childList: true}))"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    try:
        opened = Browser(tmp_path_factory.mktemp("profile"))
    except DoesNotStart as error:
        pytest.skip(f"chromium is there, and does not start: {error}")
    with contextlib.closing(opened):
        opened.look(1280, 900)
        yield opened


def show(browser: Browser, tmp_path: Path, text: str, fragment: str = "") -> None:
    path = tmp_path / "page.html"
    path.write_text(text)
    browser.problems.clear()
    browser.requests.clear()
    browser.open(path, fragment)


def test_nothing_is_asked_for_and_the_console_stays_empty(browser: Browser, tmp_path: Path) -> None:
    pages = [plan_html(golden(name)) for name in ("mixed", "clean", "refused", "hostile")]
    for text in [*pages, plan_html(mixed()), plan_html(fleet(10, 30)), drift_html(full())]:
        show(browser, tmp_path, text)
        assert browser.problems == []
        asked = {url for url in browser.requests if not url.startswith(("data:", "about:"))}
        assert asked == {(tmp_path / "page.html").as_uri()}


def test_the_policy_refuses_what_a_hostile_text_would_need(browser: Browser, tmp_path: Path) -> None:
    """The policy is no mere ornament: script, style and image that are smuggled in do nothing."""
    smuggled = "<script>window.taken = 1</script><img src='http://192.0.2.1/x'><p style='color:red'>x</p>"
    show(browser, tmp_path, plan_html(mixed()).replace("<main>", f"<main>{smuggled}"))
    assert browser.run("window.taken") is None
    assert len(browser.problems) >= 3
    assert all("Content Security Policy" in problem for problem in browser.problems)


def put(browser: Browser, name: str, value: str | bool) -> tuple[str, list[str]]:
    """Fill a field in; what the page then says, and which changes it shows."""
    said = browser.run(f"({TYPE})({json.dumps(name)}, {json.dumps(value)})")
    return said, sorted(browser.run(SHOWN))


def test_filters_by_text_host_module_and_action(browser: Browser, tmp_path: Path) -> None:
    changes = [create(f"os/kernel/overlay@n{number}", "sysctl", {"value": "1"}) for number in range(1, 13)]
    changes += [create(f"os/files/motd@n{number}", "file", {"mode": "Needle"}) for number in (1, 2)]
    changes.append(update("runtime/cri/unit@n1", "service", {"x": 1}, {"x": 2}))
    show(browser, tmp_path, plan_html(plan(*changes)))
    motd, overlay, unit = everything = sorted(browser.run(SHOWN))
    assert put(browser, "q", "nEEdle") == ("2 of 15 changes match.", [motd])
    assert put(browser, "q", "") == ("15 changes.", everything)
    assert put(browser, "host", "n2") == ("2 of 15 changes match.", [motd, overlay])
    assert put(browser, "host", "n1*") == ("6 of 15 changes match.", everything)
    assert put(browser, "host", "n11, n12") == ("2 of 15 changes match.", [overlay])
    assert put(browser, "host", "nobody") == ("0 of 15 changes match.", [])
    assert browser.run("document.getElementById('none').checkVisibility()")
    put(browser, "host", "")
    assert put(browser, "module", "os")[1] == [motd, overlay]
    assert put(browser, "module", "os/files")[1] == [motd]
    put(browser, "module", "")
    assert put(browser, "action", True) == ("14 of 15 changes match.", [motd, overlay])
    assert put(browser, "q", "overlay") == ("12 of 15 changes match.", [overlay])
    browser.run(f"{CLEARED}; document.querySelector('button[type=reset]').click(); seen")
    assert sorted(browser.run(SHOWN)) == everything
    assert unit == "runtime/cri/unit"


def test_a_filter_is_an_address_that_can_be_shared(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, plan_html(mixed()), "#action=replace&action=run&host=n1")
    assert sorted(browser.run(SHOWN)) == ["os/disks/data", "os/init/cluster", "os/kernel/reboot"]
    assert browser.run("location.hash") == "#host=n1&action=run&action=replace"
    assert browser.problems == []


def test_a_step_of_the_drawing_leads_to_its_change(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, plan_html(distinct(20, 20)), "#q=nothing-has-this")
    assert browser.run(SHOWN) == []
    browser.run(
        "new Promise(done => { addEventListener('hashchange', done, {once: true});"
        " document.querySelector('.scroll a').dispatchEvent(new MouseEvent('click')); }).then(() => 0)"
    )
    assert len(set(browser.run(SHOWN))) == 1
    assert browser.run("document.querySelectorAll('.c[open]').length") == 0
    assert browser.run("document.querySelector('[name=q]').value") == ""


def test_without_scripts_everything_can_be_read(browser: Browser, tmp_path: Path) -> None:
    browser.scripts(allowed=False)
    try:
        show(browser, tmp_path, plan_html(fleet(10, 30)))
        assert not browser.run("document.getElementById('filter').checkVisibility()")
        assert len(browser.run(SHOWN)) == 30
        browser.run("document.querySelector('.c > summary').click()")
        assert "service agent on 10 hosts" in browser.run("document.querySelector('.c[open]').innerText")
        assert "need JavaScript" in browser.run("document.body.textContent")
    finally:
        browser.scripts(allowed=True)


def test_what_is_folded_is_printed(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, plan_html(fleet(10, 30)))
    unseen = "[...document.querySelectorAll('.b')].filter(body => !body.checkVisibility()).length"
    assert browser.run(unseen) == 30
    browser.look(1280, 900, media="print")
    assert browser.run(unseen) == 0
    assert not browser.run("document.getElementById('filter').checkVisibility()")
    browser.look(1280, 900)


@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("make", [mixed, fleet, lambda: golden("hostile")], ids=["mixed", "fleet", "hostile"])
def test_no_page_is_wider_than_its_window(
    browser: Browser, tmp_path: Path, width: int, make: Callable[[], Plan]
) -> None:
    browser.look(width, 900)
    show(browser, tmp_path, plan_html(make()))
    browser.run("document.getElementById('unfold').click()")
    assert browser.run("document.documentElement.scrollWidth") <= width
    browser.look(1280, 900)


def test_ten_thousand_changes_can_be_filtered(browser: Browser, tmp_path: Path) -> None:
    show(browser, tmp_path, plan_html(distinct()))
    assert browser.run("document.querySelectorAll('.c').length") == 10_000
    said, shown = put(browser, "q", "n042.step7.example.org")
    assert said == "10 of 10,000 changes match."
    assert len(shown) == 10
    assert browser.problems == []
