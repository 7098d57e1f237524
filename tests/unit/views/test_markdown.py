"""The pull-request comment: what comes first, is folded, is cut, and cannot break out of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kubexms.plan.model import (
    Change,
    HostStatus,
    Plan,
    PlanDiagnostic,
    PlannedHook,
    Removal,
    TextDiff,
)
from kubexms.step.contract import ActionKind, Disruption
from kubexms.views.markdown import COMMENT_LIMIT, SUMMARY_LIMIT, plan_markdown
from kubexms.views.markdown.markup import code, fenced, shortened
from tests.golden.cases import CASES, create, host, plan, update

GFM = MarkdownIt("commonmark").enable(["table", "strikethrough"])
OPEN = {"br", "hr", "img", "input"}
KNOWN = {
    "h3", "h4", "p", "strong", "b", "sub", "code", "pre", "table", "tr", "th", "td",
    "details", "summary", "ul", "li",
}  # fmt: skip


@dataclass
class Page(HTMLParser):
    """What a browser would make of the comment: texts with the elements around them."""

    texts: list[tuple[tuple[str, ...], str]] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str | None]] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in OPEN:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack
        assert self.stack[-1] == tag, f"</{tag}> ends {self.stack}"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        self.texts.append((tuple(self.stack), data))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def outside_code(self) -> str:
        """What Markdown, mentions and links would be looked for in."""
        return "".join(text for stack, text in self.texts if not {"code", "pre"} & set(stack))


def page_of(comment: str) -> Page:
    page = Page()
    page.feed(GFM.render(comment))
    page.close()
    assert page.stack == []
    return page


def fleet(hosts: int, steps: int) -> Plan:
    """The same changes on many hosts: files with a diff, packages and restarts in turn."""
    changes = []
    for number in range(steps):
        for name in (f"n{index:03}" for index in range(1, hosts + 1)):
            address = f"module{number // 10}/task{number // 5 % 2}/step{number}@{name}"
            if number % 3 == 0:
                text = TextDiff(before="one\ntwo\nthree\n", after=f"one\n2 of {number}\nthree\n")
                more = {"summary": f"/etc/app/{number}.conf", "text": {"content": text}}
                changes.append(update(address, "file", {"sha256": "1" * 64}, {"sha256": "2" * 64}, **more))
            elif number % 3 == 1:
                changes.append(create(address, "package", {"state": "installed"}, summary=f"tool{number}"))
            else:
                changes.append(
                    update(
                        address, "service", {"running": False}, {"running": True},
                        summary=f"app{number}.service", disruption=Disruption.RESTART,
                    )
                )  # fmt: skip
    return plan(*changes)


def blocks(comment: str) -> list[str]:
    return re.findall(r"<summary>(.*?)</summary>", comment)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_case_is_sound(case: object) -> None:
    made = next(item for item in CASES if item is case).plan()
    page = page_of(plan_markdown(made))
    assert set(page.tags) <= KNOWN
    assert page.tags.count("details") == page.tags.count("summary")


def test_a_hundred_hosts_with_fifty_changes_are_read_in_a_minute() -> None:
    comment = plan_markdown(fleet(100, 50))
    assert len(comment.encode()) < 20 * 1024
    assert (
        "**Plan: 1700 to add, 3300 to change, 0 to destroy.** On 100 of 100 hosts, **1600 restarts**."
        in comment
    )
    shown = blocks(comment)
    assert len(shown) == 50
    assert all("<code>n[001-100]</code>, 100 hosts" in title for title in shown)
    assert comment.count("```diff\n") == 50
    assert "Too long" not in comment


def test_what_destroys_or_interrupts_comes_first_and_worst_first() -> None:
    changes = [
        create("a/t/harmless@n1", "file", {"mode": "0644"}),
        update("b/t/restart@n1", "service", {"x": 1}, {"x": 2}, disruption=Disruption.RESTART),
        update("c/t/reboot@n1", "reboot", {"x": 1}, {"x": 2}, disruption=Disruption.REBOOT),
        Change(address="d/t/gone@n1", kind="file", action=ActionKind.DELETE, before={"mode": "0644"}),
        update("e/t/disk@n1", "mount", {"x": 1}, {"x": 2}, disruption=Disruption.DATA_LOSS),
    ]
    comment = plan_markdown(plan(*changes))
    order = [re.findall(r"<code>(\w)/t/\w+</code>", title)[0] for title in blocks(comment)]
    assert order == ["e", "d", "c", "b", "a"]
    assert comment.index("#### Destroys or interrupts") < comment.index("<code>e/t/disk</code>")
    assert comment.index("<code>b/t/restart</code>") < comment.index("#### Changes")


def test_the_blast_radius_by_module_and_role() -> None:
    changes = [
        create("os/t/a@n1", "file", {"mode": "0644"}),
        create("os/t/a@n2", "file", {"mode": "0644"}),
        update("app/t/b@n2", "service", {"x": 1}, {"x": 2}, disruption=Disruption.RESTART),
    ]
    hosts = (host("n1"), host("n2").model_copy(update={"roles": ("node", "db")}))
    comment = plan_markdown(plan(*changes, hosts=hosts))
    rows = re.findall(r"<tr><td>(.*?)</td></tr>", comment)
    cells = [re.sub(r"</?code>", "", row).split("</td><td>") for row in rows]
    assert cells == [
        ["module app", "1", "", "1", "", "1 restart"],
        ["module os", "2", "2", "", "", ""],
        ["role db", "1", "1", "1", "", "1 restart"],
        ["role node", "2", "2", "1", "", "1 restart"],
    ]


def test_hosts_without_an_order_in_their_names_are_listed_once() -> None:
    names = [f"{word}-{ending}" for word in ("alder", "birch", "cedar", "elm") for ending in "abcdefghijk"]
    changes = [
        create(f"os/t/s{n}@{name}", "file", {"mode": f"0{n}44"}) for n in range(4, 7) for name in names
    ]
    comment = plan_markdown(plan(*changes))
    assert comment.count("alder-a") == 1
    assert comment.count("<b>hosts 1</b>, 44 hosts") == 3


def test_whole_changes_are_cut_and_counted() -> None:
    changes = [
        create(
            f"os/t/s{number:05}@n{number % 7}", "file", {"mode": "0644"}, summary=f"/etc/{number}",
            text={"content": TextDiff(after=f"line of {number}\n" * 20)},
        )
        for number in range(3000)
    ]  # fmt: skip
    comment = plan_markdown(plan(*changes))
    assert COMMENT_LIMIT - 1000 < len(comment.encode()) <= COMMENT_LIMIT
    page_of(comment)
    named = comment.count(" will be created on ")
    told = re.search(
        r"Too long for a comment: (\d+) changes shown without a diff, (\d+) changes left out", comment
    )
    assert told is not None
    assert int(told[2]) == 3000 - named
    assert int(told[1]) == named

    whole = plan_markdown(plan(*changes), SUMMARY_LIMIT)
    assert len(whole.encode()) <= SUMMARY_LIMIT
    assert whole.count(" will be created on ") == 3000
    assert whole.count("```diff") > 1000


def test_one_endless_diff_does_not_push_out_the_others() -> None:
    endless = "".join(f"{'x' * 390} {number}\n" for number in range(4000))
    changes = [
        create(f"os/t/{name}@n1", "file", {"mode": "0644"}, text={"content": TextDiff(after=endless + name)})
        for name in "abcdefgh"
    ]
    small = create("os/t/z@n1", "file", {"mode": "0644"}, text={"content": TextDiff(after="small\n")})
    comment = plan_markdown(plan(*changes, small), 40_000)
    assert len(comment.encode()) <= 40_000
    assert "small" in comment
    assert re.search(r"\*\*Too long for a comment: \d changes? shown without a diff\.\*\*", comment)


NASTY = [
    "</details>", "</code></pre></summary><h1>@octocat</h1>", "``` @octocat\n```", "`````````",
    "| a | b |\n|--|--|", "@octocat please", "#1 fixes #2", "<!-- kubexms plan site default -->", "-->",
    "<script>alert(1)</script>", "[x](https://example.org)", "![x](https://example.org/x.png)",
    "https://example.org", "&lt;b&gt; &#64;octocat", "a\n\n# heading @octocat\n\n", "\r\n\r\n> quote",
    "***bold***", "\\`", "$\\text{x}$", "/label ~bug", "\u202eevil",
]  # fmt: skip


def hostile(text: str) -> Plan:
    """A plan that says `text` wherever it can."""
    name = "z" + re.sub(r"[/@\[\]]", "_", text)
    address = f'os/files/{name}["{text.replace(chr(34), "_")}"]@n1'
    changes = [
        update(
            address, "file", {"title": text, "list": [text]}, {"title": text + ".", "list": []},
            summary=text, notes=(text,), unknown="", triggered_by=(text,),
            text={"content": TextDiff(before=text, after=f"{text}\n+ {text}\n@@ -1 +1 @@\n")},
        ),
        create("os/files/b@n1", "file", {text or "x": text}, summary=text, disruption=Disruption.DATA_LOSS),
        update("os/files/c@n1", "file", {}, {"x": 1}, unknown=text or "x"),
    ]  # fmt: skip
    return plan(
        *changes,
        hosts=(
            host("n1").model_copy(update={"roles": (text,)}),
            host("n2", HostStatus.UNREACHABLE, f"no route, {text}"),
            host("n3", HostStatus.MAINTENANCE, text),
        ),
        hooks=(PlannedHook(address="os/hook[x]@controller", phase="pre", run=text, on="controller"),),
        removals=(Removal(host=text or "x", steps=1, allowed=False),),
        diagnostics=(
            PlanDiagnostic(severity="warning", summary=text, detail=f"see {text}\n\n{text}", address=address),
        ),
    ).model_copy(update={"project": text, "workspace": text, "tool_version": text})


def check_sealed(text: str) -> None:
    """What comes from elsewhere is in code, whole, and leaves the page as it is around it."""
    calm, page = page_of(plan_markdown(hostile("calm"))), page_of(plan_markdown(hostile(text)))
    assert page.tags == calm.tags
    assert page.attributes == calm.attributes
    assert len(page.comments) == 1
    assert re.fullmatch(r" kubexms plan [\w.-]* [\w.-]* ", page.comments[0])
    without_time_and_digest = re.compile(r"\s+")
    assert without_time_and_digest.sub(" ", page.outside_code()) == without_time_and_digest.sub(
        " ", calm.outside_code()
    )


@pytest.mark.parametrize("text", NASTY)
def test_nothing_breaks_out(text: str) -> None:
    check_sealed(text)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([*NASTY, "`", "\n", " ", "<", "a", "|", "*", "\t", "~~~"]), min_size=1).map(
        "".join
    )
)
def test_no_mixture_breaks_out(text: str) -> None:
    check_sealed(text)


@given(st.text())
def test_a_fence_holds_whatever_it_is_given(text: str) -> None:
    lines = [shortened(line) for line in text.split("\n")]
    clean = [
        re.sub(r"[\r\x00\x0b\x0c\x1c-\x1f\x85\u2028\u2029\ud800-\udfff\ufffd]", "", line) for line in lines
    ]
    tokens = GFM.parse(fenced(clean, "diff"))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == "".join(f"{line}\n" for line in clean)


def _visible(page: Page) -> Iterator[str]:
    yield from (text for _, text in page.texts)


def test_code_shows_the_text_itself() -> None:
    page = Page()
    page.feed(code("a & b <c> &lt; `d`"))
    assert "".join(_visible(page)) == "a & b <c> &lt; `d`"


def test_a_plan_without_changes_and_one_with_errors() -> None:
    clean = plan_markdown(plan(hosts=(host("n1"),)))
    assert "**No changes. Your infrastructure matches the configuration.** 1 host compared." in clean
    broken = plan(
        create("a/t/s@n1", "file", {}), diagnostics=(PlanDiagnostic(severity="error", summary="it is wrong"),)
    )
    comment = plan_markdown(broken)
    assert "**This plan holds errors and cannot be applied.**" in comment
    assert "<p><b>Error:</b> <code>it is wrong</code></p>" in comment
    assert "--digest" not in comment


def test_the_marker_is_the_first_line_and_one_for_each_workspace() -> None:
    first = plan_markdown(plan(hosts=(host("n1"),)))
    assert first.splitlines()[0] == "<!-- kubexms plan site default -->"
    other = plan(hosts=(host("n1"),)).model_copy(update={"workspace": "prod"})
    assert plan_markdown(other).splitlines()[0] == "<!-- kubexms plan site prod -->"
