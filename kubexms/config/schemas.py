"""`python -m kubexms.config.schemas`: write the JSON Schemas.

`schemas/` has the published ones, one per kind of document. What kubexms itself checks documents and steps
against comes with it as files.
"""

from __future__ import annotations

import argparse
import json
import pkgutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kubexms.config.documents import DocumentKinds, KindCatalog, SchemaSet
from kubexms.config.documents.shipped import shipped_name

DIRECTORY = Path("schemas")
SHIPPED = Path("kubexms/config/documents/built")
REGISTRY = "kubexms.step.registry:default_registry"
KINDS = "kubexms.builder.kinds:DOCUMENT_KINDS"
"""Where the kinds of steps and documents come from; named rather than imported, since they lie above."""


def schema_texts(catalog: KindCatalog) -> dict[str, str]:
    """File name to content of what is published, for every kind of document."""
    kinds: DocumentKinds = pkgutil.resolve_name(KINDS)
    schemas = SchemaSet(catalog, shipped=False)
    return {f"{kind.name.lower()}.json": _text(schemas.published(kind), 2) for kind in kinds}


def shipped_texts(catalog: KindCatalog) -> dict[str, str]:
    """File name to content of what comes with kubexms."""
    kinds: DocumentKinds = pkgutil.resolve_name(KINDS)
    schemas = SchemaSet(catalog, shipped=False)
    documents = {shipped_name("document", kind.name): _text(schemas.document(kind), 1) for kind in kinds}
    return documents | {shipped_name("step", kind): _text(schemas.step(kind), 1) for kind in catalog}


def _text(schema: Mapping[str, Any], indent: int) -> str:
    return json.dumps(schema, indent=indent, ensure_ascii=False) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the schemas, or with `--check` say whether they are current (exit status 1 if not)."""
    parser = argparse.ArgumentParser(prog="python -m kubexms.config.schemas", description=__doc__)
    parser.add_argument("--directory", type=Path, default=DIRECTORY)
    parser.add_argument("--shipped", type=Path, default=SHIPPED)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is not current")
    options = parser.parse_args(arguments)
    catalog: KindCatalog = pkgutil.resolve_name(REGISTRY)(plugins=False)
    texts = {options.directory / name: text for name, text in schema_texts(catalog).items()}
    texts |= {options.shipped / name: text for name, text in shipped_texts(catalog).items()}
    left = set(options.shipped.glob("*.json")) - set(texts)
    stale = bool(left)
    for path, text in texts.items():
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale = True
        if not options.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
    if not options.check:
        for path in left:
            path.unlink()
    return int(stale and options.check)


if __name__ == "__main__":
    raise SystemExit(main())
