"""Each `bad/NAME.yaml` (or directory) against what loading it must say, word for word, in `bad/NAME.txt`.

`KUBEXMS_UPDATE_GOLDEN=1` writes the texts anew; read the difference before committing it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from kubexms.errors import ConfigError
from tests.unit.builder.clusters import load_directory
from tests.unit.config.projects import told

BAD = Path(__file__).parent / "bad"
CASES = sorted(path for path in BAD.iterdir() if path.suffix != ".txt")


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_what_loading_says(case: Path, tmp_path: Path) -> None:
    if case.is_dir():
        shutil.copytree(case, tmp_path, dirs_exist_ok=True)
    else:
        shutil.copy(case, tmp_path / case.name)
    try:
        text = told(load_directory(tmp_path).warnings, tmp_path)
    except ConfigError as error:
        text = told(error.diagnostics, tmp_path)
    golden = case.with_suffix(".txt")
    if os.environ.get("KUBEXMS_UPDATE_GOLDEN"):
        golden.write_text(text)
    assert text == golden.read_text()


def test_every_text_has_its_case() -> None:
    assert {path.stem for path in BAD.glob("*.txt")} == {path.stem for path in CASES}
