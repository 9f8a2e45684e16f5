"""The examples of docs/testing.md run, as they stand there."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[3] / "docs" / "testing.md"
EXAMPLES = dict(re.findall(r"(?ms)^```python\n# (\w+\.py)\n(.*?)^```", PAGE.read_text(encoding="utf-8")))


def test_every_example_has_a_name():
    assert PAGE.read_text(encoding="utf-8").count("```python") == len(EXAMPLES) > 8


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name.startswith("test_")])
def test_an_example_of_the_page_passes(name, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    for each in ("shop.py", name):
        (tmp_path / each).write_text(EXAMPLES[each], encoding="utf-8")
    if name == "test_shop.py":
        (tmp_path / "conftest.py").write_text(EXAMPLES["conftest.py"], encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "sendline_pytest", name],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
