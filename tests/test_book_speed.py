"""The comparison with plain numpy runs and says what it measured; how fast anything is, no test asks."""

import sys

import numpy as np
import pytest

from cnn_core import get_num_threads
from cnn_core.bench.measure import Timing
from cnn_core.book import speed


def test_rows_have_all_contenders():
    before = get_num_threads()
    rows = speed.measure(0.0, 1, networks=["MultiLayerNet"], images=3)
    assert [(row.network, row.work, row.images) for row in rows] == [
        ("MultiLayerNet", "training step", 3),
        ("MultiLayerNet", "prediction", 3),
        ("MultiLayerNet", "prediction", 1),
    ]
    for row in rows:
        assert tuple(row.times) == speed.CONTENDERS
        assert all(timing.median > 0 for timing in row.times.values())
        assert row.speedup("numpy") == 1
    assert get_num_threads() == before


@pytest.mark.parametrize("network", speed.NETWORKS)
def test_contenders_start_from_the_same_weights_and_learn(network):
    rng = np.random.default_rng(0)
    x, t = rng.random((4, *speed._MAKERS[network][2]), np.float32), rng.integers(0, 10, 4)
    before, after = [], []
    for contender in speed.CONTENDERS[:3]:  # the last has its own order of axes
        step, predict = speed._make(contender, network)
        before.append(predict(x))
        step(x, t)
        after.append(predict(x))
        assert np.abs(after[-1] - before[-1]).max() > 1e-4
    np.testing.assert_allclose(before[1], before[0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(before[2], before[0], rtol=0, atol=1e-4)
    step, predict = speed._make("cnn_core models", network)
    step(x, t)
    assert predict(x).shape == (4, 10)


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux's /proc/self/status")
def test_columns_need_memory():
    """DeepConvNet's second layer alone lays each image out as 113,000 numbers."""
    numpy, ours = (speed.peak_memory("DeepConvNet", name, 20) for name in speed.CONTENDERS[:2])
    assert numpy > 2 * ours > 0


def test_the_table(monkeypatch, capsys):
    def row(network, work, images):
        times = dict(zip(speed.CONTENDERS, (0.08, 0.02, 0.01, 0.005), strict=True))
        return speed.Row(network, work, images, {name: Timing.of([each]) for name, each in times.items()})

    monkeypatch.setattr(speed, "measure", lambda seconds, threads: [row("SimpleConvNet", "prediction", 1)])
    monkeypatch.setattr(speed, "peak_memory", lambda network, name: None if name == "numpy" else 5_000_000)
    speed.main(["--seconds", "0.1", "--threads", "1"])
    machine, _, head, rule, *lines = capsys.readouterr().out.splitlines()
    assert "kernels on 1 thread; numpy" in machine
    assert "CPUs busy" in machine
    assert head == "| network | work | numpy | book float64 | book float32 | models |"
    assert rule == "|---|---|---:|---:|---:|---:|"
    times = "80.0 ms | 20.0 ms (4.0x) | 10.0 ms (8.0x) | 5.00 ms (16.0x)"
    assert lines == [
        f"| SimpleConvNet | prediction, 1 image | {times} |",
        "| SimpleConvNet | memory of a training step | - | 5 MB | 5 MB | 5 MB |",
        "| DeepConvNet | memory of a training step | - | 5 MB | 5 MB | 5 MB |",
    ]
