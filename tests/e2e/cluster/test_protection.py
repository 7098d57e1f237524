"""Audit and encryption at rest in a living cluster: each test goes on from what the one before left."""

from __future__ import annotations

import base64
import json
import os
from typing import Any

import pytest

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject
from tests.e2e.testbed import Host

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

LOG = "/var/log/kubernetes/audit/audit.log"
FILE = "/etc/kubexms/apiserver/encryption.yaml"
VERSION = {"version": "1.20.2"}
PKI = "/etc/kubernetes/pki/etcd"
ETCDCTL = f"etcdctl --cacert {PKI}/ca.crt --cert {PKI}/server.crt --key {PKI}/server.key"


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster({"cp1": "control-plane", "w1": "worker"})
    made.apply(timeout=900)
    made.await_ready("cp1", "w1")
    made.assert_empty_plan()
    return made


def key(project: ClusterProject, name: str) -> dict[str, Any]:
    """A key of the document; its value is a file beside it."""
    file = project.root / "secrets" / name
    file.parent.mkdir(exist_ok=True)
    if not file.exists():
        file.write_text(base64.b64encode(os.urandom(32)).decode() + "\n")
        file.chmod(0o600)
    return {"name": name, "valueFrom": {"file": f"secrets/{name}"}}


def applied(project: ClusterProject, **kubernetes: Any) -> str:
    """The plan with these settings, which an apply then brings about, for good."""
    project.describe(project.members, kubernetes=VERSION | kubernetes)
    code, text = project.plan_code()
    assert code == 2, text
    project.apply(timeout=600)
    project.await_ready("cp1", "w1")
    project.assert_empty_plan()
    return text


def stored(project: ClusterProject, name: str, kind: str = "secrets") -> str:
    """What etcd holds of an object, as far as it is text."""
    command = f"{ETCDCTL} get --print-value-only /registry/{kind}/default/{name}"
    text = project.kubectl(f"-n kube-system exec etcd-cp1 -- {command} | tr -cd '[:print:]'")
    assert text
    return text


def secret(project: ClusterProject, name: str) -> None:
    project.kubectl(f"create secret generic {name} --from-literal=word=xyzzy-{name}")


def readable(project: ClusterProject, *names: str) -> None:
    for name in names:
        word = project.kubectl(f"get secret {name} -o jsonpath={{.data.word}}")
        assert base64.b64decode(word).decode() == f"xyzzy-{name}"


def audited(host: Host, **fields: str) -> list[dict[str, Any]]:
    """Events of the log with these fields."""
    events = [json.loads(line) for line in (host.read(LOG) or "").splitlines()]
    return [event for event in events if fields.items() <= event.items()]


def test_requests_are_written_down(project: ClusterProject, hosts: dict[str, Host]) -> None:
    secret(project, "before")
    assert "xyzzy-before" in stored(project, "before")
    text = applied(project, apiServer={"audit": {"maxSize": 5}})
    assert "          +     - --audit-log-maxsize=5" in text
    project.kubectl("get namespace default")
    found = audited(hosts["cp1"], requestURI="/api/v1/namespaces/default", verb="get")
    assert found[-1]["level"] == "Metadata"
    assert "requestObject" not in found[-1]


def test_another_policy_restarts_the_api_server(project: ClusterProject, hosts: dict[str, Host]) -> None:
    (project.root / "policies").mkdir(exist_ok=True)
    rules = [
        {"level": "None", "verbs": ["get", "list", "watch"]},
        {"level": "Request", "resources": [{"group": "", "resources": ["configmaps"]}]},
    ]
    policy = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules}
    (project.root / "policies/audit.yaml").write_text(json.dumps(policy))
    before = hosts["cp1"].run("pgrep -xo kube-apiserver").stdout
    text = applied(project, apiServer={"audit": {"maxSize": 5, "policyFile": "policies/audit.yaml"}})
    assert "demo-control-plane/files/audit-policy@cp1" in text
    assert "kube-apiserver = " not in text, "the manifest is the same"
    assert hosts["cp1"].run("pgrep -xo kube-apiserver").stdout != before
    project.kubectl("create configmap seen --from-literal=answer=42")
    project.kubectl("get namespace nobody --ignore-not-found")
    uri = "/api/v1/namespaces/default/configmaps?fieldManager=kubectl-create"
    assert audited(hosts["cp1"], requestURI=uri)[-1]["requestObject"]["data"] == {"answer": "42"}
    assert not audited(hosts["cp1"], requestURI="/api/v1/namespaces/nobody")


