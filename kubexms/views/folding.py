"""Many host names as few words: `n[01-30]`, and back.

Laws, property-tested for names without brackets and commas:
`expand(fold(names)) == sorted(set(names), key=natural)`, and `fold` never gives more words than names.
"""

from __future__ import annotations

import itertools
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

_DIGITS = re.compile(r"(\d+)", re.ASCII)
_RANGE = re.compile(r"\[([0-9]+(?:-[0-9]+)?(?:,[0-9]+(?:-[0-9]+)?)*)\]", re.ASCII)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key by which `n2` comes before `n10`; total, so equal keys mean equal names."""
    parts = (part for part in _DIGITS.split(name) if part)
    return tuple((0, int(part), part) if part[0] in "0123456789" else (1, 0, part) for part in parts)


def fold(names: Iterable[str]) -> tuple[str, ...]:
    """Words for `names`, each a name or a name with one range in it, in natural order of their first name."""
    shapes: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for name in names:
        shapes[tuple(_DIGITS.split(name)[::2])].add(name)
    words: list[tuple[str, str]] = []
    for members in shapes.values():
        words.extend(_fold_shape(sorted(members, key=natural)))
    return tuple(word for _, word in sorted(words, key=lambda pair: (natural(pair[0]), pair[1])))


def fold_text(names: Iterable[str]) -> str:
    """`fold` as one phrase: `n[01-03], db1`."""
    return ", ".join(fold(names))


def expand(words: str | Iterable[str]) -> list[str]:
    """The names that `fold` (or `fold_text`) wrote as `words`, each once, in natural order."""
    if isinstance(words, str):
        words = [word.strip() for word in re.split(r",(?![^\[]*\])", words) if word.strip()]
    found = {name for word in words for name in _expand_word(word)}
    return sorted(found, key=natural)


def _fold_shape(names: Sequence[str]) -> list[tuple[str, str]]:
    """Fold names that differ in their numbers only, at the number where it gives the fewest words.

    Each word comes with the first name that it stands for.
    """
    pieces = [_DIGITS.split(name) for name in names]
    best = [(name, name) for name in names]
    for position in reversed(range(1, len(pieces[0]), 2)):
        groups: dict[tuple[str, str], list[str]] = defaultdict(list)
        for parts in pieces:
            groups["".join(parts[:position]), "".join(parts[position + 1 :])].append(parts[position])
        words = [
            (f"{head}{first}{tail}", f"{head}{body}{tail}")
            for (head, tail), numbers in groups.items()
            for first, body in _ranges(numbers)
        ]
        if len(words) < len(best):
            best = words
    return best


def _ranges(numbers: Iterable[str]) -> list[tuple[str, str]]:
    """Bracketed ranges for the numbers of one place; zero-padded ones by width, the others together."""
    pending = set(numbers)
    widths = sorted({len(number) for number in pending if number[0] == "0" and len(number) > 1})
    classes = [{number for number in pending if len(number) == width} for width in widths]
    classes.append({number for number in pending if len(number) not in widths})
    result = []
    for members in classes:
        ordered = sorted(members, key=int)
        if not ordered:
            continue
        runs = []
        for _, run in itertools.groupby(enumerate(ordered), key=lambda pair: int(pair[1]) - pair[0]):
            numbers_of_run = [number for _, number in run]
            runs.extend(
                numbers_of_run if len(numbers_of_run) < 3 else [f"{numbers_of_run[0]}-{numbers_of_run[-1]}"]
            )
        result.append((ordered[0], ordered[0] if len(ordered) == 1 else f"[{','.join(runs)}]"))
    return result


def _expand_word(word: str) -> list[str]:
    match = _RANGE.search(word)
    if match is None:
        return [word]
    names = []
    for part in match[1].split(","):
        first, dash, last = part.partition("-")
        width = len(first) if first[0] == "0" else 0
        numbers = range(int(first), int(last) + 1) if dash else [int(first)]
        names += [f"{word[: match.start()]}{number:0{width}d}{word[match.end() :]}" for number in numbers]
    return names
