"""The options that each function is tried with: what `builders` are called with."""

from collections.abc import Sequence
from itertools import product
from typing import Any

import numpy as np

Options = dict[str, Any]


def grid(**choices: Sequence[Any]) -> list[Options]:
    """Every combination of the choices."""
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]


def _random_geometries(count: int) -> list[Options]:
    """Geometries that nobody would think of, each with at least one output pixel."""
    rng = np.random.default_rng(2024)
    found: list[Options] = []
    while len(found) < count:
        kernel, stride, padding, dilation = (
            tuple(map(int, rng.integers(low, high, 2))) for low, high in ((1, 5), (1, 4), (0, 4), (1, 4))
        )
        plane = tuple(map(int, rng.integers(1, 20, 2)))
        groups, per_group, filters = map(int, rng.integers(1, 4, 3))
        room = [s + 2 * p - d * (k - 1) for s, p, d, k in zip(plane, padding, dilation, kernel, strict=True)]
        if min(room) > 0:
            found.append(
                {
                    "x": (int(rng.integers(1, 4)), groups * per_group, *plane),
                    "w": (groups * filters, per_group, *kernel),
                    "stride": stride,
                    "padding": padding,
                    "dilation": dilation,
                    "groups": groups,
                }
            )
    return found


CONVOLUTIONS: list[Options] = [
    {},
    {"bias": False},
    {"padding": 1},
    {"padding": "same"},
    {"padding": "valid"},
    {"padding": "same", "w": (4, 3, 2, 4)},
    {"padding": "same", "w": (4, 3, 3, 2), "dilation": (2, 3)},
    {"stride": 2},
    {"stride": (3, 2), "padding": (2, 1)},
    {"stride": 4, "w": (4, 3, 1, 1)},
    {"dilation": 2, "padding": 2},
    {"dilation": (1, 2), "padding": (0, 3), "stride": (2, 1)},
    {"padding": 5},
    {"x": (1, 1, 1, 1), "w": (1, 1, 1, 1)},
    {"x": (1, 1, 1, 1), "w": (2, 1, 3, 3), "padding": 1},
    {"x": (2, 3, 5, 4), "w": (6, 3, 5, 4)},
    {"x": (2, 5, 4, 9), "w": (7, 5, 1, 1)},
    {"x": (0, 3, 7, 6)},
    {"x": (1, 1, 9, 9), "w": (1, 1, 3, 3)},
    {"x": (1, 2, 3, 301), "w": (3, 2, 3, 3)},
    {"x": (1, 2, 131, 3), "w": (3, 2, 5, 1)},
    {"x": (1, 2, 1, 40), "w": (5, 2, 1, 7), "padding": (0, 3)},
    {"x": (2, 6, 8, 7), "w": (4, 3, 3, 3), "groups": 2, "padding": 1},
    {"x": (2, 6, 8, 7), "w": (9, 2, 3, 2), "groups": 3, "stride": 2},
    {"x": (2, 6, 8, 7), "w": (6, 1, 3, 3), "groups": 6, "padding": 1},
    {"x": (2, 4, 8, 7), "w": (8, 1, 3, 3), "groups": 4, "padding": 1, "stride": 2, "dilation": 2},
    {"x": (1, 70, 4, 5), "w": (9, 70, 3, 3), "padding": 1},
    {"x": (2, 16, 13, 14), "w": (24, 16, 3, 3), "padding": 1},
    {"x": (1, 3, 17, 17), "w": (8, 3, 7, 7), "stride": 2, "padding": 3},
    {"x": (1, 3, 23, 27), "w": (5, 3, 11, 11), "stride": 4, "padding": 2},
    {"x": (2, 1, 28, 28), "w": (30, 1, 5, 5)},
    {"x": (1, 32, 7, 7), "w": (32, 32, 3, 3), "padding": 2},
    *[{"x": (n, channels, *size), "w": (filters, channels, 3, 3), "padding": padding}
      for n, channels, filters, size, padding in (
          (1, 12, 12, (8, 8), 1), (3, 13, 14, (7, 12), 1), (2, 12, 17, (16, 5), (1, 2)),
          (5, 12, 12, (6, 6), 0), (2, 12, 13, (9, 33), 2), (7, 12, 12, (4, 4), 1))],
    *[{"x": (1, 2, 4, width), "w": (filters, 2, 3, 3), "padding": 1}
      for width, filters in ((7, 1), (8, 5), (9, 6), (15, 7), (16, 12), (17, 13), (31, 8),
                             (32, 16), (33, 9))],
    # filters that fill vectors: one block, two, three; with groups; more channels than a block of them
    {"x": (3, 5, 9, 11), "w": (37, 5, 3, 3), "stride": 2, "padding": 1},
    {"x": (2, 6, 8, 7), "w": (24, 3, 3, 3), "groups": 2, "stride": 2, "padding": 1},
    {"x": (2, 12, 6, 7), "w": (26, 12, 1, 1), "stride": 2},
    {"x": (2, 3, 9, 8), "w": (16, 3, 2, 3), "stride": (1, 3), "dilation": (3, 1)},
    {"x": (2, 70, 6, 7), "w": (67, 70, 3, 3), "padding": 1},
    # rows that fill vectors, in several bands; with groups; an overlapping last vector
    {"x": (1, 3, 21, 34), "w": (13, 3, 5, 5), "padding": (3, 1)},
    {"x": (2, 4, 11, 34), "w": (14, 2, 5, 5), "groups": 2, "padding": (2, 1)},
    {"x": (1, 1, 9, 21), "w": (7, 1, 3, 2)},
    {"x": (1, 2, 9, 130), "w": (5, 2, 3, 5), "stride": (2, 1), "padding": (7, 9), "dilation": (1, 2)},
    *_random_geometries(30),
]  # fmt: skip

