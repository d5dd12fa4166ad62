"""What a layer's call costs besides its kernel: Python functions of the library, counted; no clock is asked.

Each takes some 0.1 to 0.2 microseconds, with what it does. Whoever needs more of them changes a number here,
and says in the commit what for; docs/performance.md has the times.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from object_cases import LAYERS

import cnn_core
from cnn_core import losses

LIBRARY = str(Path(cnn_core.__file__).parent)
# Layers that call other layers, and pay for each.
CONTAINERS = ("Sequential", "Residual", "Concat")
MOST = {"forward": 18, "training": 18, "backward": 18}
MORE = {("AvgPool2d", "backward"): 23}


def python_calls(function: Callable[[], Any]) -> int:
    """How many calls of Python functions of the library one call makes, once it has been made before."""
    function()
    count = 0

    def look(frame: Any, event: str, argument: Any) -> None:
        nonlocal count
        count += event == "call" and frame.f_code.co_filename.startswith(LIBRARY)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        function()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("row", [row for row in LAYERS if row.name not in CONTAINERS], ids=str)
def test_a_layer_does_little_besides_its_kernel(row):
    layer, x = row.make(np.float32), np.ones(row.x_shape, np.float32)
    dy = np.ones_like(layer.forward(x, training=True))
    calls = {
        "backward": lambda: layer.backward(dy),
        "training": lambda: layer.forward(x, training=True),
        "forward": lambda: layer.forward(x),
    }
    counts = {name: python_calls(function) for name, function in calls.items()}
    limits = {name: MORE.get((row.name, name), most) for name, most in MOST.items()}
    assert all(counts[name] <= limits[name] for name in limits), counts


@pytest.mark.parametrize(
    ("loss", "target"),
    [
        (losses.CrossEntropyLoss(), np.array([0, 1])),
        (losses.MSELoss(), np.ones((2, 3), np.float32)),
        (losses.BCEWithLogitsLoss(), np.ones((2, 3), np.float32)),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_loss_does_little_besides_its_kernel(loss, target):
    assert python_calls(lambda: loss.forward(np.ones((2, 3), np.float32), target)) <= 18
