"""The Python in Markdown files: find it, run it, compare what it prints with what the page says.

``python tests/markdown_code.py`` runs the tutorials and replaces the pictures in docs/tutorials/figures/.
"""

import contextlib
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
TUTORIALS = ROOT / "docs" / "tutorials"

_FENCE = re.compile(r"^```(?P<language>\w*)(?P<note>[^\n]*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTED = re.compile(r"^\s*print\(.*\)  # (.+)$", re.MULTILINE)


class Block(NamedTuple):
    """A fenced block: its language, what follows that (``not run``), its code, its first line, its end."""

    language: str
    note: str
    code: str
    line: int
    end: int


def blocks(text: str) -> list[Block]:
    """Return the fenced blocks of a page, in order."""
    return [
        Block(m["language"], m["note"].strip(), m["code"], text.count("\n", 0, m.start("code")) + 1, m.end())
        for m in _FENCE.finditer(text)
    ]


def promised(block: Block, following: Sequence[Block], text: str) -> str | None:
    """Return what the page says that a block prints, or None if it says nothing.

    Said in the comments of its prints, ``print(x)  # 0.5``, or in a block ```` ```text ```` right after it.
    """
    if following and following[0].language == "text":
        between = text[block.end : text.index(following[0].code, block.end)]
        if between.split() == ["```text"]:
            return following[0].code
    lines = _PRINTED.findall(block.code)
    return "".join(f"{line}\n" for line in lines) if lines else None


def run(page: Path) -> str:
    """Execute the Python blocks of a page in one namespace, in the current directory; return what it says.

    A block that begins with ```` ```python not run ```` is for the reader to fill in, and is left out.

    Raises
    ------
    AssertionError
        If a block prints something else than the page says.
    """
    text = page.read_text(encoding="utf-8")
    found = blocks(text)
    namespace: dict[str, object] = {"__name__": "__main__"}
    for i, block in enumerate(found):
        if (block.language, block.note) != ("python", ""):
            assert block.note in ("", "not run"), f"{page.name}, block at line {block.line}: {block.note!r}"
            continue
        printed = io.StringIO()
        code = "\n" * (block.line - 1) + block.code  # tracebacks then name the line of the page
        with contextlib.redirect_stdout(printed):
            exec(compile(code, page, "exec"), namespace)
        expected = promised(block, found[i + 1 :], text)
        if expected is not None:
            assert printed.getvalue() == expected, f"{page.name}, block at line {block.line}"
    return text


def figures(text: str) -> list[str]:
    """Return the names of the pictures that the code of a page saves."""
    code = "".join(block.code for block in blocks(text) if block.language == "python")
    return re.findall(r'"([\w-]+\.png)"', code)


def shrink(picture: Path) -> None:
    """Write a picture again with few colours: a third of the bytes, and no difference to be seen."""
    from PIL import Image

    with Image.open(picture) as image:
        reduced = image.convert("RGB").quantize(128, Image.Quantize.MEDIANCUT, kmeans=1)
    reduced.save(picture, optimize=True)


if __name__ == "__main__":
    import os
    import sys

    os.chdir(TUTORIALS / "figures")
    for name in sys.argv[1:] or sorted(path.name for path in TUTORIALS.glob("*.md")):
        for picture in map(Path, figures(run(TUTORIALS / name))):
            shrink(picture)
            print(f"{name}: {picture}, {picture.stat().st_size / 1000:.0f} kB")
