"""`containerdImage` with a real containerd: imported from an archive, pulled from a registry, told apart."""

from __future__ import annotations

import hashlib
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import images
from tests.e2e.cluster.registry import Registry
from tests.e2e.projects import ProjectDirectory
from tests.e2e.testbed import Fleet, Host

REF = "registry.example/tools/greeting:1.0"
CONTAINERD = (
    {"name": "package", "kind": "package", "packages": ["containerd"]},
    {"name": "service", "kind": "service", "unit": "containerd", "enabled": True, "running": True},
)


class Image:
    """An image with one small file, as an archive."""

    def __init__(self, directory: Path, text: str, ref: str = REF) -> None:
        self.ref = ref
        self.archive = directory / f"{text}.tar"
        with images.Layer(Path("/")) as layer:
            layer.file("greeting", text.encode())
            images.write(self.archive, ref, layer.content(), {"Entrypoint": ["/greeting"]})
        self.sha256 = hashlib.sha256(self.archive.read_bytes()).hexdigest()
        with tarfile.open(self.archive) as archive:
            index = archive.extractfile("index.json")
            assert index is not None
            self.digest = str(json.load(index)["manifests"][0]["digest"])

    def step(self, **more: Any) -> dict[str, Any]:
        return {"name": "image", "kind": "containerdImage", "ref": self.ref, "digest": self.digest, **more}

    def imported(self) -> dict[str, Any]:
        return self.step(archive=self.archive.name, sha256=self.sha256)


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    with Fleet() as own:
        _, ready = own.up(2, data=("/var/lib/containerd",))
        ready.run("apt-get -qq install -y --no-install-recommends containerd", check=True)
        yield own


@pytest.fixture
def host(fleet: Fleet) -> Host:
    """A host that has containerd."""
    return fleet.hosts[1]


@pytest.fixture
def project(tmp_path: Path, fleet: Fleet, host: Host) -> Iterator[ProjectDirectory]:
    project = ProjectDirectory(tmp_path, fleet, [host])
    yield project
    project.destroy()


def listed(host: Host) -> dict[str, str]:
    """Names and digests of containerd's images, without its own second names for them."""
    lines = host.run("ctr -n k8s.io images ls", check=True).stdout.splitlines()[1:]
    return {line.split()[0]: line.split()[2] for line in lines}


def test_from_a_bare_host_on(fleet: Fleet, tmp_path: Path) -> None:
    host = fleet.hosts[0]
    project = ProjectDirectory(tmp_path, fleet, [host])
    image = Image(tmp_path, "hello")
    project.pipeline(*CONTAINERD, image.imported())
    code, text = project.plan_code()
    assert code == 2, text
    assert "m/t/image@host1" in text
    project.apply()
    project.assert_empty_plan()
    assert listed(host)[REF] == image.digest

    host.run(f"ctr -n k8s.io images rm {REF}", check=True)
    assert "m/t/image@host1" in project.run("drift").stdout
    project.apply()
    project.assert_empty_plan()

    host.run("systemctl stop containerd", check=True)
    code, text = project.plan_code()
    assert code == 2, text
    assert "containerd does not answer" in text
    project.apply()
    project.assert_empty_plan()

    project.pipeline(*CONTAINERD)
    project.apply()
    assert image.digest not in listed(host).values()


def test_another_image_of_that_name_is_replaced(
    project: ProjectDirectory, host: Host, tmp_path: Path
) -> None:
    old, new = Image(tmp_path, "old"), Image(tmp_path, "new")
    project.pipeline(old.imported())
    project.apply()
    project.pipeline(new.imported())
    assert old.digest[:19] in project.plan_code()[1]
    project.apply()
    project.assert_empty_plan()
    assert listed(host)[REF] == new.digest


def test_an_archive_without_the_image_is_refused(
    project: ProjectDirectory, host: Host, tmp_path: Path
) -> None:
    image = Image(tmp_path, "hello")
    project.pipeline(image.imported() | {"ref": "registry.example/other:1.0"})
    done = project.run("apply", "--auto-approve")
    assert done.returncode == 1
    assert "no image there is called registry.example/other:1.0" in done.stdout + done.stderr
    project.pipeline(image.imported() | {"digest": f"sha256:{'0' * 64}"})
    done = project.run("apply", "--auto-approve")
    assert done.returncode == 1
    assert f"it is {image.digest} instead of" in done.stdout + done.stderr


def test_several_in_a_row(project: ProjectDirectory, host: Host, tmp_path: Path) -> None:
    """They share an exchange; the one whose archive holds something else fails alone, with its reason."""
    first, wrong, last = (Image(tmp_path, name, f"registry.example/{name}:1.0") for name in "abc")
    steps = [image.imported() | {"name": image.archive.stem} for image in (first, wrong, last)]
    steps[1]["digest"] = f"sha256:{'0' * 64}"
    project.pipeline(*steps)
    done = project.run("apply", "--auto-approve")
    assert done.returncode == 1
    assert f"it is {wrong.digest} instead of" in done.stdout + done.stderr
    assert "m/t/c@" in done.stdout
    assert listed(host)[first.ref] == first.digest
    assert last.ref not in listed(host)
    project.pipeline(steps[0], steps[2])
    project.apply()
    project.assert_empty_plan()
    assert listed(host)[last.ref] == last.digest


def test_pulled_by_its_digest(project: ProjectDirectory, fleet: Fleet, host: Host, tmp_path: Path) -> None:
    image = Image(tmp_path, "pulled")
    mirror_url = f"http://{Registry.place}"
    hosts = f'server = "{mirror_url}"\n[host."{mirror_url}"]\ncapabilities = ["pull", "resolve"]\n'
    mirror = {
        "name": "mirror",
        "kind": "file",
        "path": "/etc/containerd/certs.d/registry.example/hosts.toml",
        "content": hosts,
    }
    directory = {"name": "mirrors", "kind": "directory", "path": "/etc/containerd/certs.d/registry.example"}
    project.pipeline(directory, mirror, image.step())
    with Registry(fleet, [image.archive]) as registry:
        project.apply()
        assert f"/v2/tools/greeting/manifests/{image.digest}?ns=registry.example" in registry.asked
    project.assert_empty_plan()
    assert listed(host)[REF] == image.digest
