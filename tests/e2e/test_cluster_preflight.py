"""What a host lacks is said by the plan, before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from kubexms.services.artifacts import Named, add
from tests.e2e.projects import ProjectDirectory, file
from tests.e2e.testbed import Fleet, Host

REPOSITORY = r"""
mkdir -p /srv/kubernetes /etc/apt/sources.list.d && cd /srv/kubernetes || exit 1
for name in kubeadm kubelet kubectl; do for version in {versions}; do
    printf 'Package: %s\nVersion: %s\nArchitecture: all\nFilename: ./none\nSize: 1\n' "$name" "$version"
    printf 'SHA256: %064d\nDescription: none\nMaintainer: x <x@example.com>\n\n' 0
done; done >Packages
echo 'deb [trusted=yes] file:/srv/kubernetes ./' >/etc/apt/sources.list.d/kubernetes.list
"""
"""The lists of a repository, which is all that a plan looks at. The host's own lists know nothing of it."""


@pytest.fixture(scope="module")
def fleet() -> Iterator[Fleet]:
    """Two bare hosts that know a repository; every test leaves them as it found them."""
    with Fleet() as made:
        for host in made.up(2):
            host.run(REPOSITORY.format(versions="1.20.1-00 1.20.2-00"), check=True)
        yield made


@pytest.fixture
def project(fleet: Fleet, tmp_path: Path) -> ClusterProject:
    return ClusterProject(tmp_path, fleet, fleet.hosts)


class ClusterProject(ProjectDirectory):
    """A control plane and a worker, set up from packages; nothing is ever applied."""

    def inventory(self, hosts: Sequence[Host] | None = None, **connection: Any) -> None:
        """The first host is the control plane."""
        self.listed()
        self.cluster()

    def listed(self, connection: dict[str, Any] | None = None, **variables: str) -> None:
        """Write the inventory; `variables` are the worker's."""
        roles = ("control-plane", "worker")
        found = [
            {"name": host.name, "roles": [role], "connection": {"address": host.address}, "vars": own}
            for host, role, own in zip(self.hosts, roles, ({}, variables), strict=True)
        ]
        self.write("Inventory", {"defaults": {"connection": connection or self.connection()}, "hosts": found})

    def cluster(self, **preflight: int) -> None:
        """Write the cluster; the service network of the defaults would hold the hosts' addresses."""
        self.described(preflight={"diskMb": 500, **preflight})

    def described(self, **spec: Any) -> None:
        """Write the cluster with this laid over what the hosts need."""
        own = {
            "kubernetes": {"version": "1.20.2", "source": "packages"},
            "network": {"serviceCidr": "10.32.0.0/16"},
            "preflight": {"diskMb": 500},
        }
        self.write("Cluster", own | spec)

    def refused(self) -> str:
        """The errors of a plan that cannot be applied, on one line."""
        done = self.run("plan")
        assert done.returncode == 1, done.stdout
        _, _, errors = f"\n{done.stdout}{done.stderr}".partition("\nError: ")
        return " ".join(errors.split())


@contextmanager
def on(host: Host, do: str, undo: str) -> Iterator[None]:
    """Something done on a host while the block runs."""
    host.run(do, check=True)
    try:
        yield
    finally:
        host.run(undo, check=True)


def test_bare_hosts_are_good_enough(project: ClusterProject) -> None:
    done = project.run("plan")
    assert done.returncode == 0, done.stderr
    assert "will be created" in done.stdout


def test_a_version_that_no_repository_has(project: ClusterProject) -> None:
    before = [host.upper_listing() for host in project.hosts]
    project.described(kubernetes={"version": "1.20.9", "source": "packages"})
    said = project.refused()
    assert "Kubernetes 1.20.9 cannot be installed from this host's package repositories: give" in said
    assert "kubeadm: 1.20.2-00, 1.20.1-00 kubelet: 1.20.2-00, 1.20.1-00 kubectl: 1.20.2-00," in said
    assert [host.upper_listing() for host in project.hosts] == before


def test_a_repository_that_the_plan_itself_brings(project: ClusterProject) -> None:
    """A pipeline beside the cluster is about to add it: whether it has the version is known afterwards."""
    host, sources = project.hosts[1], "/etc/apt/sources.list.d/kubernetes.list"
    with on(host, f"mv {sources} /root", f"mv /root/kubernetes.list {sources}"):
        assert f"test-preflight/node/packages@{host.name}" in project.refused()
        project.pipeline(file("repository", sources, "deb [trusted=yes] file:/srv/kubernetes ./\n"))
        (project.root / "pipeline.yaml").rename(project.root / "apt.yaml")
        done = project.run("plan")
    assert done.returncode == 0, done.stderr
    assert f"it is looked at when m/t/repository@{host.name} has run" in done.stdout


