"""A project on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.services.here import Here


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Here:
    found = Here(tmp_path)
    monkeypatch.setenv("KUBEXMS_HOST_STATE", str(found.host))
    return found
