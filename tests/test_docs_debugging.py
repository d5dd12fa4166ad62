"""docs/debugging.md: its code runs, in order, and prints what the page says."""

import contextlib
import doctest
import io
import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "docs" / "debugging.md"
BLOCK = re.compile(r"^```(python|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def outcome(code: str, names: dict) -> str:
    """What the code prints, or the error that it ends with."""
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            exec(compile(code, str(PAGE), "exec"), names)
    except Exception as error:
        return f"{type(error).__name__}: {error}\n"
    return printed.getvalue()


@pytest.mark.filterwarnings("ignore:overflow", "ignore:invalid value")
def test_the_page_says_what_happens():
    names: dict = {}
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert len(blocks) > 20
    got = ""
    for kind, text in blocks:
        if kind == "python":
            assert got == "", f"the page does not show:\n{got}"
            got = outcome(text, names)
        else:
            assert doctest.OutputChecker().check_output(text, got, doctest.ELLIPSIS), got
            got = ""
    assert got == ""