def test_programs_that_are_newer_or_hidden(project: ClusterProject) -> None:
    """Package tools do not go back; and the shell finds what somebody once put on the host first."""
    first, second = project.hosts
    build = (
        "mkdir -p /root/k/DEBIAN && printf 'Package: kubelet\\nVersion: 1.21.0-00\\nArchitecture: all\\n"
        "Maintainer: x <x@example.com>\\nDescription: none\\n' >/root/k/DEBIAN/control && "
        "dpkg-deb -b /root/k /root/k.deb && dpkg -i /root/k.deb"
    )
    old = "printf '#!/bin/sh\\necho v1.19.0\\n' >/usr/local/bin/kubeadm && chmod +x /usr/local/bin/kubeadm"
    with (
        on(first, build, "dpkg -P kubelet; rm -r /root/k /root/k.deb"),
        on(second, old, "rm /usr/local/bin/kubeadm"),
    ):
        said = project.refused()
    assert "Installed is kubelet 1.21.0-00, which is newer, and package tools do not go back." in said
    assert "a program in /usr/local/bin hides the package's, and is not Kubernetes 1.20.2: remove it" in said
    assert "/usr/local/bin/kubeadm is 1.19.0." in said


LISTEN = "systemd-run -q --collect --unit=squatter python3 -m http.server {port}"
BUSY = "for i in $(seq 50); do ss -Hltn 'sport = :{port}' | grep -q . && exit 0; sleep 0.1; done; exit 1"


def test_a_port_that_another_program_has(project: ClusterProject) -> None:
    with on(project.hosts[0], f"{LISTEN} && ({BUSY})".format(port=2379), "systemctl stop squatter"):
        said = project.refused()
    assert "another program than etcd listens on port 2379: stop it" in said
    assert "python3 (process " in said
    assert ") listens on 0.0.0.0:2379." in said
    assert f'test-preflight/control-plane/port["2379"]@{project.hosts[0].name}' in said


def test_a_port_of_a_control_plane_is_free_for_others_on_a_worker(project: ClusterProject) -> None:
    with on(project.hosts[1], f"{LISTEN} && ({BUSY})".format(port=2379), "systemctl stop squatter"):
        assert project.run("plan").returncode == 0


def test_a_port_without_ss(project: ClusterProject) -> None:
    """Where nothing tells whose port it is, it must be free."""
    host = project.hosts[1]
    hide, show = "mv $(command -v ss) /root/ss", "mv /root/ss /usr/bin/ss; systemctl stop squatter"
    with on(host, f"{LISTEN} && ({BUSY}) && {hide}".format(port=10250), show):
        said = project.refused()
    assert "another program than kubelet listens on port 10250: stop it" in said
    assert "python3 (process " in said
    assert ") listens on it." in said


def test_too_little_disk(project: ClusterProject) -> None:
    project.cluster(diskMb=10**9)
    said = project.refused()
    assert "a node needs 1000000000 MiB of room below /var/lib" in said
    assert " MiB are free there, on overlay, mounted at /." in said


def test_too_little_memory_and_too_few_processors(project: ClusterProject) -> None:
    project.cluster(diskMb=0, cpus=1000, workerMemoryMb=10**8)
    said = project.refused()
    assert "a control plane needs 1000 processors; this host has" in said
    assert "a node needs 100000000 MiB of memory, and this host has" in said


def test_a_login_that_is_not_root(project: ClusterProject) -> None:
    login = project.connection() | {"user": "ops"}
    project.listed(connection=login)
    said = project.refused()
    assert (
        "kubexms is ops on this host, and a cluster needs root: have it say `become: {method: sudo}`" in said
    )
    project.listed(connection=login | {"become": {"method": "sudo"}})
    assert project.run("plan").returncode == 0


def test_copies_of_one_image(project: ClusterProject) -> None:
    first, second = project.hosts
    own = second.run("cat /etc/machine-id", check=True).stdout.strip()
    copied = first.run("cat /etc/machine-id", check=True).stdout.strip()
    with on(second, f"echo {copied} >/etc/machine-id", f"echo {own} >/etc/machine-id"):
        said = project.refused()
    assert f"the machine-id {copied} is that of {first.name}, {second.name}" in said


def test_one_name_for_two_hosts(project: ClusterProject) -> None:
    first, second = project.hosts
    with on(second, f"hostname {first.name}", f"hostname {second.name}"):
        said = project.refused()
    assert f"the hostname {first.name} is that of {first.name}, {second.name}" in said


def test_a_route_into_the_pods_network(project: ClusterProject) -> None:
    with on(project.hosts[1], "ip route add 10.244.3.0/24 via 10.99.0.1", "ip route del 10.244.3.0/24"):
        said = project.refused()
    assert "this host has a route into 10.244.0.0/16, the pod network" in said


def test_a_network_around_the_services_network(project: ClusterProject) -> None:
    with on(project.hosts[1], "ip route add 10.0.0.0/9 via 10.99.0.1", "ip route del 10.0.0.0/9"):
        said = project.refused()
    assert "this host has a route into 10.32.0.0/16, the service network" in said