AUDIT = {"audit": {"maxSize": 5, "policyFile": "policies/audit.yaml"}}


def test_secrets_are_encrypted(project: ClusterProject, hosts: dict[str, Host]) -> None:
    encryption = {"keys": [key(project, "key1")]}
    text = applied(project, apiServer=AUDIT, encryptionAtRest=encryption)
    assert "+     - --encryption-provider-config=/etc/kubexms/apiserver/encryption.yaml" in text
    assert "(sensitive value)" in text
    assert "demo-encryption/stored/anew@cp1" in text
    secret(project, "first")
    assert stored(project, "first").startswith("k8s:enc:secretbox:v1:key1:")
    assert "xyzzy" not in stored(project, "first")
    assert stored(project, "before").startswith("k8s:enc:secretbox:v1:key1:"), (
        "what was there is written anew"
    )
    readable(project, "before", "first")
    project.assert_empty_plan()


def test_an_edited_file_is_put_right_and_read(project: ClusterProject, hosts: dict[str, Host]) -> None:
    right = hosts["cp1"].read(FILE)
    hosts["cp1"].run(f"chmod 0644 {FILE}; sed -i s/key1/key9/ {FILE}", check=True)
    before = hosts["cp1"].run("pgrep -xo kube-apiserver").stdout
    assert "demo-control-plane/files/encryption@cp1" in project.run("drift").stdout
    project.apply(timeout=400)
    assert hosts["cp1"].read(FILE) == right
    assert hosts["cp1"].run(f"stat -c %a {FILE}").stdout.strip() == "600"
    assert hosts["cp1"].run("pgrep -xo kube-apiserver").stdout != before
    readable(project, "first")
    project.assert_empty_plan()


def test_the_key_changes(project: ClusterProject, hosts: dict[str, Host]) -> None:
    keys = [key(project, "key2") | {"provider": "aescbc"}, key(project, "key1")]
    applied(project, apiServer=AUDIT, encryptionAtRest={"keys": keys, "resources": ["secrets", "configmaps"]})
    secret(project, "second")
    project.kubectl("create configmap hidden --from-literal=answer=42")
    assert stored(project, "second").startswith("k8s:enc:aescbc:v1:key2:")
    assert stored(project, "hidden", "configmaps").startswith("k8s:enc:aescbc:v1:key2:")
    assert stored(project, "first").startswith("k8s:enc:aescbc:v1:key2:")
    readable(project, "first", "second")
    applied(
        project,
        apiServer=AUDIT,
        encryptionAtRest={"keys": keys[:1], "resources": ["secrets", "configmaps"]},
    )
    readable(project, "before", "first", "second")


def test_no_key_is_anywhere_else(project: ClusterProject, hosts: dict[str, Host]) -> None:
    shown = [project.run(*words.split()).stdout for words in ("build", "plan", "state list", "runs")]
    for name in ("key1", "key2"):
        value = (project.root / "secrets" / name).read_text().strip()
        files = [path for path in project.root.rglob("*") if path.is_file()]
        assert [path for path in files if value.encode() in path.read_bytes()] == [
            project.root / "secrets" / name
        ]
        assert value not in "".join(shown)
        places = "/etc /tmp /root /var/lib/kubexms /var/log /proc/[0-9]*/cmdline"
        for host in hosts.values():
            # the pattern on standard input, so that it is in no command line itself
            found = host.run(f"grep -rlsaF -D skip -f - {places}", stdin=value, timeout=60)
            assert set(found.stdout.split()) <= {FILE}


def test_the_way_out(project: ClusterProject, hosts: dict[str, Host]) -> None:
    encryption = project.spec["kubernetes"]["encryptionAtRest"]
    project.describe(project.members, kubernetes=VERSION | {"apiServer": AUDIT})
    code, text = project.plan_code()
    assert code == 1, text
    assert "this control plane encrypts what it stores" in text
    applied(project, apiServer=AUDIT, encryptionAtRest=encryption | {"encrypt": False})
    readable(project, "first", "second")
    assert "xyzzy-second" in stored(project, "second")
    applied(project)
    readable(project, "before", "first", "second")
    assert hosts["cp1"].run("ls -d /etc/kubexms").returncode != 0
    assert "xyzzy-second" in stored(project, "second")
    assert (hosts["cp1"].read(LOG) or "") != "", "the log stays"
