"""Container images without a registry: one OCI archive each, of programs that are here already.

An archive names its image in the annotation `io.containerd.image.name`, which `ctr images import` reads. The
archives of one input are equal byte for byte, so their digests pin them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_OCI = "application/vnd.oci.image"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_SHELL = (
    "sh",
    "ls",
    "cat",
    "echo",
    "sleep",
    "id",
    "ip",
    "mount",
    "wget",
    "nc",
    "httpd",
    "ps",
    "env",
    "hostname",
)


class Layer:
    """The file system of an image, in memory. Adding a path again does nothing."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._bytes = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w")  # noqa: SIM115 - closed by `content`
        self._seen: set[str] = set()
        for directory in ("tmp", "etc", "proc", "sys", "dev", "var/lib"):
            self.directory(directory)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.close()

    def directory(self, path: str) -> None:
        """Add a directory and those above it."""
        if path and path not in self._seen:
            self.directory(path.rpartition("/")[0])
            self._add(path, tarfile.DIRTYPE, mode=0o1777 if path == "tmp" else 0o755)

    def file(self, path: str, content: bytes, mode: int = 0o755) -> None:
        """Add a file."""
        if path not in self._seen:
            self.directory(path.rpartition("/")[0])
            self._add(path, tarfile.REGTYPE, content=content, mode=mode)

    def link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        if path not in self._seen:
            self.directory(path.rpartition("/")[0])
            self._add(path, tarfile.SYMTYPE, target=target)

    def program(self, path: str, source: str = "") -> None:
        """Add a program of the root file system and the libraries that it is linked to.

        `source` is where it is there, when that is not its place in the image.
        """
        found = source or path
        self.file(path.lstrip("/"), self._read(found))
        for library in self._libraries(found):
            self.file(library.lstrip("/"), self._read(library))

    def content(self) -> bytes:
        """The layer as a tar archive; nothing can be added afterwards."""
        self._tar.close()
        return self._bytes.getvalue()

    def _add(
        self, path: str, kind: bytes, *, content: bytes = b"", mode: int = 0o777, target: str = ""
    ) -> None:
        self._seen.add(path)
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(content), target
        self._tar.addfile(entry, io.BytesIO(content))

    def _libraries(self, program: str) -> list[str]:
        done = subprocess.run(["chroot", self._root, "ldd", program], capture_output=True, text=True)
        return [word for word in done.stdout.split() if word.startswith("/")]

    def _read(self, path: str) -> bytes:
        real = subprocess.run(
            ["chroot", self._root, "readlink", "-f", path], capture_output=True, text=True, check=True
        )
        return (self._root / real.stdout.strip().lstrip("/")).read_bytes()


def write(out: Path, name: str, layer: bytes, config: Mapping[str, Any]) -> None:
    """Write an OCI archive of one layer that names itself `name`."""
    blobs: dict[str, bytes] = {}

    def blob(content: bytes, kind: str) -> dict[str, Any]:
        digest = hashlib.sha256(content).hexdigest()
        blobs[digest] = content
        return {"mediaType": f"{_OCI}.{kind}", "digest": f"sha256:{digest}", "size": len(content)}

    def document(content: Mapping[str, Any], kind: str) -> dict[str, Any]:
        return blob(json.dumps(content, sort_keys=True).encode(), kind)

    platform = {"architecture": "amd64", "os": "linux"}
    content = blob(gzip.compress(layer, 1, mtime=0), "layer.v1.tar+gzip")
    settings = document(
        {
            **platform,
            "config": {"Env": [f"PATH={_PATH}"], **config},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        },
        "config.v1+json",
    )
    manifest = document(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}.manifest.v1+json",
            "config": settings,
            "layers": [content],
        },
        "manifest.v1+json",
    )
    named = {**manifest, "annotations": {"io.containerd.image.name": name}, "platform": platform}
    index = json.dumps({"schemaVersion": 2, "manifests": [named]}).encode()
    entries = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index}
    entries |= {f"blobs/sha256/{digest}": content for digest, content in blobs.items()}
    with tarfile.open(out, "w") as archive:
        for path, data in entries.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))


@contextmanager
def unpacked(base: Path, packages: Iterable[Path], scratch: Path) -> Iterator[Path]:
    """A root file system: `base`, and over it what is in the packages; none of their scripts has run."""
    upper, work, root = scratch / "upper", scratch / "work", scratch / "root"
    for directory in (upper, work, root):
        directory.mkdir(parents=True)
    options = f"lowerdir={base},upperdir={upper},workdir={work}"
    subprocess.run(["mount", "-t", "overlay", "-o", options, "overlay", root], check=True)
    try:
        for package in packages:
            # not `dpkg-deb -x`, which makes a directory of /lib where it is a link to usr/lib
            with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as content:
                extract = ["tar", "-x", "--keep-directory-symlink", "-C", str(root)]
                subprocess.run(extract, stdin=content.stdout, check=True)
        yield root
    finally:
        subprocess.run(["umount", root], check=True)


def static(root: Path, program: Path, path: str) -> bytes:
    """A layer of one program that needs nothing else."""
    with Layer(root) as layer:
        layer.file(path, program.read_bytes())
        return layer.content()


def etcd(root: Path) -> bytes:
    """A layer with etcd and etcdctl."""
    with Layer(root) as layer:
        for name in ("etcd", "etcdctl"):
            layer.program(f"usr/local/bin/{name}", f"/usr/bin/{name}")
        return layer.content()


def busybox(root: Path) -> bytes:
    """A layer with a static busybox and links to it, and an empty /www."""
    with Layer(root) as layer:
        layer.program("bin/busybox", "/usr/bin/busybox")
        layer.directory("www")
        layer.file("etc/passwd", b"root:x:0:0:root:/:/bin/sh\n", mode=0o644)
        for name in _SHELL:
            layer.link(f"bin/{name}", "busybox")
        return layer.content()


def kube_proxy(root: Path, program: Path) -> bytes:
    """A layer with kube-proxy and what it runs: iptables with its extensions, which no ldd shows."""
    with Layer(root) as layer:
        layer.file("usr/local/bin/kube-proxy", program.read_bytes())
        for path in ("usr/sbin/xtables-nft-multi", "usr/sbin/xtables-legacy-multi", "usr/bin/dash"):
            layer.program(path, f"/{path}")
        for path in ("usr/bin/kmod", "usr/sbin/conntrack"):
            layer.program(path, f"/{path}")
        for name in ("iptables", "ip6tables"):
            for suffix in ("", "-save", "-restore"):
                layer.link(f"usr/sbin/{name}{suffix}", "xtables-nft-multi")
                for flavour in ("nft", "legacy"):
                    layer.link(f"usr/sbin/{name}-{flavour}{suffix}", f"xtables-{flavour}-multi")
        layer.link("usr/sbin/modprobe", "../bin/kmod")
        layer.link("usr/bin/sh", "dash")
        layer.link("bin", "usr/bin")
        layer.link("sbin", "usr/sbin")
        for extension in _extensions(root):
            inside = str(extension.relative_to(root))
            if extension.is_symlink():
                layer.link(inside, str(extension.readlink()))
            else:
                layer.program(inside, f"/{inside}")
        return layer.content()


def _extensions(root: Path) -> Sequence[Path]:
    return sorted((root / "usr/lib/x86_64-linux-gnu/xtables").iterdir())
