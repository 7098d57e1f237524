"""Programs of others, each in an environment of its own, that read what kubexms writes."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".review-venv" / "bin"
MISSING = "" if PROGRAMS.is_dir() else "make review has not been run"
"""Why they cannot be run; empty: they can."""
