"""What steps found out at their last success, given back to those whose kind makes use of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from kubexms.plan.rendered import Instance, Rendered
from kubexms.state.model import StepState


class Recaller:
    """Gives kinds what they remembered. The same step gets the same rendered one each time."""

    def __init__(self, steps: Mapping[str, StepState]) -> None:
        """`steps`: the state's entries by address."""
        self._steps = steps
        self._known: dict[tuple[int, str], tuple[Rendered, Rendered]] = {}

    def recalled(self, instance: Instance) -> Instance:
        """The instance, with what its kind remembered of it on this host."""
        rendered = instance.rendered
        executor = rendered.executor
        if not executor.recalls or rendered.unknown_identity is not None:
            return instance
        address = str(instance.address)
        entry = self._steps.get(address)
        if entry is None or entry.remembered is None or entry.kind != executor.kind:
            return instance
        key = (id(rendered), address)
        if key not in self._known:
            spec = executor.recall(rendered.spec, entry.remembered)
            self._known[key] = (rendered, replace(rendered, spec=spec))
        return replace(instance, rendered=self._known[key][1])
