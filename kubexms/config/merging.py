"""Several Pipeline documents of one directory are one pipeline."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kubexms.config.documents import Validated
from kubexms.config.problems import Problems
from kubexms.spec.pipeline import Hooks, HookSpec, PipelineSpec, Strategy
from kubexms.spec.variable import VariableSpec


@dataclass(frozen=True, slots=True)
class Written:
    """One pipeline as a document gives it, itself or built from what it declares."""

    document: Validated
    spec: PipelineSpec


def pipelines(
    documents: Sequence[Validated], build: Callable[[Validated], PipelineSpec | None]
) -> Iterator[Written]:
    """Pipeline documents, and those whose kind is built into one; what `build` gives None for is left out."""
    for item in documents:
        if isinstance(item.spec, PipelineSpec):
            yield Written(item, item.spec)
        elif item.kind.build is not None:
            built = build(item)
            if built is not None:
                yield Written(item, built)


def declarations(written: Sequence[Written], problems: Problems) -> dict[str, VariableSpec]:
    """All declared variables. Two documents may declare one alike; differently is a problem."""
    declared: dict[str, VariableSpec] = {}
    for item in written:
        for name, spec in item.spec.variables.items():
            if declared.setdefault(name, spec) != spec:
                problems.add(
                    item.document.document.error(
                        ("spec", "variables", name),
                        f"variable '{name}' is declared twice, and differently",
                        "Declare it once; every pipeline of a directory sees it.",
                        key=True,
                    )
                )
    return declared


def hooks(written: Sequence[Written]) -> Hooks:
    """The hooks of all, in document order; a name twice is told with the other duplicates."""

    def all_of(name: str) -> tuple[HookSpec, ...]:
        return tuple(hook for item in written for hook in getattr(item.spec.hooks, name))

    return Hooks(pre=all_of("pre"), post=all_of("post"), on_failure=all_of("on_failure"))


def strategy(written: Sequence[Written], problems: Problems) -> Strategy:
    """The one strategy of the whole; two documents cannot both set it."""
    chosen = [item for item in written if item.spec.strategy != Strategy()]
    for item in chosen[1:]:
        if item.spec.strategy != chosen[0].spec.strategy:
            where = chosen[0].document.document.filename
            problems.add(
                item.document.document.error(
                    ("spec", "strategy"),
                    "a second strategy for the whole pipeline",
                    f"The first is in {where}.",
                )
            )
    return chosen[0].spec.strategy if chosen else Strategy()
