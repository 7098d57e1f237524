"""What kubeadm keeps in a cluster beside what it would upload, and kube-proxy's way to another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml
from pydantic import JsonValue

from kubexms.step.kinds._kubeadm.proxy import ROLLED, behind
from kubexms.step.kinds._yaml import load

PARTS = ("cluster", "kubelet", "kube-proxy", "coredns")
KEYS: Mapping[str, str] = {
    "cluster": "ClusterConfiguration",
    "kubelet": "kubelet",
    "kube-proxy": "config.conf",
}
"""The key in the ConfigMap of each part."""

MARK = "kubexms.io/rollout"
"""On kube-proxy's ConfigMap and on its pods: as long as they differ, pods have an older configuration."""

_MODES = "Node,RBAC"


def late(live: Mapping[str, Any]) -> str:
    """What is to be said of nodes that have an earlier kube-proxy; empty: nothing."""
    return behind(next((item for item in _items(live) if _name(item) == "DaemonSet kube-proxy"), None))


def compared(
    made: str, live: Mapping[str, Any], parts: Sequence[str]
) -> tuple[dict[str, JsonValue], str, str]:
    """The state of each part, and the lines of those that differ, before and after.

    `made` are the ConfigMaps that kubeadm would upload; `live` is a list of objects as JSON. Never raises.
    """
    found_in = {part: (name, text) for part, name, text in _wanted(made) if part in parts}
    wanted = {part: text for part, (_, text) in found_in.items()}
    objects = {_name(item): item for item in _items(live)}
    state: dict[str, JsonValue] = {}
    before, after = "", ""
    for part in parts:
        if part == "coredns":
            state[part] = "as specified" if "Deployment coredns" in objects else "missing"
            continue
        # of the kubelet's there may be an older one, with the version in its name
        name = found_in[part][0] if part in found_in else ""
        found = objects.get(f"ConfigMap {name}")
        is_ = wanted.get(part)
        was = (found or {}).get("data", {}).get(KEYS[part]) if found else None
        if is_ is None:
            state[part] = "not known to kubeadm"
        elif not isinstance(was, str):
            state[part] = "missing"
            after += f"# {part}\n{_whole(is_)}"
        elif not _same(was, is_):
            state[part] = "differs"
            before += f"# {part}\n{_whole(was)}"
            after += f"# {part}\n{_whole(is_)}"
        else:
            state[part] = "as specified"
        if part == "kube-proxy" and state[part] == "as specified" and not _rolled_out(objects):
            state[part] = "not restarted"
    return state, before, after


def _wanted(made: str) -> Iterable[tuple[str, str, str]]:
    """Each part, the name of its ConfigMap, and the text."""
    for chunk in made.split("---\n"):
        try:
            item = load(chunk)
        except yaml.YAMLError:
            continue
        data = item.get("data") if isinstance(item, dict) else None
        for part, key in KEYS.items():
            if isinstance(data, dict) and isinstance(data.get(key), str):
                yield part, str((item.get("metadata") or {}).get("name") or ""), data[key]


def _items(live: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = live.get("items", [live])
    return [item for item in found if isinstance(item, dict) and isinstance(item.get("metadata"), dict)]


def _name(item: Mapping[str, Any]) -> str:
    return f"{item.get('kind')} {item['metadata'].get('name')}"


def _whole(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _same(was: str, wanted: str) -> bool:
    if was.strip() == wanted.strip():
        return True
    try:
        one, other = load(was), load(wanted)
    except yaml.YAMLError:
        return False
    return bool(_without_modes(one, other) == other)


def _without_modes(was: Any, wanted: Any) -> Any:
    """Where `kubeadm init` has written the API server's default authorization mode down, as older ones do."""
    given = _argument(was)
    if given != _MODES or _argument(wanted) is not None:
        return was
    server = dict(was["apiServer"])
    arguments = server["extraArgs"]
    if isinstance(arguments, dict):
        left: Any = {name: value for name, value in arguments.items() if name != "authorization-mode"}
    else:
        left = [item for item in arguments if item.get("name") != "authorization-mode"]
    if left:
        server["extraArgs"] = left
    else:
        del server["extraArgs"]
    return {**was, "apiServer": server}


def _argument(configuration: Any) -> Any:
    server = configuration.get("apiServer") if isinstance(configuration, dict) else None
    arguments = server.get("extraArgs") if isinstance(server, dict) else None
    if isinstance(arguments, dict):
        return arguments.get("authorization-mode")
    for item in arguments if isinstance(arguments, list) else ():
        if isinstance(item, dict) and item.get("name") == "authorization-mode":
            return item.get("value")
    return None


def _rolled_out(objects: Mapping[str, Mapping[str, Any]]) -> bool:
    proxy = objects.get("ConfigMap kube-proxy") or {}
    pods = objects.get("DaemonSet kube-proxy") or {}
    mark = (proxy.get("metadata", {}).get("annotations") or {}).get(MARK)
    template = pods.get("spec", {}).get("template", {}).get("metadata", {})
    # a cluster's own kube-proxy has no mark before its first change
    return mark is None or (template.get("annotations") or {}).get(MARK) == mark


ROLLOUT = (
    ROLLED
    + r"""
k() { admin --request-timeout=30s -n kube-system "$@"; }
if ! there=$(k get configmap/kube-proxy daemonset/kube-proxy --ignore-not-found -o name); then exit 1; fi
case $there in
*configmap*daemonset*)
  made=$(payload config | uploads)
  file=$(mktemp /run/kubexms.XXXXXXXX)
  trap 'rm -f "$file"' EXIT
  # the file alone: where the API is, kube-proxy's kubeconfig says, and that is not this configuration's
  printf '%s\n' "$made" | awk '
    /^---/ { data = 0 }
    /^  config\.conf: \|-?$/ { data = 1; next }
    data && /^    / { print substr($0, 5); next }
    data && /^$/ { print; next }
    { data = 0 }' >"$file"
  [ -s "$file" ] || { echo 'kubeadm does not say what the configuration of kube-proxy is to be' >&2; exit 1; }
  mark=$(date -u +%Y%m%dT%H%M%SZ)-$$
  data=$(kubectl create configmap new --from-file=config.conf="$file" --dry-run=client -o 'jsonpath={.data}')
  # at once, so that a cut between this and the restart is seen
  k patch configmap kube-proxy --type merge \
    --patch "{\"data\": $data, \"metadata\": {\"annotations\": {\"MARK\": \"$mark\"}}}"
  annotations="{\"metadata\": {\"annotations\": {\"MARK\": \"$mark\"}}}"
  k patch daemonset kube-proxy --type merge --patch "{\"spec\": {\"template\": $annotations}}"
  rolled 600 ;;
*) payload config | kubeadm init phase addon kube-proxy --config /dev/stdin ;;
esac
""".replace("MARK", MARK)
)
