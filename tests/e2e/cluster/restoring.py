"""What tests of restores share: a snapshot that is fetched, and what is there after one."""

from __future__ import annotations

import base64
import hashlib

from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

SNAPSHOT = "snapshot.db"
ALLOW = ("--allow-destroy", "demo-restore/*")


def fetched(project: ClusterProject, host: Host, snapshot: str) -> dict[str, object]:
    """`etcd.restore` of a snapshot that lies on a host, and now beside the document, too."""
    content = base64.b64decode(host.run(f"base64 -w0 {snapshot}", check=True).stdout)
    (project.root / SNAPSHOT).write_bytes(content)
    return of_the_file(project)


def of_the_file(project: ClusterProject) -> dict[str, object]:
    """`etcd.restore` of the snapshot that was fetched last."""
    digest = hashlib.sha256((project.root / SNAPSHOT).read_bytes()).hexdigest()
    return {"snapshot": SNAPSHOT, "sha256": digest}


def marked(project: ClusterProject, name: str) -> None:
    """Something is written: `before` a snapshot, or `after` it."""
    project.kubectl(f"create configmap {name} --from-literal=is=there")


def marks(project: ClusterProject) -> set[str]:
    """Which of these are there."""
    names = project.kubectl("get configmaps -o name").split()
    return {"before", "after"} & {name.removeprefix("configmap/") for name in names}
