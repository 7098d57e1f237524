"""The comment on a pull request of GitHub or a merge request of GitLab; Python's own library is all it needs.

  comment.py put FILE      write FILE (of `kubexms show --format markdown`) as a comment, over the one before
  comment.py digest FILE   print the digest of the plan in the comment that FILE would be written over

A comment is found by its first line, which names the project and the workspace, and only among those of the
account that writes here: anybody else can write the same line.

GitHub: GITHUB_API_URL, GITHUB_REPOSITORY, GITHUB_EVENT_PATH as Actions sets them, GITHUB_TOKEN, and
COMMENT_AUTHOR if that token is not the workflow's own. GitLab: CI_API_V4_URL, CI_PROJECT_ID, CI_COMMIT_SHA,
CI_MERGE_REQUEST_IID where there is one, and GITLAB_TOKEN, a project access token with the scope `api`.
"""

from __future__ import annotations

import json
import os
import re
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DIGEST = re.compile(r"<p><sub>Made .* --digest (sha256:[0-9a-f]{64}) PLANFILE</code>\.</sub></p>")


class Service:
    """One request that is reviewed: its comments, and how they are written."""

    def __init__(self, environ: dict[str, str]) -> None:
        self.github = "GITHUB_API_URL" in environ
        if self.github:
            event = json.loads(Path(environ["GITHUB_EVENT_PATH"]).read_text())
            self.headers = {"Authorization": f"Bearer {environ['GITHUB_TOKEN']}"}
            self.root = f"{environ['GITHUB_API_URL']}/repos/{environ['GITHUB_REPOSITORY']}"
            self.comments = f"{self.root}/issues/{event['pull_request']['number']}/comments"
            self.author = environ.get("COMMENT_AUTHOR", "github-actions[bot]")
        else:
            self.headers = {"PRIVATE-TOKEN": environ["GITLAB_TOKEN"]}
            self.root = f"{environ['CI_API_V4_URL']}/projects/{environ['CI_PROJECT_ID']}"
            number = environ.get("CI_MERGE_REQUEST_IID") or self._merged(environ["CI_COMMIT_SHA"])
            self.comments = f"{self.root}/merge_requests/{number}/notes"
            self.author = self.call("GET", f"{environ['CI_API_V4_URL']}/user")["username"]

    def _merged(self, commit: str) -> str:
        """The merge request that brought a commit."""
        found = self.call("GET", f"{self.root}/repository/commits/{commit}/merge_requests")
        merged = [item["iid"] for item in found if item["state"] == "merged"]
        if not merged:
            sys.exit(f"Error: {commit} was brought by no merge request, so that nobody has reviewed its plan")
        return str(merged[0])

    def call(self, method: str, url: str, data: dict[str, Any] | None = None) -> Any:
        """One call of the API. Raises `urllib.error.HTTPError`."""
        body = None if data is None else json.dumps(data).encode()
        headers = {**self.headers, "Accept": "application/json", "Content-Type": "application/json"}
        # the address is the service's own, from the environment of the job
        request = urllib.request.Request(url, body, headers, method=method)  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return json.load(answer)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        page = 1
        while found := self.call("GET", f"{self.comments}?per_page=100&page={page}"):
            yield from found
            page += 1

    def find(self, marker: str) -> dict[str, Any] | None:
        """The comment with this first line that was written from here."""
        for comment in self:
            author = comment["user"]["login"] if self.github else comment["author"]["username"]
            if author == self.author and comment["body"].partition("\n")[0].rstrip() == marker:
                return comment
        return None

    def put(self, body: str) -> None:
        """Write the comment."""
        known = self.find(body.partition("\n")[0])
        if known is None:
            self.call("POST", self.comments, {"body": body})
        elif self.github:
            self.call("PATCH", f"{self.root}/issues/comments/{known['id']}", {"body": body})
        else:
            self.call("PUT", f"{self.comments}/{known['id']}", {"body": body})


def main() -> None:
    """Do what the command line says."""
    if len(sys.argv) != 3 or sys.argv[1] not in {"put", "digest"}:
        sys.exit(__doc__)
    body = Path(sys.argv[2]).read_text(encoding="utf-8")
    service = Service(dict(os.environ))
    if sys.argv[1] == "put":
        service.put(body)
        return
    comment = service.find(body.partition("\n")[0])
    # the last line is kubexms's own; whatever else the comment holds comes from documents and hosts
    match = DIGEST.fullmatch(comment["body"].rstrip().rpartition("\n")[2]) if comment else None
    if match is None:
        sys.exit("Error: no comment shows a plan that could be applied, so that nobody has reviewed one")
    sys.stdout.write(match[1] + "\n")


if __name__ == "__main__":
    main()
