"""A machine of one's own, per shell, for kinds of the system."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.steps.machine import Machine, machine
from tests.steps.sandbox import SHELLS


@pytest.fixture(params=[shell for shell in SHELLS if shutil.which(shell)])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    with machine(request.param, tmp_path) as made:
        yield made


@pytest.fixture(params=[shell for shell in SHELLS if shell != "busybox" and shutil.which(shell)])
def host_with_stand_ins(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Machine]:
    """Without busybox, whose sh runs its own modprobe, swapoff and dpkg and not what stands in for them."""
    with machine(request.param, tmp_path) as made:
        yield made
