"""Which objects of a host are managed, and by whom: what claims have left on the host."""

from __future__ import annotations

from typing import Final

from kubexms.runtime.protocol import Fragment, Record
from kubexms.runtime.quoting import shell_source

OWNERS: Final = Fragment(shell_source("owners.sh"), timeout=20.0)


def parse_owners(record: Record) -> dict[str, str]:
    """Object id -> lineage, from the record of `OWNERS`."""
    owners: dict[str, str] = {}
    for line in record.text.decode("utf-8", "replace").splitlines():
        name, separator, lineage = line.removeprefix("./").partition(":")
        if separator and "." not in name:
            owners[name] = lineage
    return owners
