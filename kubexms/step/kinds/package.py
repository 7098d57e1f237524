"""`package`: packages of the distribution, by apt or dnf; several in one transaction."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, GetJsonSchemaHandler, JsonValue, model_validator
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from kubexms.runtime.protocol import Action, Fragment, Record
from kubexms.spec.base import FrozenModel
from kubexms.step.contract import ChangeRequest, Part, Probe, StepArgs, StepExecutor
from kubexms.step.kinds._shell.etc_files import lists_of
from kubexms.step.kinds._shell.package_install import INSTALL
from kubexms.step.kinds._shell.package_probe import PROBE, TOOL
from kubexms.step.kinds._shell.package_remove import REMOVE, UNDO
from kubexms.step.observation import Attributes, Observation, Presence
from kubexms.step.shell import quote, words

ABSENT = "absent"
ANY = "installed"
LATEST = "latest"
_NAME = r"^[A-Za-z0-9@][A-Za-z0-9@+._:-]*$"
_SETTINGS = (
    "update_cache",
    "cache_max_age",
    "allow_downgrade",
    "install_recommends",
    "with_dependents",
    "purge",
    "lock_timeout",
)
"""Fields that say how, not what."""
_ARCHITECTURES = ("amd64", "arm64", "armhf", "i386", "ppc64el", "riscv64", "s390x")


class PackageItem(FrozenModel):
    """One package."""

    name: str = Field(pattern=_NAME, max_length=200)
    """Its name, with `:arch` where a foreign architecture is meant."""
    version: str | None = Field(default=None, pattern=r"^[A-Za-z0-9.+~:^_*?-]+$", max_length=200)
    """The version: exact (with or without epoch and revision) or a pattern (`1.6.*`)."""

    @model_validator(mode="before")
    @classmethod
    def _from_text(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        name, equals, version = value.partition("=")
        if equals and not version:
            raise PydanticCustomError("no_version", "'{value}' has no version after '='", {"value": value})
        return {"name": name, "version": version} if equals else {"name": name}

    def __str__(self) -> str:
        """As it may be written in a document: `curl` or `curl=7.88.*`; plans name the step's object so."""
        return self.name if self.version is None else f"{self.name}={self.version}"

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The mapping, or `name` or `name=version` as text."""
        schema = handler.resolve_ref_schema(super().__get_pydantic_json_schema__(core_schema, handler))
        return {"anyOf": [{"type": "string"}, dict(schema)], "description": schema.get("description", "")}


class PackageSpec(StepArgs):
    """Packages of the distribution: installed (in some version), the newest, or absent."""

    packages: tuple[PackageItem, ...] = Field(min_length=1)
    """Names: `curl`, `curl=7.88.*`, or `{name: curl, version: 7.88.*}`. All in one transaction."""
    state: Literal["present", "absent", "latest"] = "present"
    """`latest` follows what the host's package lists offer."""
    hold: bool | None = None
    """Keep upgrades away from the packages (apt-mark hold, dnf versionlock), or no longer."""
    update_cache: bool | None = None
    """Fetch the package lists before acting: always, never, or (default) when something is not in them."""
    cache_max_age: int | None = Field(default=None, ge=0)
    """Seconds; older lists are fetched anew before acting."""
    allow_downgrade: bool = False
    """A version older than the installed one may replace it."""
    install_recommends: bool | None = None
    """Whether recommended (weak) dependencies come along; default: as the host is configured."""
    with_dependents: bool = False
    """With `absent`: also remove packages that need these; otherwise such a removal fails and names them."""
    purge: bool = False
    """With `absent`: remove their configuration too."""
    lock_timeout: int = Field(default=300, ge=0, le=86400)
    """Seconds to wait for another package tool that holds the lock."""

    @model_validator(mode="before")
    @classmethod
    def _one_name(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and isinstance(value.get("packages"), str):
            return {**value, "packages": [value["packages"]]}
        return value

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        names = [item.name for item in self.packages]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise PydanticCustomError("twice", "'{name}' is listed twice", {"name": twice[0]})
        if self.state != "present" and any(item.version for item in self.packages):
            raise PydanticCustomError("version_of", "a version makes sense with 'state: present' only")
        if self.state == "absent" and self.hold:
            raise PydanticCustomError("hold_absent", "a package that is to be absent cannot be held")
        return self

    @property
    def names(self) -> list[str]:
        """The names in the order of the document."""
        return [item.name for item in self.packages]


def version_forms(version: str) -> tuple[str, ...]:
    """A full version, and what people write for it: without epoch, without revision, without both."""
    short = re.sub(r"^[0-9]+:", "", version)
    forms = (version, short, version.rpartition("-")[0], short.rpartition("-")[0])
    return tuple(dict.fromkeys(form for form in forms if form))


def version_matches(wanted: str, installed: str) -> bool:
    """Whether any form of `installed` is what `wanted`, exact or a pattern, asks for."""
    return any(fnmatchcase(form, wanted) for form in version_forms(installed))


class PackageExecutor(StepExecutor[PackageSpec]):
    """One dpkg-query or rpm for all packages of all steps."""

    kind = "package"
    spec = PackageSpec
    identity = ("packages",)
    feeds: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "hold": ("onHold",),
        **dict.fromkeys(_SETTINGS, ()),
    }
    example = """\
- {name: runtime, kind: package, packages: [containerd, "runc=1.1.*"], hold: true}
"""

    def probe(self, specs: Sequence[PackageSpec]) -> Sequence[Probe]:
        """The installed versions; for `latest` also what the host's lists offer."""
        if not specs:
            return ()
        every = words(sorted({name for spec in specs for name in spec.names}))
        newest = sorted({name for spec in specs if spec.state == "latest" for name in spec.names})
        rows = "".join(f"row {int(spec.state == 'latest')} {words(spec.names)}\n" for spec in specs)
        script = f"{PROBE}load {every}\n" + (f"offered {words(newest)}\n" if newest else "") + rows
        return (Probe(Fragment(script, records=len(specs), timeout=120.0), tuple(range(len(specs)))),)

    def observe(self, spec: PackageSpec, record: Record) -> Observation:
        """One attribute per package: its version, or `absent`."""
        answer = lists_of(record)
        if record.status:
            return Observation.unknown(
                "; ".join(answer.get("error", ())) or "the package tool did not answer"
            )
        attributes: dict[str, JsonValue] = {name: _version(name, answer) for name in spec.names}
        held = [name for name in spec.names if name in answer.get("held", ())]
        extra: dict[str, JsonValue] = {"tool": answer.get("tool", [""])[0], "held": list[JsonValue](held)}
        if all(value == ABSENT for value in attributes.values()):
            return Observation.absent(extra)
        if spec.state == "latest":
            offered = dict(line.partition(" ")[::2] for line in answer.get("offered", ()))
            for name, value in attributes.items():
                if value != ABSENT and offered.get(name, value) != value:
                    attributes[name] = f"{value} ({offered[name]} is available)"
        if spec.hold is not None:
            installed = [name for name in spec.names if attributes[name] != ABSENT]
            attributes["onHold"] = all(name in held for name in installed) if spec.hold else bool(held)
        return Observation.present(attributes, extra)

    def desired(self, spec: PackageSpec) -> Attributes | None:
        """Per package a version, a pattern, `installed` or `latest`."""
        if spec.state == "absent":
            return None
        default = LATEST if spec.state == "latest" else ANY
        wanted: dict[str, JsonValue] = {item.name: item.version or default for item in spec.packages}
        if spec.hold is not None:
            wanted["onHold"] = spec.hold
        return wanted

    def same(self, name: str, desired: JsonValue, observed: JsonValue) -> bool:
        """Patterns and shortened versions match; `(x is available)` is not the latest."""
        if not isinstance(desired, str) or not isinstance(observed, str):
            return desired == observed
        if observed == ABSENT or observed.startswith("("):
            return False
        if desired == LATEST:
            return not observed.endswith("is available)")
        # kernels and the like are installed in several versions at once
        return desired == ANY or any(version_matches(desired, version) for version in observed.split())

    def action(self, spec: PackageSpec, request: ChangeRequest) -> Action:
        """Only what differs is handed to the package tool, in one transaction."""
        head = f"wait_for={spec.lock_timeout}\n"
        timeout = 1800.0 + spec.lock_timeout
        if spec.state == "absent":
            there = [name for name in spec.names if request.before.attributes.get(name, ABSENT) != ABSENT]
            script = f"dependents={int(spec.with_dependents)} purge={int(spec.purge)}\n"
            return Action(f"{head}{REMOVE}{script}gone {words(there or spec.names)}\n", timeout=timeout)
        return Action(head + _install([(spec, request.changed)]), timeout=timeout)

    def shares(self, spec: PackageSpec) -> Hashable | None:
        """Steps that install, with the same settings, share one transaction."""
        if spec.state == "absent":
            return None
        return (spec.state, spec.hold, *(getattr(spec, name) for name in _SETTINGS))

    def merge(self, parts: Sequence[Part[PackageSpec]]) -> Action | None:
        """One transaction; each step keeps account of what came with it, but for what the others name."""
        specs = [part.spec for part in parts]
        if len({name for spec in specs for name in spec.names}) < sum(len(spec.names) for spec in specs):
            return None
        lines = [
            f"wait_for={specs[0].lock_timeout}",
            _install(
                [(part.spec, part.request.changed) for part in parts],
                _members([part.store for part in parts], specs),
            ),
        ]
        return Action("\n".join(lines), timeout=max(part.alone.timeout for part in parts))

    def undo(self, spec: PackageSpec, prior: Observation) -> Action | None:
        """What came with this step goes, dependencies too; other versions come back while they exist."""
        was = prior.attributes if prior.presence is Presence.PRESENT else {}
        new = [name for name in spec.names if was.get(name, ABSENT) == ABSENT]
        old = [
            text
            for name in spec.names
            if isinstance(version := was.get(name), str) and version != ABSENT
            for text in (name, version.split()[-1] if "(" not in version else version.split()[0])
        ]
        held = prior.extra.get("held")
        # where the host could not say what is installed, nothing was
        alone = f'{TOOL}[ -n "$tool" ] || exit 0\n' if prior.presence is Presence.UNKNOWN else ""
        script = f"{alone}wait_for={spec.lock_timeout}\n{UNDO}"
        if spec.state != "absent":
            script += f"withdraw {words(new)}\n"
        if old:
            script += f"back {words(old)}\n"
        if spec.hold is not None and old:
            kept = [str(name) for name in held] if isinstance(held, list) else []
            free = sorted(set(old[::2]) - set(kept))
            script += f"mark unhold {words(free)}\n" if spec.hold else f"mark hold {words(kept)}\n"
        return Action(script, timeout=1800.0 + spec.lock_timeout)

    def paths(self, spec: PackageSpec) -> tuple[str, ...]:
        """dpkg's list of the package's files; for rpm, its documentation."""
        found = []
        for name in spec.names:
            base, _, architecture = name.partition(":")
            found.append(f"/var/lib/dpkg/info/{base}.list")
            suffixes = (architecture,) if architecture else _ARCHITECTURES
            found += [f"/var/lib/dpkg/info/{base}:{suffix}.list" for suffix in suffixes]
            found += [f"/usr/share/doc/{base}", f"/usr/share/licenses/{base}"]
        return tuple(found)

    def object_id(self, spec: PackageSpec) -> str:
        """Another version is still the same object."""
        plain = tuple(PackageItem(name=name) for name in sorted(spec.names))
        return super().object_id(spec.model_copy(update={"packages": plain}))


