"""The forms that texts of documents must have, in words: who mistypes a mode is told no regular expression.

A field's pattern is the key, so that there is one pattern for the schema, the model and the message. Kinds
of third parties may have patterns that are not listed; theirs are shown as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

FORMS: Mapping[str, str] = {
    r"^[0-7]{3,4}$": 'three or four octal digits, for example "0644"',
    r"^[^\s:/\-][^\s:/]*$": "the name of a user or group, or its number in quotes: no space, ':' or '/'",
    r"^[A-Za-z_][A-Za-z0-9_.-]*\$?$": (
        "a name of an account: a letter or '_', then letters, digits, '_', '-' and '.'"
    ),
    r"^[A-Za-z0-9_][A-Za-z0-9_.-]*\$?$": (
        "a name or number of a group: letters, digits, '_', '-' and '.', the first not '-' or '.'"
    ),
    r"^(0*[1-9][0-9]*|0*([1-9][0-9]?|100)%)$": "a number of hosts from 1 on, or a percentage from 1% to 100%",
    r"^[^:\n]*$": "one line without ':'",
    r"^[^\n]*$": "one line",
    r"^[A-Za-z0-9_*?][A-Za-z0-9._*?@+-]*$": "names as the shell matches them, for example 'dump-*.sql'",
    r"^[a-z0-9-]+\.conf$": "the name of a file, for example 'kubelet.conf'",
    r"^[A-Za-z_][A-Za-z0-9_.-]*$": "a letter or '_', then letters, digits, '_', '-' and '.'",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "a letter or '_', then letters, digits and '_'",
    r"^[A-Za-z0-9_.\[\],:-]+$": "a host name, an address or a range such as 'n[01-30]'",
    r"^[A-Za-z0-9_][A-Za-z0-9_.:@/+-]*$": "the name of a setting, for example 'net.ipv4.ip_forward'",
    r"^[^\n\x00]+$": "one line that is not empty",
    r"^[^\n]+$": "one line that is not empty",
    r"^/etc/sysctl\.d/[^/]+\.conf$": "a file of /etc/sysctl.d whose name ends in '.conf'",
    r"^[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?$": "a host name: letters, digits, '_', '-' and '.'",
    r"^[A-Za-z0-9][A-Za-z0-9_-]*$": "the name of a kernel module: letters, digits, '_' and '-'",
    r"^[A-Za-z0-9_][A-Za-z0-9:_.\\@-]*$": "the name of a systemd unit, for example 'getty@tty1.service'",
    r"^[A-Za-z0-9_][A-Za-z0-9:_.@-]*$": "the name of a drop-in, for example '10-limits'",
    r"^[A-Za-z0-9_.,-]+$": "a type of file system, for example 'ext4'",
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$": "lower-case letters, digits and '-', as names in a cluster are",
    r"^[^\s]+$": "one word",
    r"^\S+$": "one word",
    r"^[^\s\x00]+$": "one word",
    r"^[A-Za-z0-9@][A-Za-z0-9@+._:-]*$": "the name of a package: letters, digits, '+', '-', '.', '_' and ':'",
    r"^$|^[A-Za-z0-9][A-Za-z0-9+._-]*=[A-Za-z0-9.+~:^_-]+$": (
        "a package with its version, for example 'kubelet=1.30.2-1.1', or empty"
    ),
    r"^[A-Za-z0-9.+~:^_*?-]+$": "a version, for example '1.2.3-1' or '1.2.*'",
    r"^[A-Za-z0-9.-]+$": "a host name: letters, digits, '-' and '.'",
    r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$": "a time zone, for example 'Europe/Berlin'",
    r"^(sha256:)?[0-9a-fA-F]{64}$": "a SHA-256: 64 digits from 0 to 9 and a to f",
    r"^[0-9A-Fa-f.:]+$": "an address, for example '192.0.2.11'",
    r"^[A-Za-z0-9][A-Za-z0-9_.@-]*$": "the name of a systemd unit, for example 'kubelet'",
    r"^[0-9a-f]{64}$": "a SHA-256: 64 digits from 0 to 9 and a to f",
    r"^sha256:[0-9a-f]{64}$": "'sha256:' and 64 digits from 0 to 9 and a to f",
    r"^(sha256:)?[0-9a-f]{64}$": "a SHA-256: 64 digits from 0 to 9 and a to f",
    r"^[^\r\n\x00]*$": "one line",
    r"^[^\x00\r\n]+$": "one line that is not empty",
    r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$": "the name of an HTTP header",
    r"^(https?|ftp)://[^\s\x00]+$": "a URL that begins with 'https://', 'http://' or 'ftp://'",
    r"^https?://[^\s\"\\]+$": "a URL that begins with 'https://' or 'http://'",
    r"^https?://[^\s\"]+$": "a URL that begins with 'https://' or 'http://'",
    r"^https://[^\s/]+/?$": "'https://', a host and a port, for example 'https://192.0.2.10:6443'",
    r"^https://[^\s\"]+$": "a URL that begins with 'https://'",
    r"^[^\s/\-][^\s/]*$": "a host name or an address",
    r"^(/|.*\{[{%])": "an absolute path",
    r"^/[^\s]*$": "an absolute path without white space",
    r"^~?/[^\x00\r\n]+$": "an absolute path, or one that begins with '~/'",
    r"^[A-Za-z0-9_-]+$": "letters, digits, '_' and '-'",
    r"^[a-z0-9_./-]+$": "the name of a setting, for example 'net.ipv4.ip_forward'",
    r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$": "a domain: lower-case letters, digits, '-' and '.'",
    r"^[A-Za-z0-9*_]([A-Za-z0-9 ._:@*/-]*[A-Za-z0-9._*])?$": (
        "a name of a certificate: letters, digits, ' ', '.', '_', ':', '@', '*', '/' and '-'"
    ),
    r"^[A-Za-z0-9][^\s/\x00]*$": "one word without '/', beginning with a letter or a digit",
    r"^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$": "letters, digits, '_', '-' and '.', beginning and ending "
    "with a letter or a digit",
    r"^[^\s/@\x00]+(/[^\s/@\x00]+)+:[^\s/@:\x00]+$": (
        "an image with registry and tag, for example 'registry.k8s.io/pause:3.9'"
    ),
    r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$": (
        "the name of a node: lower-case letters, digits, '-' and '.'"
    ),
    r"^v?1\.\d+\.\d+\S*$": "a version of Kubernetes with all three numbers, for example '1.31.4'",
    r"^v?1\.[0-9]{1,3}\.[0-9]{1,3}$": "a version of Kubernetes with all three numbers, for example '1.31.4'",
    r"^(\[[0-9A-Fa-f:]+\]|[^\s:/\[\]]+):\d{1,5}$": "a host and a port, for example '192.0.2.10:6443'",
    r"^((\*\.)?[a-z0-9]([a-z0-9.-]*[a-z0-9])?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+)$": (
        "a name (lower-case letters, digits, '-' and '.', which may begin with '*.') or an address"
    ),
    r"^[a-z][a-z/-]*$": "a phase of kubeadm, for example 'addon/kube-proxy'",
    r"^[a-z][a-z0-9-]*$": "the name of a flag without dashes before it, for example 'audit-log-path'",
    r"^(/[A-Za-z0-9][A-Za-z0-9_.-]*){3,}$": (
        "a file at least two directories below the root, of letters, digits, '_', '-' and '.'"
    ),
    r"^[a-z][a-z0-9]*(\.[a-z0-9.-]+)?$": "a resource as the API names it, for example 'secrets'",
    r"^[a-z][a-z0-9_.-]{0,14}$": "the name of a network interface: at most 15 characters",
    r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$": (
        "a value of a label: at most 63 letters, digits, '_', '-' and '.', "
        "beginning and ending with a letter or a digit"
    ),
    r"^([a-z0-9.-]{1,253}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$": (
        "a key of a label, for example 'example.org/zone'"
    ),
    r"^([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$": (
        "a key of a label, for example 'example.org/zone'"
    ),
}
"""Pattern -> what completes the sentence `it must be …`."""


def in_words(pattern: str) -> str:
    """What completes `it must …` for a text that does not match."""
    words = FORMS.get(pattern)
    return f"be {words}" if words is not None else f"match {pattern}"
