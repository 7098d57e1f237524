"""What only the merged project can tell: names of each other, cycles, templates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from kubexms.config.cycles import cycles, steps_before_their_time
from kubexms.config.expansion import ModuleScope
from kubexms.config.references import (
    dependencies,
    duplicate_hooks,
    moves,
    reserved_names,
    selections,
    unkept_outputs,
    watched,
)
from kubexms.config.sources import SourceMap
from kubexms.config.templatecheck import templates
from kubexms.diagnostics import Diagnostic
from kubexms.spec.inventory import Host
from kubexms.spec.pipeline import PipelineSpec


def check(
    pipeline: PipelineSpec,
    scopes: Mapping[str, ModuleScope],
    hosts: Sequence[Host],
    roles: frozenset[str] | None,
    sources: SourceMap,
) -> Iterator[Diagnostic]:
    """Errors and warnings. `roles` are all that inventories name; None: there is no inventory."""
    for found in _check(pipeline, scopes, hosts, roles, sources):
        yield replace(found, path=found.path or sources.path_of(found.source))


def _check(
    pipeline: PipelineSpec,
    scopes: Mapping[str, ModuleScope],
    hosts: Sequence[Host],
    roles: frozenset[str] | None,
    sources: SourceMap,
) -> Iterator[Diagnostic]:
    wrong = list(dependencies(pipeline, sources))
    yield from wrong
    if not wrong:
        yield from cycles(pipeline, sources)
    yield from steps_before_their_time(pipeline, sources)
    yield from watched(pipeline, sources)
    yield from duplicate_hooks(pipeline, sources)
    yield from reserved_names(pipeline, sources)
    yield from unkept_outputs(pipeline, sources)
    yield from moves(pipeline)
    if roles is not None:
        yield from selections(pipeline, hosts, roles, sources)
    yield from templates(pipeline, scopes, hosts, sources)
