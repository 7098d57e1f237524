"""What a cluster is made of, built once and kept outside of the checkout: a directory of artifacts.

Layout below the testbed's cache directory::

    kubernetes/<digest of the recipe>/{bin/,crictl,coredns}    minutes of compiling
    artifacts/<digest of that and images.py>/{artifacts.yaml,bin/,images/}

`crictl` and `coredns` are small stand-ins for tests, built for what kubeadm asks of the real ones.
"""

from __future__ import annotations

import functools
import hashlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from kubexms.services.artifacts import Named, add
from tests.e2e.cluster import images
from tests.e2e.testbed import missing as hosts_missing
from tests.e2e.testbed.cache import building, cache_root, ensure_images, locked, script

VERSION = "v1.20.2"
REGISTRY = "k8s.gcr.io"
BINARIES = (
    "kubeadm",
    "kubelet",
    "kubectl",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
)
_HERE = Path(__file__).parent
_RECIPE = _HERE / "recipe"
_PACKAGES = (
    "etcd-server",
    "etcd-client",
    "conntrack",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "busybox-static",
)
_TOOLS = ("go", "gcc", "dpkg-source", "dpkg-deb")


@functools.cache
def missing() -> str | None:
    """Return why there can be no clusters here, or None when there can."""
    if reason := hosts_missing():
        return reason
    if platform.machine() != "x86_64":
        return f"clusters need x86_64, not {platform.machine()}"
    if "VERSION_CODENAME=bookworm" not in Path("/etc/os-release").read_text().splitlines():
        return "clusters need Debian bookworm, whose source package holds Kubernetes 1.20"
    absent = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if absent and not programs().is_dir():
        return f"clusters need {', '.join(absent)} to compile Kubernetes (make prepare-cluster installs them)"
    return None


def artifacts() -> Path:
    """Return the directory of artifacts; the first caller builds it (minutes, needs the network)."""
    found = programs()
    made = cache_root() / "artifacts" / _digest(_RECIPE, _HERE / "images.py", Path(__file__))
    with locked("kubernetes-lock"):
        if not found.is_dir():
            _compile(found)
        if not made.is_dir():
            made.parent.mkdir(exist_ok=True)
            with building(made) as fresh:
                _collect(found, fresh)
    return made


def programs() -> Path:
    """Where the compiled programs are, below `bin`."""
    return cache_root() / "kubernetes" / _digest(_RECIPE)


def _compile(out: Path) -> None:
    """Compile; with `KUBEXMS_BUILD_DIR` in a directory that stays, so that the next time is short."""
    sys.stderr.write("testbed: compiling Kubernetes, once (about seven minutes on two processors)\n")
    out.parent.mkdir(exist_ok=True)
    kept = os.environ.get("KUBEXMS_BUILD_DIR")
    work = Path(kept) if kept else cache_root() / "kubernetes-work"
    with building(out) as fresh:
        script(_RECIPE / "kubernetes.sh", work, fresh)
    if not kept:
        shutil.rmtree(work)


def _collect(source: Path, out: Path) -> None:
    add(out, [source / "bin" / name for name in BINARIES], Named(version=VERSION))
    add(out, [source / "crictl"], Named(version="v1.20.0"))
    add_images(out, source, VERSION)


def add_images(out: Path, source: Path, kubernetes: str, *, all_of_them: bool = True) -> None:
    """Add images of the programs in `source` to a directory of artifacts: all, or those of the version."""
    built = ensure_images()
    packages = [found for name in _PACKAGES for found in sorted(built.repo.glob(f"{name}_*.deb"))]
    with (
        TemporaryDirectory(dir=cache_root(), prefix="new-") as scratch,
        images.unpacked(built.base, packages, Path(scratch)) as root,
    ):
        if all_of_them:
            add(out, [root / "usr/bin" / name for name in ("etcd", "etcdctl")], Named(version="v3.4.23"))
        for name, version, layer, config in _layers(source, root, kubernetes, all_of_them):
            place = "docker.io/library" if name == "busybox" else REGISTRY
            archive = Path(scratch) / f"{name}.tar"
            images.write(archive, f"{place}/{name}:{version}", layer, config)
            add(out, [archive], Named())


def _layers(
    source: Path, root: Path, kubernetes: str, all_of_them: bool
) -> Iterator[tuple[str, str, bytes, dict[str, Any]]]:
    for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler"):
        yield name, kubernetes, images.static(root, source / "bin" / name, f"usr/local/bin/{name}"), {}
    yield "kube-proxy", kubernetes, images.kube_proxy(root, source / "bin/kube-proxy"), {}
    if not all_of_them:
        return
    pause = images.static(root, source / "bin/pause", "pause")
    yield "pause", "3.2", pause, {"Entrypoint": ["/pause"]}
    coredns = images.static(root, source / "coredns", "coredns")
    yield "coredns", "1.7.0", coredns, {"Entrypoint": ["/coredns"]}
    yield "etcd", "3.4.13-0", images.etcd(root), {}
    yield "busybox", "1.35", images.busybox(root), {"Cmd": ["/bin/sh"]}


def _digest(*inputs: Path) -> str:
    digest = hashlib.sha256(Path("/etc/os-release").read_bytes())
    for top in inputs:
        for file in sorted(top.rglob("*")) if top.is_dir() else [top]:
            if file.is_file():
                digest.update(file.name.encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    sys.stdout.write(f"{artifacts()}\n")