LARGE_CONVOLUTIONS: list[Options] = [
    {"x": (5, 16, 33, 35), "w": (32, 16, 3, 3), "padding": 1},
    {"x": (4, 8, 40, 30), "w": (16, 8, 5, 5), "stride": 2, "padding": 2},
    {"x": (3, 24, 40, 40), "w": (24, 1, 3, 3), "groups": 24, "padding": 1},
    {"x": (6, 64, 14, 14), "w": (96, 64, 1, 1)},
]

COLUMNS: list[Options] = [
    {"kernel_size": 3},
    {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0)},
    {"kernel_size": 3, "dilation": 2, "padding": 2},
    {"kernel_size": (7, 6)},
    {"kernel_size": 1, "stride": 3},
    {"kernel_size": (3, 2), "stride": 2, "padding": (4, 3), "dilation": (2, 3)},
    {"x": (0, 3, 7, 6), "kernel_size": 3},
    {"x": (1, 1, 1, 1), "kernel_size": 1},
    {"x": (3, 1, 4, 101), "kernel_size": (2, 5)},
    {"x": (1, 1, 1, 2), "kernel_size": 1},  # a matrix smaller than a vector
    {"x": (1, 5, 1, 3000), "kernel_size": 1},  # a last group of channels smaller than one
    *[{"x": g["x"], "kernel_size": g["w"][2:], "stride": g["stride"], "padding": g["padding"],
       "dilation": g["dilation"]} for g in _random_geometries(12)],
]  # fmt: skip

LARGE_COLUMNS: list[Options] = [{"x": (5, 9, 40, 41), "kernel_size": 3, "padding": 1}]

