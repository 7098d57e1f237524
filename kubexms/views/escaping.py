"""Text that came from elsewhere, made safe for a terminal.

Hosts, documents and commands decide what is in a plan. A terminal obeys control characters, and
people believe what bidirectional overrides make them see; neither may pass.
"""

from __future__ import annotations

import json
import re

# C0 and C1 controls, DEL, line and paragraph separators, zero-width and bidirectional formatting,
# byte order mark, surrogates
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff\ufff9-\ufffb]"
)
_NAMED = {"\n": "\\n", "\r": "\\r"}


def _escape(match: re.Match[str]) -> str:
    char = match[0]
    code = ord(char)
    if 0xDC80 <= code <= 0xDCFF:  # how Python keeps a byte that is no UTF-8 (PEP 383)
        code -= 0xDC00
    return _NAMED.get(char) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def printable(text: str) -> str:
    """`text` on one line: line ends and all that a terminal would act on are spelled out; tabs stay."""
    return _UNSAFE.sub(_escape, text)


def printable_lines(text: str) -> list[str]:
    """The lines of `text`, each printable. A carriage return before a line end is not shown."""
    return (
        [printable(line.removesuffix("\r")) for line in text.removesuffix("\n").split("\n")] if text else []
    )


def quoted(text: str) -> str:
    """`text` as a double-quoted literal, as JSON and HCL write it, safe to print."""
    return printable(json.dumps(text, ensure_ascii=False))
