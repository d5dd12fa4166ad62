"""The page of promises names tests that exist, and every promise has one."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
TEXT = (HERE.parent / "docs" / "reliability.md").read_text(encoding="utf-8")


def defined(path: Path) -> set[str]:
    return {node.name for node in ast.parse(path.read_text(encoding="utf-8")).body if hasattr(node, "name")}


def test_every_named_test_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", TEXT)
    assert len(named) > 40
    missing = [f"{file}::{name}" for file, name in named if name not in defined(HERE / file)]
    assert missing == []


def test_every_promise_has_a_test() -> None:
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", TEXT, re.MULTILINE)
    promises = {promise: tests for promise, tests in rows if promise != "promise"}
    assert len(promises) > 20
    assert [promise for promise, tests in promises.items() if "::test_" not in tests] == []