POOLS: list[Options] = [
    {"kernel_size": 2},
    {"kernel_size": 2, "stride": 1},
    {"kernel_size": 3, "stride": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": (2, 3), "stride": (3, 1), "padding": (1, 0)},
    {"kernel_size": (7, 8)},
    {"kernel_size": 1},
    {"kernel_size": 3, "stride": 5},
    {"kernel_size": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "ceil_mode": True},
    {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True},
    {"kernel_size": (3, 2), "stride": (1, 4), "ceil_mode": True, "padding": (1, 1)},
    {"x": (0, 3, 7, 8), "kernel_size": 2},
    {"x": (1, 1, 1, 1), "kernel_size": 1},
    {"x": (1, 1, 2, 2), "kernel_size": 2, "padding": 1},
    {"x": (1, 2, 3, 203), "kernel_size": 2},
    {"x": (1, 2, 97, 3), "kernel_size": 3, "stride": 2, "padding": 1},
    {"x": (3, 17, 4, 4), "kernel_size": 2},
    *[{"x": (1, 2, 6, width), "kernel_size": 2} for width in (14, 15, 16, 17, 31, 32, 33, 34)],
    *[{"x": (1, 2, 6, width), "kernel_size": 3, "stride": 2, "padding": 1} for width in (15, 16, 17, 33)],
]  # fmt: skip

DILATED_POOLS: list[Options] = [
    {"kernel_size": 2, "dilation": 2},
    {"kernel_size": 3, "stride": 1, "dilation": (2, 1), "padding": 1},
    {"kernel_size": (2, 3), "stride": 2, "dilation": 3, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 3, "dilation": (1, 5), "ceil_mode": True},
]

MAX_POOLS: list[Options] = [
    *POOLS,
    *DILATED_POOLS,
    {"kernel_size": 3, "stride": 1, "values": "ties"},
    {"kernel_size": 2, "values": "ties", "x": (2, 3, 8, 40)},
    {"kernel_size": 3, "stride": 2, "values": "nan"},
    {"kernel_size": 2, "values": "nan", "x": (1, 2, 8, 40)},
    {"kernel_size": 2, "stride": 1, "padding": 1, "values": "-inf"},
]

AVERAGE_POOLS: list[Options] = [
    *POOLS,
    *[{**options, "count_include_pad": False} for options in POOLS if "padding" in options],
    {"kernel_size": 3, "stride": 2, "padding": 1, "divisor_override": 4},
    {"kernel_size": 3, "ceil_mode": True, "count_include_pad": False, "divisor_override": 2},
]

ADAPTIVE_POOLS: list[Options] = [
    *[{"output_size": size} for size in (1, 3, (2, 3), (7, 8), (5, None), (None, 1), (9, 11))],
    {"x": (0, 3, 7, 8), "output_size": 1},
    {"x": (1, 1, 1, 1), "output_size": (2, 3)},
    {"x": (2, 33, 5, 67), "output_size": 1},
]

LARGE_ADAPTIVE_POOLS: list[Options] = [{"x": (8, 16, 40, 41), "output_size": 1}]
LARGE_POOLS: list[Options] = [
    {"x": (8, 16, 40, 41), "kernel_size": 2},
    {"x": (4, 16, 57, 50), "kernel_size": 3, "stride": 2, "padding": 1},
]

NORM_SHAPES = (
    (4, 3, 5, 6), (2, 1, 1, 1), (1, 2, 3, 3), (7, 5), (2, 33), (3, 4, 9), (2, 17, 1, 67), (0, 3, 4, 4), (0, 3)
)  # fmt: skip

BATCH_NORMS: list[Options] = [
    *[{"x": shape, "training": training} for shape, training in product(NORM_SHAPES, (False, True))],
    {"affine": False, "training": True},
    {"affine": False},
    {"running": False, "training": True},
    {"training": True, "momentum": 1.0, "eps": 1e-3},
    {"training": True, "momentum": 0.0},
    {"training": True, "shift": 300.0},
    {"training": True, "return_stats": True},
    {"training": False, "return_stats": True},
]

BATCH_NORM_BACKWARDS: list[Options] = [
    *[{"x": shape, "training": training} for shape, training in product(NORM_SHAPES, (False, True))],
    {"affine": False},
    {"shift": 300.0},
]

LARGE_NORMS: list[Options] = [{"x": (9, 16, 30, 31), "training": True}, {"x": (513, 70), "training": True}]

LINEARS: list[Options] = [
    {},
    *[{"x": x, "out": out} for x, out in (
        ((1, 1), 1), ((0, 5), 3), ((5,), 2), ((2, 3, 4), 6), ((2, 1, 3, 4), 5), ((7, 130), 17), ((33, 16), 65)
    )],
]  # fmt: skip

LARGE_LINEARS: list[Options] = [{"x": (65, 500), "out": 130}, {"x": (8200, 3), "out": 2}]

SHAPES: list[Options] = [
    *[{"x": shape} for shape in ((4, 5), (1,), (0,), (0, 3, 2, 2), (2, 3, 5, 7), (37,), (3, 1, 131), ())],
]

EXTREMES: Options = {"kind": "extremes"}

LARGE_SHAPES: list[Options] = [{"x": (9, 16, 30, 31)}]

SLOPES: list[Options] = [{"negative_slope": 0.2}, {"negative_slope": 0.0}]

SOFTMAX_SHAPES = [
    {"x": (4, 5)}, {"x": (1, 1)}, {"x": (3,)}, {"x": (0, 4)}, {"x": (2, 3, 4, 5), "dim": 1}, {"x": (6, 130)},
    {"x": (2, 3, 4), "dim": 0}, {"x": (2, 17, 3), "dim": -2}, {"x": (33, 10), "dim": 1}, {"x": (7, 16)},
    {"x": (3, 31)}, {"x": (2, 3, 32)}, {"x": (5, 47)},
]  # fmt: skip

SOFTMAXES: list[Options] = [*SOFTMAX_SHAPES, {"low": -100, "high": 100}, {"low": 1000, "high": 1001}]

DROPOUTS: list[Options] = [
    {"p": 0.3, "seed": 7}, {"p": 0.0, "seed": 1}, {"p": 1.0, "seed": 1}, {"p": 0.5, "training": False},
    {"x": (0, 3), "seed": 1}, {"x": (3, 2, 5, 7), "p": 0.9, "seed": 5},
]  # fmt: skip

DROPOUT_BACKWARDS: list[Options] = [
    {}, {"p": 0.2}, {"p": 0.0}, {"p": 1.0}, {"x": (0, 3)}, {"mask_dtype": "uint8"}, {"x": (2, 3, 5, 7)},
]  # fmt: skip

CROSS_ENTROPIES: list[Options] = [
    *grid(target=("labels", "probabilities"), weighted=(False, True), label_smoothing=(0.0, 0.1)),
    *grid(reduction=("sum", "none"), weighted=(False, True), target=("labels", "one_hot")),
    *grid(ignore=(2,), weighted=(False, True), label_smoothing=(0.0, 0.2), reduction=("mean", "none")),
    {"ignore": 3, "ignore_index": 1},
    {"ignore": 6},
    {"target": "int32"},
    {"target": "uint8"},
    {"x": (2, 4, 3, 5)},
    {"x": (2, 4, 3, 5), "target": "probabilities", "weighted": True, "label_smoothing": 0.1},
    {"x": (2, 4, 7), "ignore": 4, "reduction": "none"},
    {"x": (5, 47), "ignore": 2, "weighted": True, "label_smoothing": 0.1},
    {"x": (5, 32), "target": "probabilities", "weighted": True, "label_smoothing": 0.1, "reduction": "none"},
    {"x": (1, 1)},
    {"x": (3, 130)},
    {"x": (0, 5)},
    {"x": (0, 5), "reduction": "sum"},
    {"x": (0, 5), "reduction": "none"},
    {"scale": 60.0},
    {"target": "one_hot", "scale": 60.0},
]

CROSS_ENTROPY_BACKWARDS: list[Options] = [
    *CROSS_ENTROPIES,
    {"dloss": -2.5},
    {"dloss": "each", "reduction": "none"},
    {"dloss": "each", "reduction": "none", "x": (2, 4, 3, 5), "weighted": True, "label_smoothing": 0.1},
]

LARGE_CROSS_ENTROPIES: list[Options] = [{"x": (600, 50), "weighted": True, "label_smoothing": 0.1}]

REDUCTIONS: list[Options] = [
    *grid(x=((4, 5), (1,), (2, 3, 4, 5), (131,)), reduction=("mean", "sum", "none")),
    *grid(x=((0, 3),), reduction=("mean", "sum", "none")),
]

BCES: list[Options] = [
    *REDUCTIONS,
    *grid(weighted=(False, True), positive=(False, True), reduction=("mean", "none")),
    {"low": -200, "high": 200},
    {"low": -200, "high": 200, "positive": True},
]
