"""Backward against differences, array by array."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnn_core.gradcheck.differences import Array, derivative_along
from cnn_core.gradcheck.report import ArrayReport, GradientReport

DIRECTIONS = 3
MAX_SKIPPED = 0.5  # of an array's coordinates or directions
SMALL = 1e-3  # what is this much smaller than the array's largest gradient counts as that large

Rng = np.random.Generator | int | None


def tie_free(shape: Sequence[int], rng: Rng = 0) -> Array:
    """Return evenly spaced, slightly jittered numbers between -2 and 2 in random order.

    No two of them are close and none is close to zero, so such an input keeps away from the kinks of ReLU and
    max-pool.
    """
    generator = np.random.default_rng(rng)
    size = int(np.prod(shape, dtype=np.int64))
    # Zero lies half-way between two steps if their number is even; for an odd one, the last step is left out.
    steps = np.arange(size) + 0.5 - (size + size % 2) / 2
    values = 4 / max(size, 1) * (steps + generator.uniform(-0.2, 0.2, size))
    return generator.permutation(values).reshape(tuple(shape))


def random_weights(shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Return numbers of either sign, between 0.5 and 1.5 in size, so that none hides an error."""
    return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape))


def compare(
    subject: str,
    values: dict[str, Array],
    evaluate: Callable[[dict[str, Array]], Any],
    gradients: dict[str, Any],
    dy: Array,
    tolerance: float,
    max_coordinates: int,
    rng: np.random.Generator,
) -> GradientReport:
    """Compare the gradient of every array that has one with differences of ``sum(dy * evaluate(values))``."""
    if not tolerance > 0:
        raise ValueError(f"{subject}: tolerance must be positive, got {tolerance}")
    y = np.asarray(evaluate(values), np.float64)
    if not np.isfinite(y).all():
        raise ValueError(f"{subject}: the forward pass gave NaN or infinity; choose another input")
    if not np.array_equal(y, evaluate(values)):
        raise ValueError(
            f"{subject}: the forward pass gave another value when called again; its randomness must come "
            f"from a generator that the layer holds, so that a copy of the layer repeats it"
        )
    reports = []
    for name, value in values.items():
        gradient = gradients[name]
        if gradient is None:
            continue
        gradient = np.asarray(gradient, np.float64)
        if gradient.shape != value.shape:
            raise ValueError(f"{subject}: {name} has shape {value.shape}, its gradient {gradient.shape}")

        def outputs(changed: Array, name: str = name) -> Array:
            return np.asarray(evaluate({**values, name: changed}), np.float64)

        reports.append(_compare(name, value, y, gradient, outputs, dy, tolerance, max_coordinates, rng))
    return GradientReport(subject, tuple(reports))


def _compare(
    name: str,
    value: Array,
    y: Array,
    gradient: Array,
    outputs: Callable[[Array], Array],
    dy: Array,
    tolerance: float,
    max_coordinates: int,
    rng: np.random.Generator,
) -> ArrayReport:
    """Compare one gradient along each coordinate of a small array, or along directions in a large one."""
    if value.size <= max_coordinates:
        unit, total = "coordinates", value.size
        directions = np.eye(value.size).reshape(value.size, *value.shape)
        largest = np.abs(gradient).max(initial=0.0)
    else:
        unit, total = "directions", DIRECTIONS
        directions = random_weights((DIRECTIONS, *value.shape), rng)
        directions /= np.sqrt((directions**2).sum(axis=tuple(range(1, directions.ndim)), keepdims=True))
        largest = float(np.sqrt((gradient**2).mean()))
    checked = skipped = 0
    max_error, problem = 0.0, ""
    for u in directions:
        numerical = derivative_along(outputs, value, y, u, dy, tolerance / 4)
        if numerical is None:
            skipped += 1
            continue
        checked += 1
        analytic = float((gradient * u).sum())
        scale = max(abs(analytic), abs(numerical.value), SMALL * largest, numerical.noise / tolerance, 1e-300)
        error = abs(analytic - numerical.value) / scale
        if not error <= max_error:
            max_error = error
            if not error <= tolerance:
                index = tuple(map(int, np.unravel_index(np.argmax(u), value.shape)))
                place = f"at {index}" if unit == "coordinates" else "along a random direction"
                problem = f"{place} backward gives {analytic:.9g}, differences {numerical.value:.9g}"
    if not problem and skipped > MAX_SKIPPED * total:
        problem = "too many kinks to check this array: try an input from tie_free, without zeros and ties"
    return ArrayReport(name, unit, checked, skipped, max_error, problem)
