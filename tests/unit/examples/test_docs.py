"""The documentation says what is so: its documents load, its commands exist, its links lead somewhere."""

from __future__ import annotations

import ast
import itertools
import shlex
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import yaml

from kubexms.builder.kinds import DOCUMENT_KINDS
from kubexms.cli.main import main as _main  # noqa: F401  # the module must be importable as the command is
from kubexms.config.discover import Discovery
from kubexms.config.documents import SchemaSet
from kubexms.config.problems import Problems
from kubexms.config.project import load_project
from kubexms.errors import ConfigError
from kubexms.runtime.connect import run_local_command
from kubexms.step.registry import default_registry
from tests.unit.examples.markdown import ROOT, Block, anchors, blocks, links, pages

OUTSIDE = (
    "source: ./",
    "artifacts: ./",
    "kustomize: ./",
    "varsFrom:",
    "environments:",
    "required: true",
    "from: {",
    "    from:",
)
"""What marks a document that other files, programs, or choices belong to."""
SHELL = {"|", "||", "&&", ";", ">", ">>", "<"}
HEAD = "apiVersion: kubexms.io/v1alpha1\nkind: {kind}\nmetadata: {{name: page}}\nspec:\n"
ANYBODY = HEAD.format(kind="Inventory") + (
    "  roles: {web: {}, node: {}, demo: {}, db: {}}\n"
    "  hosts:\n    - {name: web1, roles: [web, node, demo, db], vars: {release: a, data_dir: /srv}}\n"
)


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_yaml_loads(block: Block, tmp_path: Path) -> None:
    text = block.text if "apiVersion:" in block.text else _as_pipeline(block)
    (tmp_path / "page.yaml").write_text(text)
    if "kind: Inventory" not in text:
        (tmp_path / "inventory.yaml").write_text(ANYBODY)
    try:
        if any(word in text for word in OUTSIDE):
            _read_only(tmp_path / "page.yaml")
            return
        load_project(
            tmp_path,
            registry=default_registry(plugins=False),
            run_command=run_local_command,
            kinds=DOCUMENT_KINDS,
        )
    except ConfigError as error:
        pytest.fail("\n".join(f"{item.summary} {item.detail}" for item in error.diagnostics))


def _read_only(path: Path) -> None:
    """Read and validate, without what the documents need of the world around them."""
    problems = Problems()
    schemas = SchemaSet(default_registry(plugins=False))
    discovery = Discovery(DOCUMENT_KINDS, schemas, problems)
    assert discovery.valid(discovery.read([path]))
    problems.raise_errors()


def _as_pipeline(block: Block) -> str:
    """A list of steps becomes a task of a pipeline that declares the variables that steps name."""
    steps = yaml.safe_load(block.text)
    assert isinstance(steps, list), f"{block}: neither a document nor a list of steps"
    there = {step["name"] for step in steps}
    watched = {name for step in steps for on in ("restartOn", "reloadOn") for name in step.get(on, [])}
    stubs = [f"- {{name: {name}, kind: file, path: /etc/{name}}}\n" for name in sorted(watched - there)]
    variables = "  variables: {release: {type: string, default: a}}\n"
    modules = "  modules:\n    - name: m\n      tasks:\n        - name: t\n          steps:\n"
    listed = textwrap.indent("".join(stubs) + block.text, " " * 12)
    return HEAD.format(kind="Pipeline") + variables + modules + listed


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_commands_exist(block: Block) -> None:
    for line in block.text.splitlines():
        words = list(itertools.takewhile(lambda word: word not in SHELL, shlex.split(line, comments=True)))
        words = [word for word in words if not word.startswith(">")]
        if words and words[0] == "kubexms":
            _check_command(words[1:], line)


@pytest.mark.parametrize("block", blocks("sh"), ids=str)
def test_what_is_to_be_made_can_be(block: Block) -> None:
    rules = {line.partition(":")[0] for line in (ROOT / "Makefile").read_text().splitlines() if ":" in line}
    for line in block.text.splitlines():
        words = list(itertools.takewhile(lambda word: word not in SHELL, shlex.split(line, comments=True)))
        if words and words[0] == "make":
            assert words[1:], f"{line}: that shows the targets only"
            assert set(words[1:]) <= rules


def _check_command(words: list[str], line: str) -> None:
    command = _root()
    context = click.Context(command, info_name="kubexms")
    while words:
        word = words.pop(0)
        if word.startswith("-"):
            name = word.partition("=")[0]
            option = next((o for o in command.params if name in (*o.opts, *o.secondary_opts)), None)
            assert isinstance(option, click.Option), f"{line}: {command.name} has no option {name}"
            if not option.is_flag and "=" not in word and option.nargs == 1 and not _optional(option):
                assert words, f"{line}: {name} needs a value"
                words.pop(0)
        elif isinstance(command, click.Group):
            inner = command.get_command(context, word)
            assert inner is not None, f"{line}: there is no command {word}"
            command, context = inner, click.Context(inner, info_name=word, parent=context)


def _optional(option: click.Option) -> bool:
    return getattr(option, "_flag_needs_value", False)


def _root() -> click.Command:
    from kubexms.cli import main

    found = [item for item in vars(main).values() if isinstance(item, click.Group)]
    assert found, "kubexms.cli.main holds no click group"
    return found[0]


@pytest.mark.parametrize("block", blocks("python"), ids=str)
def test_python_runs(block: Block) -> None:
    ast.parse(block.text)
    scope: dict[str, Any] = {"__name__": "page"}
    exec(compile(block.text, str(block), "exec", dont_inherit=True), scope)


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    broken = [link for link in links(page) if not _leads(page, link)]
    assert not broken


def _leads(page: Path, link: str) -> bool:
    if "://" in link:
        return True
    path, _, anchor = link.partition("#")
    target = (page.parent / path) if path else page
    if not target.exists():
        return False
    return not anchor or (target.suffix == ".md" and anchor in anchors(target))


def test_every_page_is_linked() -> None:
    reached = set(_reachable(ROOT / "README.md"))
    assert [str(page) for page in pages() if page not in reached] == []


def _reachable(start: Path) -> Iterator[Path]:
    seen = {start}
    queue = [start]
    while queue:
        page = queue.pop()
        yield page
        for link in links(page):
            target = (page.parent / link.partition("#")[0]).resolve()
            if target.is_dir():
                target /= "README.md"
            if target.suffix == ".md" and target.is_file() and target not in seen:
                seen.add(target)
                queue.append(target)


def test_reference_is_current() -> None:
    done = subprocess.run(
        [sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, f"run `python docs/generate.py`\n{done.stderr}"
