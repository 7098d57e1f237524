"""`python -m kubexms.config.schemas`: write the published JSON Schemas, one per kind of document."""

from __future__ import annotations

import argparse
import json
import pkgutil
from collections.abc import Sequence
from pathlib import Path

from kubexms.config.documents import DocumentKinds, KindCatalog, SchemaSet

DIRECTORY = Path("schemas")
REGISTRY = "kubexms.step.registry:default_registry"
KINDS = "kubexms.builder.kinds:DOCUMENT_KINDS"
"""Where the kinds of steps and documents come from; named rather than imported, since they lie above."""


def schema_texts(catalog: KindCatalog) -> dict[str, str]:
    """File name to content, for every kind of document."""
    kinds: DocumentKinds = pkgutil.resolve_name(KINDS)
    schemas = SchemaSet(catalog)
    return {
        f"{kind.name.lower()}.json": json.dumps(schemas.published(kind), indent=2, ensure_ascii=False) + "\n"
        for kind in kinds
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schemas, or with `--check` say whether they are current (exit status 1 if not)."""
    parser = argparse.ArgumentParser(prog="python -m kubexms.config.schemas", description=__doc__)
    parser.add_argument("--directory", type=Path, default=DIRECTORY)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    options = parser.parse_args(arguments)
    catalog: KindCatalog = pkgutil.resolve_name(REGISTRY)(plugins=False)
    stale = False
    for name, text in schema_texts(catalog).items():
        path = options.directory / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale = True
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    return int(stale and options.check)


if __name__ == "__main__":
    raise SystemExit(main())
