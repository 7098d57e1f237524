"""What is built from a cluster: a pipeline whose every step its kind takes, and that can be kept."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from kubexms.config.project import LoadedProject
from kubexms.config.template import TemplateEngine
from kubexms.config.yaml.writer import dump_yaml
from kubexms.errors import ConfigError
from kubexms.services.building import documents_of
from kubexms.spec.base import Json
from kubexms.spec.pipeline import Dependency, ModuleSpec, PipelineSpec, StepSpec, WaitScope
from kubexms.spec.variable import SecretRef
from kubexms.step.registry import default_registry
from tests.unit.builder.clusters import cluster, golden, hosts, load, load_directory

REGISTRY = default_registry(plugins=False)

SNAPSHOT = b"not really"
SHA256 = hashlib.sha256(SNAPSHOT).hexdigest()
KEY = base64.b64encode(b"0123456789abcdef" * 2).decode()
PROTECTED: Json = {
    "version": "1.31.4",
    "apiServer": {"audit": {"maxAge": 7}, "extraArgs": {"audit-log-maxsize": "5"}},
    "encryptionAtRest": {
        "keys": [
            {"name": "new", "valueFrom": {"file": "key"}},
            {"name": "b-1", "valueFrom": {"env": "KEY_B"}},
            {"name": "old", "provider": "aescbc", "valueFrom": {"command": ["pass", "show", "old"]}},
        ]
    },
}
CASES: dict[str, dict[str, Json]] = {
    "protected": {"kubernetes": PROTECTED},
    "smallest": {},
    "alone": {"hosts": hosts(1, 0), "kubernetes": {"version": "1.29.0", "schedulableControlPlanes": True}},
    "balanced": {"hosts": hosts(3, 2, 1), "endpoint": {"host": "k8s.example.com"}},
    "kept": {
        "hosts": hosts(1, 1),
        "etcd": {"backup": {"keep": 3}, "restore": {"snapshot": "snapshot.db", "sha256": SHA256}},
    },
    "floating": {
        "hosts": hosts(3, 1, 2),
        "endpoint": {"host": "k8s.example.com", "virtualIP": {"address": "10.0.0.100", "interface": "bond0"}},
    },
    "named": {"hosts": hosts(3, 2), "endpoint": {"host": "k8s.example.com", "resolve": False}},
    "everything": {
        "kubernetes": {
            "version": "1.20.2",
            "imageRepository": "registry.example.com",
            "apiServer": {"certSANs": ["api.example.com"], "extraArgs": {"v": "2"}},
            "kubelet": {"config": {"maxPods": 60}, "extraArgs": {"v": "2"}},
        },
        "dns": {"enabled": False},
        "kubeProxy": {"enabled": False},
        "containerRuntime": {
            "registries": {"docker.io": {"mirrors": ["https://mirror.example.com"], "skipVerify": True}},
            "config": {"plugins": {"io.containerd.grpc.v1.cri": {"restrict_oom_score_adj": True}}},
        },
        "network": {"plugin": "none"},
        "nodes": {"*": {"labels": {"site": "a"}}, "w1": {"taints": [{"key": "x", "effect": "NoSchedule"}]}},
        "operatingSystem": {
            "packages": [],
            "kernelModules": ["nf_conntrack"],
            "sysctls": {"vm.max_map_count": "1"},
        },
        "preflight": {"cpus": 0, "controlPlaneMemoryMb": 0, "workerMemoryMb": 0, "diskMb": 0, "clockSkew": 0},
    },
}


def built(tmp_path: Path, name: str) -> LoadedProject:
    (tmp_path / "snapshot.db").write_bytes(SNAPSHOT)
    (tmp_path / "key").write_text(KEY)
    return load(tmp_path, cluster(**CASES[name]))


def paths(pipeline: PipelineSpec) -> list[str]:
    return [f"{m.name}/{t.name}/{s.name}" for m in pipeline.modules for t in m.tasks for s in t.steps]


@pytest.mark.parametrize("name", CASES)
def test_every_step_is_one_that_its_kind_takes(name: str, tmp_path: Path) -> None:
    loaded = built(tmp_path, name)
    for module in loaded.pipeline.modules:
        for task in module.tasks:
            for step in task.steps:
                REGISTRY.check_args(step.kind, step.args)
    assert loaded.warnings == ()


@pytest.mark.parametrize("name", ["balanced", "everything", "kept", "floating", "protected"])
def test_addresses_are_public(name: str, tmp_path: Path) -> None:
    """A rename here moves everybody's state: it needs a `moved` entry, and a line in the changelog."""
    golden(f"addresses-{name}.txt", "\n".join(paths(built(tmp_path, name).pipeline)) + "\n")


