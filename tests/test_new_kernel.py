"""The command that writes a package with a kernel: the package builds, passes its tests, and is one's own."""

import ast
import os
import re
from contextlib import suppress
from pathlib import Path

import pytest
from cli_helpers import refused
from package_builder import install, python, run_its_tests

from cnn_core._kernels import isa_level
from cnn_core.cli import main, new_kernel


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package as the command writes it."""
    folder = tmp_path_factory.mktemp("packages")
    assert main(["new-kernel", "swish_unit", "--dir", str(folder)]) == 0
    return folder / "swish_unit"


@pytest.fixture(scope="module")
def site(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where that package is installed."""
    return install(package, tmp_path_factory.mktemp("site"), {isa_level, "baseline"})


def test_the_package_has_its_name_everywhere(package: Path) -> None:
    files = {path.relative_to(package).as_posix(): path for path in package.rglob("*") if path.is_file()}
    assert set(files) == {
        ".gitignore", "MANIFEST.in", "README.md", "pyproject.toml", "setup.py",
        "src/swish_unit.pyx", "src/swish_unit/__init__.py", "src/swish_unit/functional.py",
        "src/swish_unit/layers.py", "src/swish_unit/reference.py", "src/swish_unit/py.typed",
        "src/swish_unit/_kernels/__init__.py", "src/swish_unit/_kernels/swish_unit.pyi",
        "tests/test_swish_unit.py",
    }  # fmt: skip
    for path in files.values():
        text = path.read_text()
        assert not re.search("my_kernel|MyKernel", text), path
        if path.suffix == ".py":
            ast.parse(text)
    assert "class SwishUnit(Layer):" in files["src/swish_unit/layers.py"].read_text()
    assert sorted(os.listdir(package.parent)) == ["swish_unit"]


def test_the_package_builds_and_passes_its_tests(package: Path, site: Path) -> None:
    output = run_its_tests(package, site)
    assert "5 passed" in output
    assert "swish_unit keeps the contract" in output
    assert "SwishUnit keeps the contract" in output
    assert "position: cases[4], (64, 1000) float32" in output
    assert (package / "src" / "swish_unit" / "_kernels" / isa_level).is_dir()  # for editable installs
    assert (site / "swish_unit" / "py.typed").is_file()
    assert (site / "swish_unit" / "_kernels" / "swish_unit.pyi").is_file()


@pytest.mark.parametrize("level", sorted({isa_level, "baseline"}))
def test_the_package_follows_the_level_of_the_library(level: str, package: Path, site: Path) -> None:
    code = "from swish_unit._kernels import swish_unit as kernel; print(kernel.__file__)"
    done = python(site, "-c", code, folder=package, CNN_CORE_ISA=level)
    assert Path(done.stdout.strip()).parent.name == level, done.stderr


def test_the_layer_trains_in_a_network(package: Path, site: Path) -> None:
    code = """
import cnn_core as cc
from swish_unit import SwishUnit
data = cc.data.load_digits()
model = cc.Sequential(cc.Flatten(), cc.Linear(64, 32, rng=0), SwishUnit(), cc.Linear(32, 10, rng=1))
trainer = cc.training.Trainer(model, cc.losses.CrossEntropyLoss(), cc.optim.Adam(lr=0.003), seed=0)
trainer.fit(data.train, epochs=8, batch_size=32)
assert trainer.evaluate(data.test)["accuracy"] > 0.9
model.save("model.safetensors")
"""
    done = python(site, "-c", code, folder=package)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("name", "complaint"),
    [
        ("Max-Out", "'Max-Out': a name has lower-case letters, digits and underscores, such as max_out"),
        ("3d", "such as d"),
        ("../evil", "such as evil"),
        ("ö", "digits and underscores"),
        ("", "digits and underscores"),
        ("a" * 51, "up to 50 letters"),
        ("lambda", "is a word of Python"),
        ("sum", "is a word of Python"),
        ("double", "is the name of something else"),
        ("json", "is the name of something else"),
        ("numpy", "is the name of something else"),
    ],
)
def test_names_that_cannot_be(
    name: str, complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert complaint in refused(capsys, "new-kernel", name, "--dir", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_names_that_the_package_uses_itself_cannot_be() -> None:
    """A function named like something that its module imports would replace it."""
    used = set()
    for path in new_kernel.template_files():
        if path.suffix == ".py" and path.name != "setup.py":  # where the name is only text
            for node in ast.walk(ast.parse(path.read_text())):
                used |= {node.id} if isinstance(node, ast.Name) else set()
                used |= {node.arg} if isinstance(node, ast.arg) else set()
                if isinstance(node, ast.Import | ast.ImportFrom):
                    used |= {alias.asname or alias.name for alias in node.names}
    names = {
        name for name in used if re.fullmatch("[a-z][a-z0-9_]*", name) and not name.startswith("my_kernel")
    }
    assert "same_shape" in names
    allowed = []
    for name in names:
        with suppress(ValueError):
            new_kernel._check(name)
            allowed.append(name)
    assert allowed == []


def test_what_exists_is_left_alone(package: Path, capsys: pytest.CaptureFixture) -> None:
    before = (package / "setup.py").read_text()
    complaint = refused(capsys, "new-kernel", "swish_unit", "--dir", package.parent)
    assert complaint == f"{package}: exists; choose another name or --dir"
    assert (package / "setup.py").read_text() == before
    missing = package.parent / "nowhere"
    assert refused(capsys, "new-kernel", "swish", "--dir", missing) == f"--dir {missing}: is not a folder"
    assert not missing.exists()


def test_nothing_is_left_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    write = Path.write_text
    written = []

    def full_disk(path: Path, *args: object, **kwargs: object) -> int:
        if len(written) == 5:
            raise OSError(28, "No space left on device", str(path))
        written.append(path)
        return write(path, *args, **kwargs)

    monkeypatch.setattr(Path, "write_text", full_disk)
    assert "No space left on device" in refused(capsys, "new-kernel", "swish", "--dir", tmp_path)
    assert len(written) == 5
    assert list(tmp_path.iterdir()) == []
