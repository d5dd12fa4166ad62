"""The code in Markdown runs and prints what the pages say; pictures and links are up to date."""

import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import markdown_code
import pytest
from markdown_code import ROOT, TUTORIALS

PAGES = sorted(path for path in TUTORIALS.glob("*.md") if not path.name.startswith("README"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
NEEDS = {"hyperparameters.md": "optuna"}
MOST_BYTES = 60_000
PNG = b"\x89PNG\r\n\x1a\n"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BESIDE_A_WHEEL = SETTINGS["tool"]["cibuildwheel"]["test-sources"]


def top(path: Path) -> str:
    """The file or folder of the checkout that a path belongs to."""
    return path.resolve().relative_to(ROOT.resolve()).parts[0]


def size(picture: Path) -> tuple[int, int]:
    """Width and height of a PNG picture, from its header."""
    header = picture.read_bytes()[:24]
    assert header[:8] == PNG
    return int.from_bytes(header[16:20], "big"), int.from_bytes(header[20:], "big")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_tutorial(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, threads: Callable) -> None:
    image = pytest.importorskip("matplotlib.image", reason="matplotlib, which draws the figures, is missing")
    if page.name in NEEDS:
        pytest.importorskip(NEEDS[page.name])
    monkeypatch.chdir(tmp_path)
    threads(1)  # networks as small as these gain nothing from more
    text = markdown_code.run(page)
    saved = markdown_code.figures(text)
    assert saved
    assert {path.name for path in tmp_path.glob("*.png")} == set(saved)
    for name in saved:
        assert image.imread(name)[..., :3].std() > 0.03, f"{name} is blank"
        assert size(Path(name)) == size(TUTORIALS / "figures" / name), f"{name}: run tests/markdown_code.py"


def test_every_figure_is_drawn_by_a_page_and_small() -> None:
    shown, saved = set(), set()
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"\]\(figures/([^)]+)\)", text)) == set(markdown_code.figures(text)), page.name
        saved.update(markdown_code.figures(text))
    for picture in (TUTORIALS / "figures").iterdir():
        shown.add(picture.name)
        assert picture.stat().st_size < MOST_BYTES, picture.name
    assert shown == saved


@pytest.mark.parametrize("index", sorted(TUTORIALS.glob("README*.md")), ids=lambda path: path.name)
def test_every_tutorial_is_in_the_index(index: Path) -> None:
    text = index.read_text(encoding="utf-8")
    for page in PAGES:
        assert f"]({page.name})" in text, page.name


def test_experiments_that_pages_name_exist() -> None:
    from cnn_core.book.experiments import EXPERIMENTS

    for page in PAGES:
        named = re.findall(r"`cnn-core book ([\w-]+)`", page.read_text(encoding="utf-8"))
        assert named, page.name
        assert set(named) <= EXPERIMENTS.keys(), page.name


@pytest.mark.parametrize("page", ["README.md", "docs/adding-a-layer.md"])
def test_code_of_a_document(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    markdown_code.run(ROOT / page)


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    prose = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", prose):
        if "://" not in target:
            assert (page.parent / target).exists(), target
            if top(page) in BESIDE_A_WHEEL:
                assert top(page.parent / target) in BESIDE_A_WHEEL, (
                    f"{target}: is not copied for tests of wheels"
                )


def test_what_a_page_promises_is_compared(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    first, second = "x = 2\nprint(x)  # 2\n", "print(x, 3)\n"
    page.write_text(f"```python\n{first}```\n\n```python\n{second}```\n\n```text\n2 3\n```\n")
    markdown_code.run(page)
    for wrong in (("# 2", "# 3"), ("2 3", "2 4")):
        bad = tmp_path / "bad.md"
        bad.write_text(page.read_text().replace(*wrong))
        with pytest.raises(AssertionError, match=r"bad\.md, block at line"):
            markdown_code.run(bad)


def test_blocks_for_the_reader_to_fill_in_are_not_run(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("```python not run\nyours()\n```\n\n```python\nprint(1)  # 1\n```\n")
    markdown_code.run(page)
    page.write_text("```python nut run\nyours()\n```\n")
    with pytest.raises(AssertionError, match="'nut run'"):
        markdown_code.run(page)
