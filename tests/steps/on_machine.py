"""One step of one kind, on a machine."""

from __future__ import annotations

from typing import Any

from kubexms.step.observation import Observation
from kubexms.step.registry import default_registry
from tests.steps.machine import Machine
from tests.steps.sandbox import Subject

REGISTRY = default_registry(plugins=False)


class Step:
    """One step of one kind on a machine."""

    def __init__(self, host: Machine, kind: str, **fields: Any) -> None:
        self.executor = REGISTRY.get(kind)
        self.spec = self.executor.spec.from_json(fields)
        self.subject = Subject(self.executor, host)

    def observe(self) -> Observation:
        return self.subject.observe(self.spec)

    def apply(self) -> Observation:
        return self.subject.apply(self.spec)

    def fails(self) -> str:
        return self.subject.fails(self.spec)

    def there_and_back(self) -> None:
        """Apply and undo: the host is as it was found."""
        prior = self.apply()
        self.subject.undo(self.spec, prior)
        assert self.observe() == prior