def _install(steps: Sequence[tuple[PackageSpec, frozenset[str]]], members: str = "") -> str:
    """The transaction of steps with the same settings, and which of their packages differ."""
    spec = steps[0][0]
    refresh = {None: "auto", True: "always", False: "never"}[spec.update_cache]
    recommends = "" if spec.install_recommends is None else str(int(spec.install_recommends))
    max_age = "" if spec.cache_max_age is None else spec.cache_max_age
    script = (
        f"refresh={refresh} max_age={max_age} "
        f"downgrade={int(spec.allow_downgrade)} recommends={recommends} "
        f"held={int(spec.hold is not None)} newest={int(spec.state == 'latest')}\n{INSTALL}{members}"
    )
    wanted = [item for spec, changed in steps for item in spec.packages if item.name in changed]
    if wanted:
        script += f"there {words([text for item in wanted for text in (item.name, item.version or '')])}\n"
    marked = [
        name
        for spec, changed in steps
        if "onHold" in changed or any(item.name in changed for item in spec.packages)
        for name in spec.names
    ]
    if spec.hold is not None and marked:
        script += f"mark {'hold' if spec.hold else 'unhold'} {words(marked)}\n"
    return script


def _members(directories: Sequence[str], specs: Sequence[PackageSpec]) -> str:
    """Whose transaction it is: the steps' directories, and for each what the others name."""
    cases = []
    for directory, own in zip(directories, specs, strict=True):
        others = [name.partition(":")[0] for spec in specs if spec is not own for name in spec.names]
        cases.append(f"    {directory}) printf '%s\\n' {words(others)} ;;\n")
    return (
        f"members={quote(' '.join(directories))}\nothers_of() {{\n  case $1 in\n{''.join(cases)}  esac\n}}\n"
    )


def _version(name: str, answer: Mapping[str, list[str]]) -> str:
    """`pkg=NAME VERSION` lines say what is installed; `half=NAME STATE` what was interrupted."""
    versions = [line.partition(" ")[2] for line in answer.get("pkg", ()) if line.partition(" ")[0] == name]
    if versions:
        return " ".join(dict.fromkeys(versions))
    halves = [line.partition(" ")[2] for line in answer.get("half", ()) if line.partition(" ")[0] == name]
    return f"({halves[0]})" if halves else ABSENT
