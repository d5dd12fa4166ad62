"""The roofline: the kernels that measure it, the model, what the machine says of itself."""

import json

import numpy as np
import pytest

import cnn_core
from cnn_core.bench import Roofline, machine, measure_roofline
from cnn_core.bench.roofline import Level
from cnn_core.functional import _machine

ROOFLINE = Roofline(2, 100e9, (Level("L2", 1000, 80e9), Level("memory", None, 20e9)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_threads", [1, 2, 3])
def test_multiply_add_does_all_its_steps(dtype, n_threads, threads):
    threads(n_threads)
    y = np.random.default_rng(0).standard_normal((5, _machine.ROW_NUMBERS)).astype(dtype)
    expected = y.astype(np.float64)
    for _ in range(7):
        expected = dtype(0.5) * expected + dtype(0.25)
    _machine.multiply_add(y, 0.5, 0.25, 7)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-6)
    before = y.copy()
    _machine.multiply_add(y, 0.5, 0.25, 0)
    assert np.array_equal(y, before)


@pytest.mark.parametrize("shard", [1, 7, 100, 1000])
@pytest.mark.parametrize("n_threads", [1, 2])
def test_copy_copies_everything(shard, n_threads, threads):
    threads(n_threads)
    for dtype in (np.float32, np.float64):
        x = np.random.default_rng(0).random(100).astype(dtype)
        y = np.full(100, np.nan, dtype)
        _machine.copy(x, y, shard, 3)
        assert np.array_equal(x, y)


def test_both_refuse_other_arrays():
    row = np.ones((2, _machine.ROW_NUMBERS), np.float32)
    for y in (row[:, :-1], row[0], row[:0], row[:, ::-1]):
        with pytest.raises(ValueError, match="multiply_add: y"):
            _machine.multiply_add(y, 1.0, 0.0, 1)
    with pytest.raises(ValueError, match="n_steps"):
        _machine.multiply_add(row, 1.0, 0.0, -1)
    x = np.ones(10, np.float32)
    for y in (x, x[1:], np.ones(9, np.float32), np.ones(20, np.float32)[::2]):
        with pytest.raises(ValueError, match="copy: expects"):
            _machine.copy(x, y, 4)
    with pytest.raises(ValueError, match="shard"):
        _machine.copy(x, x.copy(), 0)


def test_the_model():
    assert ROOFLINE.level(1000).name == "L2"
    assert ROOFLINE.level(1001).name == "memory"
    # 10 FLOP/byte in memory: 200 GFLOP/s of bandwidth, so the machine computes at its best
    assert ROOFLINE.attainable(1e6, 1e5) == pytest.approx(100e9)
    assert ROOFLINE.floor(1e6, 1e5) == pytest.approx(1e-5)
    # 1 FLOP/byte: what the memory feeds
    assert ROOFLINE.attainable(1e6, 1e6) == pytest.approx(20e9)
    assert ROOFLINE.floor(0, 1e6) == pytest.approx(5e-5)
    assert ROOFLINE.floor(0, 500) == pytest.approx(500 / 80e9)


def test_the_model_as_data():
    assert Roofline.from_dict(json.loads(json.dumps(ROOFLINE.to_dict()))) == ROOFLINE
    good = ROOFLINE.to_dict()
    for change in ({"compute": 0}, {"levels": []}, {"levels": good["levels"][:1]}, {"threads": "x"}):
        with pytest.raises(ValueError, match="roofline"):
            Roofline.from_dict(good | change)


def test_measuring_the_machine():
    threads = cnn_core.get_num_threads()
    roofline = measure_roofline(2, seconds=0.0)
    assert cnn_core.get_num_threads() == threads
    assert roofline.threads == 2
    assert roofline.compute > 0
    names = [level.name for level in roofline.levels]
    assert names in (["L2", "L3", "memory"], ["L2", "memory"])
    assert Roofline.from_dict(roofline.to_dict()) == roofline


def test_caches(tmp_path):
    assert machine.cache_sizes(tmp_path) == (1 << 20, 1 << 25)  # nothing is known
    for i, (level, kind, size) in enumerate(
        [("1", "Data", "32K"), ("1", "Instruction", "64K"), ("2", "Unified", "512K"), ("3", "Unified", "8M")]
    ):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, text in (("level", level), ("type", kind), ("size", size)):
            (folder / name).write_text(f"{text}\n")
    assert machine.cache_sizes(tmp_path) == (512 << 10, 8 << 20)


def test_facts_are_plain_and_name_nobody():
    facts = machine.facts()
    assert json.loads(json.dumps(facts)) == facts
    assert set(facts) == {
        "cpu", "cpus", "l2_bytes", "last_level_bytes", "isa_level", "system", "python", "numpy", "cnn_core",
        "time",
    }  # fmt: skip
    assert all(facts.values())
