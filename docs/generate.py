"""python docs/generate.py: write docs/reference from the models; with --check say whether it is current.

Everything there comes from where the code has it: field names, types, defaults and descriptions from the
spec classes, examples from the kinds, whose tests validate them.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kubexms.builder.kinds import DOCUMENT_KINDS
from kubexms.spec.pipeline import COMMON_STEP_FIELDS, StepSpec
from kubexms.step.contract import StepExecutor
from kubexms.step.registry import BUILT_IN, Registry, default_registry

REFERENCE = Path(__file__).parent / "reference"
SHARED = "Fields of every step"


def main(arguments: list[str] | None = None) -> int:
    """Write the pages that are not current; return 1 if `--check` found one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a page is not current")
    options = parser.parse_args(arguments)
    stale = False
    for name, text in pages().items():
        path = REFERENCE / name
        if path.is_file() and path.read_text("utf-8") == text:
            continue
        stale = True
        if not options.check:
            REFERENCE.mkdir(exist_ok=True)
            path.write_text(text, "utf-8")
    return int(stale and options.check)


def pages() -> dict[str, str]:
    """File name to text."""
    registry = default_registry(plugins=False)
    kinds = [registry.get(kind) for kind in sorted(BUILT_IN, key=str.lower)]
    return {"steps.md": _steps(kinds, registry), "documents.md": _documents()}


def _steps(kinds: list[StepExecutor[Any]], registry: Registry) -> str:
    lines = ["# Step kinds", "", "Generated from the models: `kubexms explain KIND` shows the same.", ""]
    lines += ["| kind | what it is |", "| --- | --- |"]
    lines += [f"| [`{kind.kind}`](#{kind.kind.lower()}) | {_first(kind.spec.__doc__)} |" for kind in kinds]
    lines += ["", f"## {SHARED}", ""]
    schema = StepSpec.model_json_schema(by_alias=True)
    fields = {n: f for n, f in schema["properties"].items() if n in COMMON_STEP_FIELDS and n != "args"}
    lines += _table(fields, schema)
    for kind in kinds:
        lines += ["", f"## {kind.kind}", "", *_prose(kind.spec.__doc__), ""]
        own = registry.spec_class(kind.kind).model_json_schema(by_alias=True)
        lines += _table(own.get("properties", {}), own)
        lines += ["", *_marks(kind)]
        if kind.example:
            lines += ["", "```yaml", kind.example.rstrip(), "```"]
        for name, model in own.get("$defs", {}).items():
            if model.get("properties"):
                lines += ["", f"### {kind.kind}: {name}", "", *_prose(model.get("description")), ""]
                lines += _table(model["properties"], own | {"required": model.get("required", [])})
    return "\n".join(lines) + "\n"


def _marks(kind: StepExecutor[Any]) -> list[str]:
    marks = [f"Identity: {', '.join(f'`{_camel(name)}`' for name in kind.identity) or 'everything'}."]
    if not kind.can_undo:
        marks.append("It cannot be undone: removing it only forgets it.")
    if kind.changes_facts:
        names = ", ".join(f"`{name}`" for name in sorted(kind.changes_facts))
        marks.append(f"It may change the facts {names}.")
    return [" ".join(marks)]


def _documents() -> str:
    lines = [
        "# Documents",
        "",
        "Generated from the models: `kubexms schema KIND` prints them as JSON Schema.",
    ]
    lines += ["Every document has `apiVersion: kubexms.io/v1alpha1`, `kind`, `metadata.name` and `spec`.", ""]
    shown: set[str] = set()
    for kind in DOCUMENT_KINDS:
        schema = kind.model.model_json_schema(by_alias=True)
        lines += [f"## {kind.name}", "", *_prose(kind.summary), ""]
        lines += _table(schema.get("properties", {}), schema)
        for name, model in sorted(schema.get("$defs", {}).items()):
            if not model.get("properties") or name in shown:
                continue
            shown.add(name)
            lines += ["", f"### {name}", "", *_prose(model.get("description")), ""]
            fields = {
                n: f for n, f in model["properties"].items() if not (name == "StepSpec" and n == "args")
            }
            lines += _table(fields, schema | {"required": model.get("required", [])})
            if name == "StepSpec":
                lines += ["", "And the fields of its kind: see [step kinds](steps.md)."]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _table(fields: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    required = schema.get("required", [])
    rows = [
        f"| `{name}` | {_type(f, schema)} | {_default(f, name in required)} | {_text(f)} |"
        for name, f in fields.items()
    ]
    return ["| field | type | default | meaning |", "| --- | --- | --- | --- |", *rows]


def _type(field: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    return " or ".join(dict.fromkeys(_types(field, schema))) or "any"


def _types(field: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[str]:
    if "$ref" in field:
        name = str(field["$ref"]).rpartition("/")[2]
        target = schema.get("$defs", {}).get(name, {})
        if target.get("enum"):
            yield from (f"`{value}`" for value in target["enum"])
        else:
            yield "any" if name == "JsonValue" else name
    for option in [*field.get("anyOf", ()), *field.get("oneOf", ())]:
        if option.get("type") != "null":
            yield from _types(option, schema)
    if "allOf" in field:
        yield from _types(field["allOf"][0], schema)
    if "enum" in field or "const" in field:
        yield from (f"`{value}`" for value in field.get("enum", [field.get("const")]))
    elif field.get("type") == "array":
        items = field.get("items") or (field.get("prefixItems") or [{}])[0]
        yield f"list of {_type(items, schema)}"
    elif field.get("type") == "object":
        values = field.get("additionalProperties")
        yield f"map of {_type(values, schema)}" if isinstance(values, dict) else "map"
    elif "type" in field and field["type"] != "null":
        yield str(field["type"])


def _default(field: Mapping[str, Any], required: bool) -> str:
    if required:
        return "**required**"
    value = field.get("default")
    if value is None or value in ([], {}, ""):
        return ""
    return (
        f"`{str(value).lower() if isinstance(value, bool) else value}`" if not isinstance(value, dict) else ""
    )


def _text(field: Mapping[str, Any]) -> str:
    return " ".join(str(field.get("description", "")).split()).replace("|", "\\|")


def _prose(text: str | None) -> list[str]:
    paragraphs = re.split(r"\n\s*\n", (text or "").strip())
    lines: list[str] = []
    for paragraph in paragraphs:
        lines += [" ".join(paragraph.split()), ""]
    return lines[:-1]


def _first(text: str | None) -> str:
    return " ".join((text or "").split("\n\n")[0].split())


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


if __name__ == "__main__":
    raise SystemExit(main())