@pytest.mark.parametrize("name", CASES)
def test_what_is_printed_does_the_same(name: str, tmp_path: Path) -> None:
    before = built(tmp_path, name)
    (tmp_path / "cluster.yaml").write_text("---\n".join(documents_of(before.built[0])))
    after = load_directory(tmp_path)
    assert after.pipeline.modules == before.pipeline.modules
    assert after.inventory.hosts == before.inventory.hosts


def test_a_further_node_renames_nothing(tmp_path: Path) -> None:
    def tree(*, control_planes: int, workers: int) -> list[str]:
        listed = hosts(control_planes, workers, 1)
        return paths(load(tmp_path, cluster(hosts=listed)).pipeline)

    assert tree(control_planes=1, workers=1) == tree(control_planes=3, workers=5)


def test_a_further_control_plane_changes_no_configuration(tmp_path: Path) -> None:
    """Else each API server would be restarted for its new neighbour."""

    def configuration(control_planes: int) -> Json:
        loaded = load(tmp_path, cluster(hosts=hosts(control_planes, 1, 1)))
        return the_step(loaded, "demo-control-plane", "manifests").args["config"]

    assert configuration(1) == configuration(3)


def test_what_looks_like_a_template_is_none(tmp_path: Path) -> None:
    kubernetes: Json = {
        "version": "1.31.4",
        "apiServer": {"extraArgs": {"service-account-issuer": "{{ x }}{% %}"}},
    }
    loaded = load(tmp_path, cluster(kubernetes=kubernetes))
    config = the_step(loaded, "demo-control-plane", "node").args["config"]
    rendered = TemplateEngine(tmp_path).render(
        config, {"host": {"name": "007", "vars": {}, "address": "10.0.0.11"}}
    )
    documents = list(yaml.safe_load_all(str(rendered.value)))
    assert documents[1]["apiServer"]["extraArgs"] == [
        {"name": "service-account-issuer", "value": "{{ x }}{% %}"}
    ]
    assert documents[0]["nodeRegistration"]["name"] == "007"
    assert documents[0]["localAPIEndpoint"]["advertiseAddress"] == "10.0.0.11"


def test_nodes_may_list_nodes_where_they_could_not(tmp_path: Path) -> None:
    older = the_module(load(tmp_path, cluster(kubernetes={"version": "1.31.9"})), "demo-network")
    assert [task.name for task in older.tasks] == ["bridge"]
    newer = the_module(load(tmp_path, cluster(kubernetes={"version": "1.32.0"})), "demo-network")
    assert [task.name for task in newer.tasks] == ["access", "bridge"]
    access, *own = newer.tasks[1].depends_on or ()
    assert access == Dependency(task="access", scope=WaitScope.ALL)
    assert tuple(own) == older.tasks[0].depends_on
    role, binding = yaml.safe_load_all(str(newer.tasks[0].steps[0].args["manifest"]))
    assert role["rules"] == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch"]}]
    assert binding["roleRef"]["name"] == role["metadata"]["name"]
    assert binding["subjects"][0]["name"] == "system:nodes"


def test_labels_add_up_and_the_later_wins(tmp_path: Path) -> None:
    nodes: Json = {"*": {"labels": {"site": "a", "tier": "x"}}, "w1": {"labels": {"tier": "y"}}}
    step = the_step(load(tmp_path, cluster(nodes=nodes)), "demo-nodes", "node")
    assert step.run_once
    assert step.for_each == {
        "cp1": {"labels": {"site": "a", "tier": "x"}, "taints": []},
        "w1": {"labels": {"site": "a", "tier": "y"}, "taints": []},
    }


def test_the_load_balancer_serves_every_control_plane(tmp_path: Path) -> None:
    loaded = load(tmp_path, cluster(hosts=hosts(3, 1, 1)))
    content = str(the_step(loaded, "demo-endpoint", "config").args["content"])
    servers = [line.split()[1:] for line in content.splitlines() if line.startswith("    server ")]
    assert servers == [["cp1", "10.0.0.11:6443"], ["cp2", "10.0.0.12:6443"], ["cp3", "10.0.0.13:6443"]]
    assert the_step(loaded, "demo-control-plane", "node").args["endpoint"] == "10.0.0.31:6443"


def test_containerd_has_what_the_document_says(tmp_path: Path) -> None:
    loaded = built(tmp_path, "everything")
    found = tomllib.loads(str(the_step(loaded, "demo-runtime", "config").args["content"]))
    assert found["version"] == 2
    cri = found["plugins"]["io.containerd.grpc.v1.cri"]
    assert cri["sandbox_image"] == "registry.example.com/pause:3.2"
    assert cri["restrict_oom_score_adj"] is True
    assert cri["containerd"]["runtimes"]["runc"]["options"] == {"SystemdCgroup": True}
    assert cri["registry"] == {"config_path": "/etc/containerd/certs.d"}


