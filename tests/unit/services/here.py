"""A project on this machine: documents, state and files in one directory, and what an apply of it did."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubexms.executor.debug import Prompter
from kubexms.executor.events import Event, StepFinished, StepResult, StepStarted
from kubexms.executor.stop import StopSignal
from kubexms.plan.model import Plan, PlanOptions
from kubexms.services.applying import ApplyOptions, apply
from kubexms.services.planning import plan
from kubexms.services.project import Project, Settings, open_project
from kubexms.state.model import StateSnapshot

IMAGE, DIGEST = "r.example/x:1", f"sha256:{'0' * 64}"
_CTR = """\
#!/bin/sh
[ -e {0}/up ] || {{ echo 'ctr: connection refused' >&2; exit 1; }}
case "$*" in
*'images check'* | *'images ls'*) echo 'REF TYPE DIGEST STATUS'; cat {0}/images ;;
*'images pull'*) echo '{1} t {2} complete' >>{0}/images ;;
*'images rm'*) : >{0}/images ;;
esac
"""


@dataclass
class Ran:
    results: dict[str, StepResult]
    together: bool
    """Whether all had begun before the first ended."""
    state: StateSnapshot

    @property
    def statuses(self) -> list[str]:
        """In the order of the steps' names."""
        return [result.status.value for result in self.results.values()]


class Here:
    """A project on this machine, whose files and state are in one directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = root / "files"
        self.files.mkdir()
        self.host = root / "host"

    def steps(self, *steps: Mapping[str, object]) -> None:
        """Write the documents."""
        spec = {"modules": [{"name": "m", "tasks": [{"name": "t", "steps": list(steps)}]}]}
        local = {"hosts": [{"name": "here", "connection": {"type": "local"}}]}
        for kind, content in (("Pipeline", spec), ("Inventory", local)):
            document = {"apiVersion": "kubexms.io/v1alpha1", "kind": kind, "metadata": {"name": "x"}}
            (self.root / f"{kind}.json").write_text(json.dumps({**document, "spec": content}))

    def file(self, name: str, text: str = "new\n", **more: object) -> dict[str, object]:
        """A step that writes a file; `name` may lead into a directory."""
        path = str(self.files / name)
        return {"name": name.replace("/", "-"), "kind": "file", "path": path, "content": text, **more}

    def containerd(self, images: str) -> tuple[Path, Path]:
        """A directory for PATH whose `ctr` knows these images, and the file that it needs to answer."""
        programs = self.root / "bin"
        programs.mkdir()
        (programs / "ctr").write_text(_CTR.format(self.files, IMAGE, DIGEST))
        (programs / "ctr").chmod(0o755)
        (self.files / "images").write_text(images)
        self.steps({"name": "i", "kind": "containerdImage", "ref": IMAGE, "digest": DIGEST})
        return programs, self.files / "up"

    def texts(self) -> dict[str, str]:
        """What is there."""
        return {path.name: path.read_text() for path in sorted(self.files.rglob("*")) if path.is_file()}

    @contextmanager
    def opened(self) -> Iterator[Project]:
        project = open_project(Settings(root=self.root, environ={}))
        try:
            yield project
        finally:
            project.close()

    def apply(
        self,
        *,
        meanwhile: Callable[[], object] = lambda: None,
        prompter: Prompter | None = None,
        destroy: bool = False,
    ) -> Ran:
        """Apply; `meanwhile` happens between the look at the host and the first step."""
        events: list[Event] = []

        def approve(made: Plan) -> bool:
            meanwhile()
            return True

        options = PlanOptions(operation="destroy") if destroy else PlanOptions()
        with self.opened() as project:
            outcome = apply(
                project,
                options,
                ApplyOptions(debug=prompter),
                saved=None,
                approve=approve,
                listener=events.append,
                stop=StopSignal(),
            )
            state = project.store.snapshot()
        if not outcome.plan.effective:
            return Ran({}, False, state)
        assert outcome.result is not None
        kinds = [type(event) for event in events if isinstance(event, StepStarted | StepFinished)]
        first = kinds.index(StepFinished)
        results = {result.address: result for result in outcome.result.results}
        return Ran(results, first == len(results) > 1, state)

    def is_right(self) -> bool:
        """Whether a plan finds nothing to do."""
        with self.opened() as project:
            return not plan(project, PlanOptions(), listener=lambda event: None).effective
