"""What `kubectl diff` tells of objects, sifted on the host."""

from __future__ import annotations


def differences(text: str) -> dict[str, list[str]]:
    """What differs of each object, by the name of its file: `new`, and lines that begin with `-` or `+`."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        if line.startswith("= "):
            lines = found.setdefault(line[2:], [])
        elif line == "new" or line.startswith(("-", "+")):
            lines.append(line)
    return found


def shown(file: str) -> str:
    """An object as a person names it, by the name of its file: `apps.v1.Deployment.shop.web`.

    A version has no capital letter, and a kind begins with one; a namespace has no dot, a name may.
    """
    parts = file.split(".")
    kind = next((index for index, part in enumerate(parts) if part[:1].isupper()), 0)
    space, name = parts[kind + 1 : kind + 2], ".".join(parts[kind + 2 :])
    return f"{parts[kind]} {f'{space[0]}/' if space and space[0] else ''}{name}"
