"""Whether hosts can have the programs of Kubernetes from their own package repositories."""

from __future__ import annotations

from kubexms.builder.plans import ClusterPlan
from kubexms.builder.runtime import PACKAGES, PROGRAMS
from kubexms.builder.steps import step
from kubexms.spec.pipeline import StepSpec
from kubexms.step.kinds._shell.package_offer import offer_check

SOURCES = ("/etc/apt", "/etc/yum.conf", "/etc/yum.repos.d", "/etc/dnf")
"""What says which repositories there are; a pipeline beside the cluster may be about to change it."""
_JOINED = "/etc/kubernetes/kubelet.conf"


def packages_there(plan: ClusterPlan) -> list[StepSpec]:
    """Two refusals: a version that no repository has, and programs that would be taken for the packages'."""
    if plan.kubernetes_from_artifacts:
        return []
    message = (
        f"Kubernetes {plan.version} cannot be installed from this host's package repositories: give "
        "kubernetes.version one that they have, or add the repository that has it"
    )
    return [
        step(
            "packages",
            "assert",
            check=offer_check(PACKAGES, str(plan.version)),
            check_timeout=75,
            message=message,
            show_output=True,
            looks_at=SOURCES,
        ),
        _hidden(str(plan.version)),
    ]


def _hidden(version: str) -> StepSpec:
    """Programs that somebody once put on a host that is no member yet; the shell would find them first."""
    check = _HIDDEN.replace("VERSION", version)
    message = f"a program in {PROGRAMS} hides the package's, and is not Kubernetes {version}: remove it"
    return step("programs", "assert", check=check, message=message, show_output=True)


_HIDDEN = f"""\
test ! -e {_JOINED} || exit 0
bad=0
for program in {" ".join(PACKAGES)}; do
    file={PROGRAMS}/$program
    test -x "$file" || continue
    case $program in
        kubeadm) said=$("$file" version -o short 2>/dev/null) ;;
        kubelet) said=$("$file" --version 2>/dev/null) ;;
        kubectl) said=$("$file" version --client 2>/dev/null | grep -o 'v1[0-9.]*' | head -n 1) ;;
    esac
    said=${{said##*v}}
    test "$said" != VERSION || continue
    echo "$file is ${{said:-something else}}."
    bad=1
done
exit $bad
"""