def test_lifetimes_go_where_the_version_takes_them(tmp_path: Path) -> None:
    def steps(version: str, **certificates: Json) -> tuple[StepSpec, StepSpec, list[str]]:
        loaded = load(tmp_path, cluster(kubernetes={"version": version}, certificates=certificates))
        steps = [the_step(loaded, "demo-control-plane", name) for name in ("node", "certificates")]
        return steps[0], steps[1], paths(loaded.pipeline)

    node, certificates, addresses = steps("1.30.4", authorityDays=7300)
    assert node.args["authorityDays"] == 7300
    assert "config" not in certificates.args
    assert "demo-control-plane/member/openssl" in addresses
    node, certificates, addresses = steps("1.31.4", authorityDays=7300, lifetimeDays=90)
    assert "authorityDays" not in node.args
    assert certificates.args["config"] == node.args["config"]
    [_, made, *_] = yaml.safe_load_all(str(node.args["config"]).replace("{{", "").replace("}}", ""))
    assert made["caCertificateValidityPeriod"] == "175200h0m0s"
    assert made["certificateValidityPeriod"] == "2160h0m0s"
    for version in ("1.30.4", "1.31.4"):
        node, certificates, addresses = steps(version, authorityDays=3650, lifetimeDays=365)
        assert "authorityDays" not in node.args
        assert certificates.args == {"renewBeforeDays": 30}
        assert "demo-control-plane/member/openssl" not in addresses


def test_a_cluster_is_no_module(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner/cluster.yaml").write_text(dump_yaml(cluster()))
    outer: dict[str, Json] = {
        "apiVersion": "kubexms.io/v1alpha1",
        "kind": "Pipeline",
        "metadata": {"name": "p"},
        "spec": {"modules": [{"name": "m", "source": "./inner"}]},
    }
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, outer)
    assert caught.value.diagnostics[0].summary == "a Cluster is no part of a module"


def test_one_kubelet_must_do_before_others_get_the_configuration(tmp_path: Path) -> None:
    tasks = the_module(load(tmp_path, cluster()), "demo-configuration").tasks
    assert [(task.name, task.strategy.max_parallel) for task in tasks] == [
        ("control-plane", 1),
        ("cluster", None),
        ("worker", (1, "25%")),
    ]
    assert [task.depends_on for task in tasks[1:]] == [
        (Dependency(task="control-plane", scope=WaitScope.ALL),),
        (Dependency(task="cluster", scope=WaitScope.ALL),),
    ]
    alone = the_module(load(tmp_path, cluster(hosts=hosts(1, 0))), "demo-configuration")
    assert [task.name for task in alone.tasks] == ["control-plane", "cluster"]
    assert alone.depends_on == ("demo-control-plane",)


def test_the_domain_is_that_of_the_tokens_unless_these_have_another_issuer(tmp_path: Path) -> None:
    def checks(**api_server: Json) -> list[str]:
        kubernetes: Json = {"version": "1.31.4", "apiServer": api_server}
        loaded = load(tmp_path, cluster(kubernetes=kubernetes, network={"dnsDomain": "k8s.example"}))
        preflight = the_module(loaded, "demo-preflight").tasks
        return [str(step.args["check"]) for task in preflight for step in task.steps if step.name == "domain"]

    [check] = checks()
    assert "issuer=https://kubernetes\\.default\\.svc\\.k8s\\.example$" in check
    assert checks(extraArgs={"service-account-issuer": "https://issuer.example"}) == []


def test_keys_are_where_the_run_fetches_them_and_nowhere_else(tmp_path: Path) -> None:
    loaded = built(tmp_path, "protected")
    variables = loaded.pipeline.variables
    assert {name: spec.value_from for name, spec in variables.items()} == {
        "demo_encryption_new": SecretRef(file="key"),
        "demo_encryption_b_1": SecretRef(env="KEY_B"),
        "demo_encryption_old": SecretRef(command=("pass", "show", "old")),
    }
    assert KEY not in "".join(documents_of(loaded.built[0]))
    file = the_step(loaded, "demo-control-plane", "encryption")
    assert file.args["mode"] == "0600"
    given = {"demo_encryption_new": "AAA\n", "demo_encryption_b_1": "BBB", "demo_encryption_old": "CCC"}
    rendered = TemplateEngine(tmp_path).render(file.args["content"], {"vars": given})
    [resources] = yaml.safe_load(str(rendered.value))["resources"]
    assert resources["resources"] == ["secrets"]
    assert resources["providers"] == [
        {"secretbox": {"keys": [{"name": "new", "secret": "AAA"}, {"name": "b-1", "secret": "BBB"}]}},
        {"aescbc": {"keys": [{"name": "old", "secret": "CCC"}]}},
        {"identity": {}},
    ]
    # what no file holds is looked at when it has been fetched
    checks = [step.name for step in the_module(loaded, "demo-preflight").tasks[2].steps]
    assert [name for name in checks if name.startswith("key-")] == ["key-b-1", "key-old"]


