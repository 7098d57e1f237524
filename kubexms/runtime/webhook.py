"""Delivering a document to a URL: a few attempts, and no word of what is secret about it.

The URL itself may be the secret (chat services put a token into it), so errors name its host alone.
Redirects are refused: they would carry the headers to somebody else.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from typing import IO
from urllib.parse import urlsplit

from kubexms.errors import OutputError

ATTEMPTS = 4
TIMEOUT = 10.0
"""Seconds for one attempt."""
LONGEST_WAIT = 30.0
"""Seconds between two attempts, whatever the other side asks for."""
_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


def post(
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    *,
    attempts: int = ATTEMPTS,
    timeout: float = TIMEOUT,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """POST a JSON document; done when any 2xx answers.

    No answer, and answers that mean "later", are tried again after 1, 2, 4 … seconds, or as long as
    `Retry-After` asks. Raises `OutputError`, which holds neither URL nor headers nor the answer's text.
    """
    where = _host(url)
    given = {"User-Agent": "kubexms", "Content-Type": "application/json", **headers}
    opener = urllib.request.build_opener(_NoRedirects)
    said = ""
    for number in range(attempts):
        wait = float(2**number)
        try:
            request = urllib.request.Request(url, data=body, headers=given, method="POST")  # noqa: S310
            with opener.open(request, timeout=timeout):
                return
        except urllib.error.HTTPError as error:
            with error:
                said = f"it answered {error.code}"
                wait = _asked(error.headers.get("Retry-After"), wait)
            if error.code not in _AGAIN:
                raise OutputError(f"the webhook at {where} refused the report: {said}") from None
        except (http.client.InvalidURL, ValueError):
            # what these say holds the offending header or URL
            raise OutputError(f"the webhook at {where} has a URL or a header that cannot be sent") from None
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            said = str(getattr(reason, "strerror", None) or type(reason).__name__)
        if number + 1 < attempts:
            sleep(min(wait, LONGEST_WAIT))
    tries = "once" if attempts == 1 else f"{attempts} times"
    raise OutputError(f"the webhook at {where} did not take the report, tried {tries}: {said}")


def _host(url: str) -> str:
    """The URL's host, which is all that is said of it. Raises `OutputError` for what is no web address."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host, parts = None, None
    if parts is None or parts.scheme not in ("http", "https") or not host:
        raise OutputError("a webhook's URL does not begin with http:// or https:// and a host")
    return host


def _asked(header: str | None, wait: float) -> float:
    """Seconds that `Retry-After` asks for, where it is a number."""
    return max(wait, float(header)) if header is not None and header.isdecimal() else wait
