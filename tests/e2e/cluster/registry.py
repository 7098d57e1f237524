"""A registry that hosts pull from: what the distribution protocol needs for that, over archives of images."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.e2e.cluster.serving import Serving
from tests.e2e.testbed import Fleet
from tests.e2e.testbed.network import GATEWAY

_NAME = "io.containerd.image.name"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@dataclass(frozen=True)
class _Blob:
    archive: Path
    offset: int
    size: int

    def content(self) -> bytes:
        with self.archive.open("rb") as stream:
            stream.seek(self.offset)
            return stream.read(self.size)


class Registry(Serving):
    """A registry of these archives in the fleet's network; a context manager that serves meanwhile.

    Images have the names that follow their registry's: it is a mirror of several. `asked` are the paths of
    all requests.
    """

    port = 5000
    place = f"{GATEWAY}:{port}"

    def __init__(self, fleet: Fleet, archives: Iterable[Path]) -> None:
        self.asked: list[str] = []
        self._blobs: dict[str, _Blob] = {}
        self._tags: dict[str, str] = {}
        for archive in archives:
            self._add(archive)
        registry = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                registry.asked.append(self.path)
                path = self.path.partition("?")[0]
                digest = registry._tags.get(path, path.rpartition("/")[2])
                blob = registry._blobs.get(digest)
                self.send_response(404 if blob is None else 200)
                manifest = "/manifests/" in path
                self.send_header("Content-Type", _MANIFEST if manifest else "application/octet-stream")
                if manifest:
                    self.send_header("Docker-Content-Digest", digest)
                self.send_header("Content-Length", str(0 if blob is None else blob.size))
                self.end_headers()
                if self.command == "GET" and blob is not None:
                    self.wfile.write(blob.content())

            do_HEAD = do_GET  # noqa: N815 - the names are the library's

            def log_message(self, *_: object) -> None:
                return

        super().__init__(fleet, self.port, Handler)

    def _add(self, archive: Path) -> None:
        with tarfile.open(archive) as members:
            for member in members:
                directory, _, name = member.name.rpartition("/")
                if directory == "blobs/sha256":
                    self._blobs[f"sha256:{name}"] = _Blob(archive, member.offset_data, member.size)
            index = members.extractfile("index.json")
            assert index is not None
            for manifest in json.load(index)["manifests"]:
                name, _, tag = manifest["annotations"][_NAME].partition("/")[2].rpartition(":")
                self._tags[f"/v2/{name}/manifests/{tag}"] = manifest["digest"]