def test_an_address_of_somebody_else(project: ClusterProject) -> None:
    project.listed(nodeAddress="10.99.7.7")
    said = project.refused()
    assert f"10.99.7.7 is no address of this host (it has {project.hosts[1].address})" in said


def test_a_clock_that_is_wrong(project: ClusterProject) -> None:
    """The kernel's clock is everybody's here: the host's own `date` is an hour ahead instead."""
    script = 'printf "#!/bin/sh\\nexec /bin/date -d \\"1 hour\\" \\"\\$@\\"\\n" >/usr/local/bin/date'
    with on(project.hosts[1], f"{script}; chmod +x /usr/local/bin/date", "rm /usr/local/bin/date"):
        said = project.refused()
    assert "this host's clock is 3600 seconds ahead of that of this machine" in said


def test_a_host_that_is_silent_says_nothing_about_the_others(project: ClusterProject) -> None:
    project.hosts[1].crash()
    try:
        done = project.run("plan")
    finally:
        project.hosts[1].start()
        project.hosts[1].wait_ready()
    assert done.returncode == 0, done.stderr
    assert "test-os/kernel" in done.stdout


def test_an_artifact_that_is_another_one(project: ClusterProject, tmp_path: Path) -> None:
    """Replaced after its entry was written."""
    directory = tmp_path / "artifacts"
    for name, kind in (("containerd", "archive"), ("cni-plugins", "archive"), ("runc", "binary")):
        published = tmp_path / name
        published.write_text("as it was published")
        add(directory, [published], Named(name=name, kind=kind, version="v1", arch="amd64"))
    project.described(artifacts=str(directory), containerRuntime={"source": "artifacts"})
    done = project.run("plan")
    assert done.returncode == 0, done.stderr
    [changed] = [path for path in directory.rglob("*") if path.name.startswith("runc")]
    changed.write_text("as somebody sent it")
    before = [host.upper_listing() for host in project.hosts]
    said = project.refused()
    assert f"{changed} is not the file that was meant: its SHA-256 digest is " in said
    assert "fetch it again (`kubexms artifacts verify` looks at all artifacts)" in said
    assert [host.upper_listing() for host in project.hosts] == before


def test_swap_that_comes_back_at_boot(project: ClusterProject) -> None:
    """Nothing is swapped to now, and after a boot it would be: that is no refusal, but what the plan does."""
    host, line = project.hosts[1], "/dev/disk/by-label/gone none swap sw 0 0"
    do = f"cp /etc/fstab /root/fstab && echo '{line}' >>/etc/fstab"
    with on(host, do, "mv /root/fstab /etc/fstab"):
        done = project.run("plan")
    assert done.returncode == 0, done.stderr
    _, _, rest = done.stdout.partition(f"  # test-os/kernel/swap@{host.name} will be updated in-place\n")
    change, _, _ = rest.partition("\n\n")
    assert '~ fstab = ["/dev/disk/by-label/gone"] -> []' in change, done.stdout


def test_a_unit_that_brings_swap_back_at_boot(project: ClusterProject) -> None:
    host, unit = project.hosts[1], "/etc/systemd/system/srv-gone.swap"
    text = "[Swap]\\nWhat=/srv/gone\\n[Install]\\nWantedBy=swap.target\\n"
    do = f"printf '{text}' >{unit} && systemctl enable srv-gone.swap"
    with on(host, do, f"systemctl disable srv-gone.swap; rm {unit}; systemctl daemon-reload"):
        done = project.run("plan")
    assert done.returncode == 0, done.stderr
    assert '~ units = ["srv-gone.swap"] -> []' in done.stdout


def test_two_clusters_keep_to_their_own_hosts(project: ClusterProject) -> None:
    connection, names = project.connection(), ("blue", "green")
    for name, host in zip(names, project.hosts, strict=True):
        spec = {
            "kubernetes": {"version": "1.20.2", "source": "packages", "schedulableControlPlanes": True},
            "network": {"serviceCidr": "10.32.0.0/16"},
            "preflight": {"diskMb": 500},
            "hosts": [
                {
                    "name": host.name,
                    "roles": ["control-plane"],
                    "connection": connection | {"address": host.address},
                }
            ],
        }
        project.write("Cluster", spec, name=name)
        (project.root / "cluster.yaml").rename(project.root / f"{name}.yaml")
    (project.root / "inventory.yaml").unlink()
    done = project.run("plan")
    assert done.returncode == 0, done.stderr
    addresses = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  # ")]
    steps = {name: [one for one in addresses if one.startswith(f"{name}-")] for name in names}
    assert len(steps["blue"]) == len(steps["green"]) == len(addresses) / 2
    for name, host in zip(names, project.hosts, strict=True):
        assert {one.rpartition("@")[2] for one in steps[name]} == {host.name}
