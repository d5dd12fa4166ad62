"""The scripts in examples/book, in the manner of the book's chapters 3 to 8, run on a stand-in for MNIST.

Each is run as it stands but for constants at its top, so that it is short. Together they use every public
name of cnn_core.book.
"""

import ast
import importlib
import pkgutil
import sys
from pathlib import Path

import numpy as np
import pytest

import cnn_core.book
from cnn_core.book import mnist
from cnn_core.book.deep_convnet import DeepConvNet
from cnn_core.book.simple_convnet import SimpleConvNet
from cnn_core.data import Arrays, DataSet

SCRIPTS = Path(__file__).parents[1] / "examples" / "book"

# Every script, with its constants for a short run and something that it prints.
RUNS = {
    "ch03/activation_functions.py": ({}, "[0.01"),
    "ch04/gradient_1d.py": ({}, "slope at 5.0: 0.200000"),
    "ch04/gradient_2d.py": ({}, "[6. 8.]"),
    "ch04/gradient_method.py": ({}, "learning rate 1e-10: [-2.99999"),
    "ch04/gradient_simplenet.py": ({}, "loss after a step against it"),
    "ch04/loss_functions.py": ({}, "it is a 2: squares 0.0975, cross entropy 0.5108"),
    "ch04/train_neuralnet.py": ({"ITERATIONS": 3, "BATCH_SIZE": 20}, "train acc, test acc | "),
    "ch05/buy_apple.py": ({}, "price: 220\ndApple: 2.2, dApple_num: 110, dTax: 200"),
    "ch05/buy_apple_orange.py": ({}, "price: 715\n"),
    "ch05/gradient_check.py": ({"HIDDEN": 2}, "b2:"),
    "ch05/own_network.py": ({"ITERATIONS": 3}, "accuracy: "),
    "ch05/train_neuralnet.py": ({"ITERATIONS": 3, "BATCH_SIZE": 20}, "of 3 layers"),
    "ch06/batch_norm_gradient_check.py": ({"HIDDEN": [2, 3]}, "gamma2:"),
    "ch06/batch_norm_test.py": ({"EPOCHS": 2, "SCALES": 2, "BATCH_SIZE": 20}, "scale 1.00000: "),
    "ch06/hyperparameter_optimization.py": ({"TRIALS": 3, "EPOCHS": 2}, "the best"),
    "ch06/optimizer_compare_mnist.py": ({"ITERATIONS": 11, "BATCH_SIZE": 8}, "Nesterov:"),
    "ch06/optimizer_compare_naive.py": ({"GRID": 0.2}, "Adam: ends at "),
    "ch06/overfit_dropout.py": ({"EPOCHS": 2}, "Final Test Accuracy"),
    "ch06/overfit_weight_decay.py": ({"EPOCHS": 2, "BATCH_SIZE": 20}, "epoch:1, train acc:"),
    "ch06/weight_init_activation_histogram.py": ({"INPUTS": 50, "LAYERS": 1}, "tanh, Xavier: the last layer"),
    "ch06/weight_init_compare.py": ({"ITERATIONS": 11, "BATCH_SIZE": 8}, "iteration 0: std=0.01 2.30"),
    "ch07/apply_filter.py": ({"SIZE": 32}, ""),
    "ch07/gradient_check.py": ({"SIZE": 6}, "b3 "),
    "ch07/im2col.py": ({}, "(90, 75)\n"),
    "ch07/own_convnet.py": ({"ITERATIONS": 3, "BATCH_SIZE": 10}, "accuracy: "),
    "ch07/simple_convnet.py": ({}, "parameters: 433890\nthe layers hold the same arrays: True"),
    "ch07/train_convnet.py": ({"EPOCHS": 1}, "Saved Network Parameters!"),
    "ch07/visualize_filter.py": ({}, ""),
    "ch08/awesome_net.py": ({"EPOCHS": 1}, "TwoConvNet: "),
    "ch08/half_float_network.py": ({}, "bytes of float16"),
    "ch08/misclassified_mnist.py": ({"BATCH_SIZE": 10}, "test accuracy: "),
    "ch08/train_deepnet.py": ({"EPOCHS": 1}, "Saved Network Parameters!"),
}
# The yardstick of its speed and what measures it: not of the book's interface.
NOT_OF_THE_BOOK = {"experiments", "in_numpy", "speed"}


