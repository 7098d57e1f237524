"""Modules from elsewhere: whose tasks, in which order, with which variables."""

from __future__ import annotations

from pathlib import Path

from kubexms.spec.pipeline import Dependency, WaitScope
from tests.unit.config.projects import INVENTORY, load, write

HEAD = "apiVersion: kubexms.io/v1alpha1\nkind: Pipeline\nmetadata: {name: p}\nspec:\n"

OUTER = """\
  variables: {size: {default: 5}}
  modules:
    - name: base
      source: ./mod
      with: {size: "{{ vars.size }}"}
      runOnRoles: [node]
      hooks: {pre: [{name: outer, run: "true"}]}
    - name: other
      tasks: [{name: t, steps: [{name: f, kind: file, path: /z}]}]
"""

INNER = """\
  variables: {size: {type: integer, required: true}, colour: {default: red}}
  hooks: {post: [{name: whole, run: "true"}]}
  modules:
    - name: one
      hooks: {pre: [{name: inner, run: "true"}]}
      tasks:
        - {name: a, steps: [{name: f, kind: file, path: /a, content: "{{ vars.size }}{{ vars.colour }}"}]}
        - {name: b, dependsOn: [], steps: [{name: f, kind: file, path: /b}]}
    - name: two
      when: vars.size > 1
      runOnRoles: [node]
      strategy: {maxParallel: 1}
      tasks:
        - {name: c, when: "{{ vars.colour == 'red' }}", steps: [{name: f, kind: file, path: /c}]}
        - {name: d, runOnRoles: [gpu], steps: [{name: f, kind: file, path: /d}]}
        - {name: e, dependsOn: [], steps: [{name: f, kind: file, path: /e}]}
        - {name: g, dependsOn: [one/a, c], steps: [{name: f, kind: file, path: /g}]}
    - name: three
      dependsOn: [one]
      tasks: [{name: h, steps: [{name: f, kind: file, path: /h}]}]
"""


def everyone(*names: str) -> tuple[Dependency, ...]:
    return tuple(Dependency(task=name, scope=WaitScope.ALL) for name in names)


def test_expansion(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "p.yaml": HEAD + OUTER,
            "i.yaml": INVENTORY.replace("[node]", "[node, gpu]"),
            "mod/p.yaml": HEAD + INNER,
        },
    )
    project = load(tmp_path)
    base, other = project.pipeline.modules
    assert (base.name, base.source, base.with_, base.run_on_roles) == ("base", None, {}, ("node",))
    assert [task.name for task in base.tasks] == ["a", "b", "c", "d", "e", "g", "h"]
    tasks = {task.name: task for task in base.tasks}
    assert tasks["a"].depends_on == ()
    assert tasks["b"].depends_on == ()
    assert tasks["c"].depends_on == everyone("a", "b"), (
        "a phase begins when the one before has ended everywhere"
    )
    assert tasks["d"].depends_on is None, "after the task before it, as written"
    assert tasks["e"].depends_on == everyone("a", "b"), "not even a task without dependencies runs ahead"
    assert tasks["g"].depends_on == (*everyone("a"), Dependency(task="c"))
    assert tasks["h"].depends_on == everyone("a", "b")
    assert tasks["c"].when == "(vars.size > 1) and (vars.colour == 'red')"
    assert tasks["c"].run_on_roles == ("node",)
    assert tasks["d"].run_on_roles == ("gpu",)
    assert tasks["d"].when == "('node' in host.roles) and (vars.size > 1)"
    assert tasks["c"].strategy.max_parallel == 1
    assert [hook.name for hook in base.hooks.pre] == ["outer", "inner"]
    assert [hook.name for hook in base.hooks.post] == ["whole"]
    assert other.depends_on is None


def test_scopes_and_places(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "p.yaml": HEAD + OUTER,
            "i.yaml": INVENTORY.replace("[node]", "[node, gpu]"),
            "mod/p.yaml": HEAD + INNER,
        },
    )
    project = load(tmp_path)
    scope = project.scopes["base"]
    assert scope.base_dir == tmp_path / "mod"
    assert scope.outer is not None
    assert scope.outer.base_dir == tmp_path
    found = {name: (variable.value, variable.source) for name, variable in scope.variables.items()}
    assert found == {"size": ("{{ vars.size }}", "with"), "colour": ("red", "default")}
    place = project.sources.lookup("base", "a", "f", ("content",))
    assert place is not None
    assert place.filename == str(tmp_path / "mod/p.yaml")
    outer = project.sources.lookup("base")
    assert outer is not None
    assert outer.filename == str(tmp_path / "p.yaml")


def test_a_source_used_twice_is_two_modules(tmp_path: Path) -> None:
    outer = "  modules: [{name: a, source: ./mod, with: {x: 1}}, {name: b, source: mod, with: {x: 2}}]\n"
    inner = "  variables: {x: {}}\n  modules:\n"
    inner += "    - {name: m, tasks: [{name: t, steps: [{name: f, kind: file, path: /a}]}]}\n"
    write(tmp_path, {"p.yaml": HEAD + outer, "i.yaml": INVENTORY, "mod/p.yaml": HEAD + inner})
    project = load(tmp_path)
    assert [project.scopes[name].variables["x"].value for name in ("a", "b")] == [1, 2]
    assert [len(module.tasks) for module in project.pipeline.modules] == [1, 1]


def test_sources_of_sources(tmp_path: Path) -> None:
    outer = "  modules: [{name: a, source: ./x}]\n"
    middle = "  modules: [{name: m, source: ../y}]\n"
    inner = "  modules: [{name: i, tasks: [{name: t, steps: [{name: f, kind: file, path: /a}]}]}]\n"
    write(
        tmp_path,
        {"p.yaml": HEAD + outer, "i.yaml": INVENTORY, "x/p.yaml": HEAD + middle, "y/p.yaml": HEAD + inner},
    )
    project = load(tmp_path)
    assert [task.name for task in project.pipeline.modules[0].tasks] == ["t"]
    place = project.sources.lookup("a", "t", "f")
    assert place is not None
    assert place.filename == str(tmp_path / "y/p.yaml")
