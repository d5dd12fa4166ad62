"""The translations say what the English pages say, as far as a program can tell."""

import re

import pytest
from markdown_code import ROOT, blocks


@pytest.mark.parametrize("language", ["zh-CN", "ja"])
@pytest.mark.parametrize("folder", [".", "docs/tutorials"])
def test_translations_have_the_same_code_and_links(folder: str, language: str) -> None:
    def content(name: str) -> tuple[list, list[int], list[str]]:
        text = (ROOT / folder / name).read_text(encoding="utf-8")
        code = [(b.language, b.note, re.sub(r"#.*", "#", b.code)) for b in blocks(text)]
        prose = re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
        headings = [len(level) for level in re.findall(r"^(#+) ", prose, flags=re.MULTILINE)]
        links = re.findall(r"\]\((?!README)([^)]+)\)", prose)
        return code, headings, sorted(links)

    assert content(f"README.{language}.md") == content("README.md")


@pytest.mark.parametrize("folder", [".", "docs/tutorials"])
def test_languages_lead_to_each_other(folder: str) -> None:
    pages = ["README.md", "README.zh-CN.md", "README.ja.md"]
    for page in pages:
        top = "".join((ROOT / folder / page).read_text(encoding="utf-8").splitlines(keepends=True)[:4])
        for other in pages:
            assert (f"]({other})" in top) == (other != page), (page, other)