@pytest.fixture
def small_mnist(monkeypatch):
    rng = np.random.default_rng(0)

    def arrays(n):
        return Arrays(rng.random((n, 1, 28, 28), dtype=np.float32), rng.integers(0, 10, n))

    data_set = DataSet("mnist", arrays(40), arrays(20), tuple("0123456789"))
    monkeypatch.setattr(mnist.data, "load_mnist", lambda: data_set)


@pytest.fixture
def no_windows(monkeypatch):
    """Figures are drawn when they would be shown, and closed."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib import pylab, pyplot

    def draw():
        for number in pyplot.get_fignums():
            pyplot.figure(number).canvas.draw()

    monkeypatch.setattr(pyplot, "show", draw)
    monkeypatch.setattr(pylab, "show", draw)
    yield
    pyplot.close("all")


def shortened(path, constants):
    """The script, with other values for constants put in behind those at its top."""
    tree = ast.parse(path.read_text(), str(path))
    end = 0
    for name in constants:
        (place,) = (i for i, node in enumerate(tree.body) if name in assigned(node))
        end = max(end, place + 1)
    tree.body[end:end] = ast.parse("\n".join(f"{name} = {value!r}" for name, value in constants.items())).body
    return compile(tree, str(path), "exec")


def assigned(node):
    targets = node.targets if isinstance(node, ast.Assign) else []
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def test_every_script_is_run():
    assert {path.relative_to(SCRIPTS).as_posix() for path in SCRIPTS.rglob("*.py")} == RUNS.keys()


@pytest.mark.parametrize("name", RUNS)
def test_script(name, small_mnist, no_windows, monkeypatch, tmp_path, capsys):
    constants, printed = RUNS[name]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    SimpleConvNet().save_params("params.pkl")
    DeepConvNet().save_params("deep_convnet_params.pkl")
    exec(shortened(SCRIPTS / name, constants), {"__name__": "__main__"})
    output = capsys.readouterr().out
    assert printed in output
    if "gradient_check" in name:
        differences = [float(line.replace(":", " ").split()[1]) for line in output.splitlines()]
        assert min(differences) < 1e-6  # the last bias: others may stand on the kink of a ReLU


def public_objects():
    """Every public object of cnn_core.book by its module's and its own name."""
    for info in pkgutil.iter_modules(cnn_core.book.__path__):
        if not info.name.startswith("_") and info.name not in NOT_OF_THE_BOOK:
            module = importlib.import_module(f"cnn_core.book.{info.name}")
            yield from ((f"{info.name}.{name}", getattr(module, name)) for name in module.__all__)


def used_objects(path):
    """Every object that a script imports from cnn_core.book and mentions below."""
    tree = ast.parse(path.read_text())
    mentioned = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("cnn_core.book."):
            module = importlib.import_module(node.module)
            names = {alias.name for alias in node.names}
            names = set(module.__all__) if names == {"*"} else names
            yield from (getattr(module, name) for name in names & mentioned)


def test_the_scripts_use_every_public_name():
    used = {id(thing) for path in SCRIPTS.rglob("*.py") for thing in used_objects(path)}
    assert [name for name, thing in public_objects() if id(thing) not in used] == []


def test_the_scripts_import_what_the_book_imports_and_nothing_else():
    for path in SCRIPTS.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [node.module] if isinstance(node, ast.ImportFrom) else [a.name for a in node.names]
                for name in names:
                    top = name.partition(".")[0]
                    of_book = name.startswith("cnn_core.book.") or top in ("numpy", "matplotlib")
                    assert of_book or top in sys.stdlib_module_names, f"{path} imports {name}"