def test_what_encrypts_is_known_to_all_and_what_is_stored_is_written_with_it(tmp_path: Path) -> None:
    loaded = built(tmp_path, "protected")
    readable = the_step(loaded, "demo-preflight", "readable").args
    assert readable["providers"] == ["secretbox:new", "secretbox:b-1", "aescbc:old", "identity"]
    given = {"demo_encryption_new": "AAA\n", "demo_encryption_b_1": "BBB", "demo_encryption_old": "CCC"}
    values = TemplateEngine(tmp_path).render(readable["values"], {"vars": given}).value
    assert values == {"secretbox:new": "AAA", "secretbox:b-1": "BBB", "aescbc:old": "CCC"}
    anew = the_step(loaded, "demo-encryption", "anew")
    assert anew.run_once
    assert (anew.args["resources"], anew.args["writtenWith"]) == (["secrets"], "secretbox:new")
    # which waits for all control planes
    assert the_module(loaded, "demo-encryption").depends_on == ("demo-control-plane",)


@pytest.mark.parametrize(("text", "fits"), [(KEY, True), (KEY[:-2], False), (KEY + KEY, False), ("", False)])
def test_a_key_of_a_command_is_looked_at_when_it_is_there(tmp_path: Path, text: str, fits: bool) -> None:
    check = the_step(built(tmp_path, "protected"), "demo-preflight", "key-b-1")
    found = TemplateEngine(tmp_path).render(check.args["that"], {"vars": {"demo_encryption_b_1": text}})
    assert found.value is fits


def test_what_is_not_to_be_encrypted_any_more_can_be_read(tmp_path: Path) -> None:
    keys: Json = [{"name": "one", "valueFrom": {"env": "KEY"}}]
    encryption: Json = {"encrypt": False, "resources": ["secrets", "configmaps"], "keys": keys}
    loaded = load(tmp_path, cluster(kubernetes={"version": "1.31.4", "encryptionAtRest": encryption}))
    file = the_step(loaded, "demo-control-plane", "encryption").args["content"]
    rendered = TemplateEngine(tmp_path).render(file, {"vars": {"demo_encryption_one": "AAA"}})
    [resources] = yaml.safe_load(str(rendered.value))["resources"]
    assert [list(provider) for provider in resources["providers"]] == [["identity"], ["secretbox"]]
    assert the_step(loaded, "demo-encryption", "anew").args["writtenWith"] == "identity"


@pytest.mark.parametrize(
    ("content", "refused"),
    [("providers:\n  - secretbox:\n", True), ("providers:\n  - identity: {}\n  - secretbox:\n", False)],
)
def test_encryption_is_not_taken_out_while_it_encrypts(tmp_path: Path, content: str, refused: bool) -> None:
    file = tmp_path / "encryption.yaml"
    file.write_text(content)
    check = str(the_step(load(tmp_path, cluster()), "demo-preflight", "encryption").args["check"])
    here = check.replace("/etc/kubexms/apiserver/encryption.yaml", str(file))
    assert (subprocess.run(["sh", "-c", here], timeout=30, check=False).returncode != 0) is refused


def test_the_api_server_is_restarted_for_its_files(tmp_path: Path) -> None:
    wanted = ["files/audit-policy", "files/encryption"]
    loaded = built(tmp_path, "protected")
    assert the_step(loaded, "demo-control-plane", "manifests").args["restartOn"] == wanted
    tasks = [task.name for task in the_module(loaded, "demo-control-plane").tasks]
    assert tasks.index("files") < tasks.index("member"), "those that join have them"


def the_module(loaded: LoadedProject, name: str) -> ModuleSpec:
    [found] = [module for module in loaded.pipeline.modules if module.name == name]
    return found


def the_step(loaded: LoadedProject, module: str, name: str) -> StepSpec:
    [found] = [
        step
        for one in loaded.pipeline.modules
        if one.name == module
        for task in one.tasks
        for step in task.steps
        if step.name == name
    ]
    return found
