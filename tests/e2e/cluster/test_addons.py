"""Objects of a cluster that come from the document, on one control plane: what comes, changes and goes."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.e2e.cluster.conftest import NewCluster
from tests.e2e.cluster.projects import ClusterProject

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]
STEP = "demo-addons/manifests/shop@cp1"
KIND = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: orders.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: orders, singular: order, kind: Order}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""
ORDER = "apiVersion: example.com/v1\nkind: Order\nmetadata: {name: first, namespace: shop}\nspec: {n: 1}\n"
SPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"


def settings(name: str, space: str = "shop") -> str:
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: {space}}}\ndata: {{a: '1'}}\n"
    )


@pytest.fixture(scope="module")
def project(new_cluster: NewCluster) -> ClusterProject:
    made = new_cluster({"cp1": "control-plane"}, kubernetes=NEW)
    made.apply(timeout=600)
    made.await_ready("cp1")
    return made


NEW = {"version": "1.20.2", "schedulableControlPlanes": True}


def has(project: ClusterProject, *documents: str, name: str = "shop") -> None:
    """The addon holds these."""
    (project.root / f"{name}.yaml").write_text("---\n".join(documents))


def there(project: ClusterProject, kind: str, space: str = "shop") -> set[str]:
    """The names of the objects of a kind, without those that Kubernetes makes by itself."""
    found = json.loads(project.kubectl(f"get {kind} -n {space} -o json"))["items"]
    return {one["metadata"]["name"] for one in found} - {"kube-root-ca.crt"}


def test_kinds_and_namespaces_come_before_what_needs_them(project: ClusterProject) -> None:
    project.kubectl("create configmap theirs --from-literal=a=0")
    has(project, settings("a"), ORDER, KIND, SPACE, settings("b"), settings("theirs", "default"))
    project.consist_of("cp1", addons=[{"name": "shop", "manifest": "shop.yaml"}])
    assert f"# {STEP} will be created" in project.plan_code()[1]
    project.apply()
    project.assert_empty_plan()
    assert there(project, "configmap") == {"a", "b"}
    assert there(project, "orders.example.com") == {"first"}


def test_what_leaves_a_manifest_is_deleted_and_what_is_somebody_elses_stays(project: ClusterProject) -> None:
    project.kubectl("create configmap by-hand -n shop")
    # another manager takes an object over: it applies it, too
    project.kubectl("apply --server-side --force-conflicts --field-manager flux -f -", stdin=settings("b"))
    has(project, settings("c"), ORDER, KIND, SPACE)
    code, text = project.plan_code()
    assert code == 2, text
    for line in (
        '- "ConfigMap shop/a"         = "no longer specified, to be deleted"',
        '- "ConfigMap shop/b"         = "no longer specified, stays: flux manages it"',
        '- "ConfigMap default/theirs" = "no longer specified, stays: it was there before"',
    ):
        assert line in text
    project.apply()
    project.assert_empty_plan()
    assert there(project, "configmap") == {"b", "c", "by-hand"}
    assert "theirs" in there(project, "configmap", "default")


def test_a_kind_that_takes_objects_along_needs_a_word(project: ClusterProject) -> None:
    second = ORDER.replace("first", "second")
    project.kubectl("apply -f -", stdin=second)
    has(project, settings("c"), SPACE)
    code, text = project.plan_code()
    assert code == 1
    assert "# note: CustomResourceDefinition orders.example.com takes Order shop/second along" in text
    assert f"Error: {STEP} would lose data" in text
    project.apply("--allow-destroy", STEP)
    project.assert_empty_plan()
    assert "orders.example.com" not in there(project, "crd")


def test_a_kind_comes_to_an_addon_that_is_there_and_goes_with_its_own_objects(
    project: ClusterProject,
) -> None:
    has(project, settings("c"), ORDER, SPACE, KIND)
    code, text = project.plan_code()
    assert code == 2, text
    # nothing can be compared before the API knows the kind
    assert '"Order shop/first"' in text
    assert '"not compared yet" -> "as specified"' in text
    project.apply()
    project.assert_empty_plan()
    assert there(project, "orders.example.com") == {"first"}
    has(project, settings("c"), SPACE)
    assert "takes nothing else along" in project.plan_code()[1]
    project.apply()
    project.assert_empty_plan()


def test_an_object_that_moves_to_another_addon_is_not_deleted(project: ClusterProject) -> None:
    uid = project.kubectl("get configmap c -n shop -o jsonpath={.metadata.uid}")
    has(project, settings("c"), name="more")
    both = [{"name": "shop", "manifest": "shop.yaml"}, {"name": "more", "manifest": "more.yaml"}]
    project.consist_of("cp1", addons=both)
    assert '"as specified, by demo.shop" -> "as specified"' in project.plan_code()[1]
    project.apply()
    has(project, SPACE)
    assert '"no longer specified, stays: it is one of demo.more too"' in project.plan_code()[1]
    project.apply()
    project.assert_empty_plan()
    assert project.kubectl("get configmap c -n shop -o jsonpath={.metadata.uid}") == uid


BASE = """\
resources: [deployment.yaml]
configMapGenerator:
  - {name: page, literals: [index.html=one]}
