"""The part of GitHub's and GitLab's APIs that the example needs, over real HTTP on this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT = "github-actions[bot]"
TOKEN = "a-token"
NOTES = ("projects", "5", "merge_requests", "7", "notes")
COMMENTS = ("repos", "o", "r", "issues", "7", "comments")


@dataclass
class Forge:
    """The comments of request 7. Answers with two of them a page, whatever is asked for."""

    comments: list[dict[str, Any]] = field(default_factory=list)
    url: str = ""
    merged: str = ""
    """The commit by which it was merged."""
    calls: list[str] = field(default_factory=list)

    def add(self, author: str, body: str) -> None:
        """Somebody writes a comment."""
        names = {"user": {"login": author}, "author": {"username": author}}
        self.comments.append({"id": len(self.comments) + 1, "body": body, **names})

    def bodies(self, author: str) -> list[str]:
        """What one account has written."""
        return [item["body"] for item in self.comments if item["user"]["login"] == author]

    def answer(self, method: str, target: str, body: dict[str, str]) -> Any:
        """The answer to one call; None is 404."""
        parts = urlsplit(target)
        path = tuple(parts.path.strip("/").split("/"))
        self.calls.append(f"{method} {parts.path}")
        if path == ("user",):
            return {"username": BOT}
        if path == ("projects", "5", "repository", "commits", self.merged, "merge_requests"):
            return [{"iid": 6, "state": "closed"}, {"iid": 7, "state": "merged"}]
        if path in (NOTES, COMMENTS):
            if method == "POST":
                self.add(BOT, body["body"])
                return self.comments[-1]
            page = int(parse_qs(parts.query)["page"][0])
            return self.comments[(page - 1) * 2 : page * 2]
        one = path[:-1] == NOTES and method == "PUT"
        if one or (path[:-1] == ("repos", "o", "r", "issues", "comments") and method == "PATCH"):
            self.comments[int(path[-1]) - 1]["body"] = body["body"]
            return self.comments[int(path[-1]) - 1]
        return None


@contextmanager
def served() -> Iterator[Forge]:
    """A forge that listens on the loopback interface."""
    forge = Forge()

    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            body = json.loads(self.rfile.read(length)) if length else {}
            known = TOKEN in (self.headers.get("PRIVATE-TOKEN"), self.headers.get("Authorization", "")[7:])
            found = forge.answer(self.command, self.path, body) if known else None
            data = json.dumps(found).encode()
            self.send_response(404 if found is None else 200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: Any) -> None:
            pass

    for method in ("GET", "POST", "PUT", "PATCH"):
        setattr(Handler, f"do_{method}", Handler._serve)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    forge.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield forge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
