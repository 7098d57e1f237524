"""Intents of steps that are done together, in every store."""

from __future__ import annotations

from kubexms.state.protocol import StateStore
from tests.contract.state.test_store import info, intent, record, step


def test_intents_of_steps_done_together(store: StateStore) -> None:
    names = ["m/t/a@n1", "m/t/b@n1"]
    with store.lock(info(), timeout=0) as writer:
        writer.open_intents([intent(name) for name in names])
        assert list(store.snapshot().intents) == names
        writer.close_intents([(record(names[0]), step(names[0]))], run="r1")
        assert list(store.snapshot().intents) == names[1:]
        writer.withdraw_intents(names)
    assert (list(store.snapshot().steps), store.snapshot().intents) == (names[:1], {})
