"""Directories of artifacts: checking their files, adding to them, packing them to be carried."""

from kubexms.services.artifacts.adding import Named, add
from kubexms.services.artifacts.checking import Finding, Verdict, check
from kubexms.services.artifacts.packing import pack

__all__ = ["Finding", "Named", "Verdict", "add", "check", "pack"]
