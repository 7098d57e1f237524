"""Kubernetes as packages of Debian, in a repository that hosts reach over HTTP.

They do to services what those of the project's own repository did for years (kubernetes/release,
packages/deb): the kubelet's enables and starts it, and restarts it when it is upgraded; kubeadm's does, too.
"""

from __future__ import annotations

import functools
import gzip
import shutil
import subprocess
from collections.abc import Mapping
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.cluster.serving import Serving
from tests.e2e.testbed import Fleet, Host
from tests.e2e.testbed.network import GATEWAY

REVISION = "00"

_UNIT = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent
Wants=network-online.target
After=network-online.target

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
StartLimitInterval=0
RestartSec=10

[Install]
WantedBy=multi-user.target
"""

_DROP_IN = """\
[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS \\
    $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
"""

_KUBELET_COMES = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  deb-systemd-helper enable kubelet.service >/dev/null || true
  systemctl --system daemon-reload >/dev/null || true
  if [ -n "$2" ]; then action=restart; else action=start; fi
  deb-systemd-invoke $action kubelet.service >/dev/null || true
fi
"""

_KUBELET_GOES = """\
#!/bin/sh
set -e
if [ "$1" = remove ]; then deb-systemd-invoke stop kubelet.service >/dev/null || true; fi
"""

_KUBELET_IS_GONE = """\
#!/bin/sh
set -e
if [ "$1" = purge ]; then deb-systemd-helper purge kubelet.service >/dev/null || true; fi
systemctl --system daemon-reload >/dev/null || true
"""

_KUBEADM_COMES = """\
#!/bin/sh
set -e
if [ "$1" = configure ]; then
  systemctl daemon-reload 2>/dev/null || true
  systemctl restart kubelet 2>/dev/null || true
fi
"""


def build(artifacts: Path, version: str, out: Path) -> None:
    """Make packages of this version (`1.20.2`) from the programs in a directory of artifacts."""
    programs = artifacts / "bin" / f"v{version}" / "amd64"
    _package(
        out,
        "kubelet",
        version,
        "iptables, iproute2, mount, util-linux, ethtool, conntrack, ebtables, socat",
        {
            "usr/bin/kubelet": programs / "kubelet",
            "lib/systemd/system/kubelet.service": _UNIT,
            "DEBIAN/postinst": _KUBELET_COMES,
            "DEBIAN/prerm": _KUBELET_GOES,
            "DEBIAN/postrm": _KUBELET_IS_GONE,
        },
    )
    _package(out, "kubectl", version, "", {"usr/bin/kubectl": programs / "kubectl"})
    _package(
        out,
        "kubeadm",
        version,
        "kubelet (>= 1.19.0), kubectl (>= 1.19.0), cri-tools (>= 1.13.0)",
        {
            "usr/bin/kubeadm": programs / "kubeadm",
            "etc/systemd/system/kubelet.service.d/10-kubeadm.conf": _DROP_IN,
            "DEBIAN/conffiles": "/etc/systemd/system/kubelet.service.d/10-kubeadm.conf\n",
            "DEBIAN/postinst": _KUBEADM_COMES,
        },
    )
    if not (out / f"cri-tools_1.20.0-{REVISION}_amd64.deb").exists():
        crictl = artifacts / "bin" / "v1.20.0" / "amd64" / "crictl"
        _package(out, "cri-tools", "1.20.0", "", {"usr/bin/crictl": crictl})
    _index(out)


def _package(out: Path, name: str, version: str, depends: str, files: Mapping[str, Path | str]) -> None:
    control = f"Package: {name}\nVersion: {version}-{REVISION}\nArchitecture: amd64\n"
    control += "Maintainer: testbed <testbed@localhost>\nDescription: a package for tests\n"
    if depends:
        control += f"Depends: {depends}\n"
    with TemporaryDirectory(dir=out) as tree:
        Path(tree).chmod(0o755)
        for path, content in {**files, "DEBIAN/control": control}.items():
            target = Path(tree) / path
            target.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, Path):
                shutil.copy(content, target)
            else:
                target.write_text(content)
                target.chmod(0o755 if content.startswith("#!") else 0o644)
        file = out / f"{name}_{version}-{REVISION}_amd64.deb"
        # not compressed: a hundred megabytes that are read once or twice
        argv = ["dpkg-deb", "--root-owner-group", "-Znone", "--build", tree, str(file)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)


def _index(out: Path) -> None:
    """As `apt-get update` reads it, of all packages that are there."""
    scan = subprocess.run(
        ["dpkg-scanpackages", "--multiversion", "."], cwd=out, check=True, capture_output=True
    )
    (out / "Packages.gz").write_bytes(gzip.compress(scan.stdout, mtime=0))


class Repository(Serving):
    """Serves a directory of packages in the fleet's network; a context manager that serves meanwhile."""

    port = 8000
    url = f"http://{GATEWAY}:{port}/"

    def __init__(self, fleet: Fleet, directory: Path) -> None:
        handler = functools.partial(_Quiet, directory=str(directory))
        super().__init__(fleet, self.port, handler)

    def known_to(self, host: Host) -> None:
        """The host's package tool knows the repository, and has read what is in it."""
        line = f"deb [trusted=yes] {self.url} ./"
        host.run(f"echo '{line}' >/etc/apt/sources.list.d/kubernetes.list && apt-get -qq update", check=True)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        return
