"""How kinds read YAML."""

from __future__ import annotations

import pytest
import yaml

from kubexms.step.kinds._yaml import load, load_all


@pytest.mark.parametrize(
    "text", ["", "a: 1", "a: [1, 2]\n---\n---\nb: 'x'\n", "- 0x1f\n- 1e3\n- yes\n- 2001-01-01\n"]
)
def test_libyaml_reads_what_pyyaml_does(text: str) -> None:
    assert load_all(text) == list(yaml.safe_load_all(text))
    assert load(text.partition("---")[0]) == yaml.safe_load(text.partition("---")[0])


@pytest.mark.parametrize("text", ["a: \udce9", "a: [", "a: !!python/object:os.x {}"])
def test_what_is_no_yaml_is_said_alike(text: str) -> None:
    with pytest.raises(yaml.YAMLError):
        list(yaml.safe_load_all(text))
    with pytest.raises(yaml.YAMLError):
        load_all(text)
    with pytest.raises(yaml.YAMLError):
        load("a: 1\n---\nb: 1\n")
