"""Nothing public is forgotten: rows in the tables, twins in the reference, stubs for what is compiled."""

import ast
import importlib
import inspect
from pathlib import Path
from types import ModuleType

import cases
import object_cases
import pytest
import tolerance

import cnn_core
from cnn_core import _kernels, functional, reference

PACKAGE = Path(cnn_core.__file__).parent
STUBS = sorted(path for path in (PACKAGE / "_kernels").glob("*.pyi") if path.stem != "__init__")


def public(module: ModuleType, base: str) -> set[str]:
    """Return the public classes of a module that are made from its base class."""
    root = getattr(module, base)
    names = {n for n in module.__all__ if inspect.isclass(getattr(module, n)) and n != base}
    return {n for n in names if issubclass(getattr(module, n), root)}


def test_every_function_has_one_row() -> None:
    names = [row.name for row in cases.FUNCTIONS]
    assert sorted(names) == sorted(functional.__all__)
    assert set(tolerance.BOUNDS) == set(names) - {"dropout"}


def test_every_function_has_a_backward_with_a_gradient_check() -> None:
    backwards = {row.name for row in cases.FUNCTIONS if row.name.endswith("_backward")}
    assert backwards == {row.name for row in cases.FUNCTIONS if row.derivative}
    forwards = {name.removesuffix("_backward") for name in backwards}
    others = set(functional.__all__) - backwards - forwards
    assert others == {"im2col", "col2im", "cross_entropy_with_grad"}  # each other's adjoint; both in one


@pytest.mark.parametrize(
    ("module", "base", "table", "without_row"),
    [
        ("cnn_core.layers", "Layer", object_cases.LAYERS, {"Container"}),
        ("cnn_core.losses", "Loss", object_cases.LOSSES, set()),
        ("cnn_core.optim", "Optimizer", object_cases.OPTIMIZERS, set()),
        ("cnn_core.optim.schedules", "Schedule", object_cases.SCHEDULES, set()),
    ],
)
def test_every_class_has_a_row(module: str, base: str, table: list, without_row: set[str]) -> None:
    assert {row.name for row in table} == public(importlib.import_module(module), base) - without_row


@pytest.mark.parametrize("name", functional.__all__)
def test_signatures_are_those_of_the_reference(name: str) -> None:
    def arguments(function: object) -> list[tuple]:
        parameters = inspect.signature(function).parameters.values()
        return [(p.name, p.kind, p.default) for p in parameters]

    assert arguments(getattr(functional, name)) == arguments(getattr(reference, name))


@pytest.mark.parametrize("name", [*functional.__all__, *reference.__all__])
def test_functions_say_what_they_compute(name: str) -> None:
    for module in (functional, reference):
        if hasattr(module, name):
            text = inspect.getdoc(getattr(module, name)) or ""
            assert text, f"{module.__name__}.{name} has no docstring"


@pytest.mark.parametrize("path", STUBS, ids=lambda path: path.stem)
def test_stubs_and_compiled_modules_have_the_same_functions(path: Path) -> None:
    tree = ast.parse(path.read_text())
    described = {
        node.name: [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }
    module = importlib.import_module(f"cnn_core._kernels.{path.stem}")
    compiled = {
        name: list(inspect.signature(value).parameters)
        for name, value in vars(module).items()
        if not name.startswith("_") and callable(value) and not inspect.isclass(value)
    }
    assert described == compiled


def test_every_compiled_module_has_a_stub() -> None:
    compiled = _kernels._modules_of(*_kernels._FOLDERS[_kernels.isa_level])
    assert compiled <= {path.stem for path in STUBS}


def test_only_the_functions_and_the_runtime_use_the_kernels() -> None:
    allowed = {"functional", "_kernels"}
    allowed_names = {"runtime", "isa_level", "available_levels", "usable_levels", "modules_in"}
    for path in PACKAGE.rglob("*.py"):
        inside = path.relative_to(PACKAGE).parts[0]
        if inside in allowed:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cnn_core._kernels"):
                names = {alias.name for alias in node.names}
                assert names <= allowed_names, f"{path} imports {names}"


def test_the_reference_is_only_for_tests_and_benchmarks() -> None:
    for path in PACKAGE.rglob("*.py"):
        if path.relative_to(PACKAGE).parts[0] in ("reference", "bench"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cnn_core"):
                imported = [f"{node.module}.{alias.name}" for alias in node.names]
                # the package itself names it, for those who only read types
                uses = any(name.startswith("cnn_core.reference") for name in imported)
                assert not uses or path == PACKAGE / "__init__.py", f"{path} uses the reference"