"""
OVERLAY = """\
namespace: shop
namePrefix: prod-
bases: [../../base]
"""
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 1
  selector: {matchLabels: {app: kustomized}}
  template:
    metadata: {labels: {app: kustomized}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: web
          image: docker.io/library/busybox:1.35
          command: [httpd, -f, -h, /www]
          volumeMounts: [{name: page, mountPath: /www}]
      volumes: [{name: page, configMap: {name: page}}]
"""


def test_a_kustomization_comes_and_what_it_generates_anew_replaces_what_was(project: ClusterProject) -> None:
    for name, text in (("base", BASE), ("overlays/prod", OVERLAY)):
        (project.root / name).mkdir(parents=True)
        (project.root / name / "kustomization.yaml").write_text(text)
    (project.root / "base/deployment.yaml").write_text(DEPLOYMENT)
    web = {"name": "web", "kustomize": "overlays/prod"}
    project.consist_of("cp1", addons=[*project.spec["addons"], web])
    assert '"Deployment shop/prod-web"' in project.plan_code()[1]
    project.apply()
    project.assert_empty_plan()
    project.kubectl("rollout status deploy/prod-web -n shop --timeout=120s", timeout=130)
    [before] = [name for name in there(project, "configmap") if name.startswith("prod-page-")]

    (project.root / "base/kustomization.yaml").write_text(BASE.replace("=one", "=two"))
    code, text = project.plan_code()
    assert code == 2, text
    assert f'- "ConfigMap shop/{before}"' in text
    assert f"name: {before}\n" in text
    project.apply()
    project.assert_empty_plan()
    [after] = [name for name in there(project, "configmap") if name.startswith("prod-page-")]
    assert after != before


def test_a_kustomization_that_cannot_be_rendered_is_told(project: ClusterProject) -> None:
    (project.root / "base/deployment.yaml").rename(project.root / "base/elsewhere.yaml")
    code, text = project.plan_code()
    assert code == 1
    assert "it cannot be rendered: kustomize failed" in text
    assert "deployment.yaml" in text
    (project.root / "base/elsewhere.yaml").rename(project.root / "base/deployment.yaml")
    project.assert_empty_plan()


def test_an_addon_that_leaves_takes_what_it_made(project: ClusterProject) -> None:
    project.consist_of("cp1", addons=[])
    (project.root / "shop.yaml").unlink()
    code, text = project.plan_code()
    assert code == 1, text
    assert f"Error: {STEP} would lose data" in text
    assert f"# {STEP} will be destroyed" in text
    assert (
        "# note: Namespace shop takes ConfigMap b, ConfigMap by-hand, ConfigMap c, ConfigMap prod-page-"
        in text
    )
    project.apply("--allow-destroy", "demo-addons/*")
    project.assert_empty_plan()
    assert "shop" not in there(project, "namespaces")
    assert not {name for name in there(project, "configmap", "kube-system") if name.startswith("kubexms-")}
    assert yaml.safe_load(project.kubectl("get configmap theirs -o yaml"))["data"] == {"a": "1"}
