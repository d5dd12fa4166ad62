"""The statistics, on a clock that the test moves."""

import gc

import pytest

from cnn_core.bench.measure import Contender, Effort, Timing, fastest, quartiles, settle, take_turns
from cnn_core.bench.results import Row


class Clock:
    """Seconds that only pass when something says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, *durations: float):
        """A call that takes the durations in turn."""
        calls = iter(range(10**9))

        def call() -> None:
            self.now += durations[next(calls) % len(durations)]

        return call


def test_quartiles():
    assert quartiles([3.0]) == (3, 3, 3)
    assert quartiles([1.0, 2.0, 3.0, 4.0, 5.0]) == (2, 3, 4)
    assert quartiles([4.0, 1.0, 3.0, 2.0]) == (1.75, 2.5, 3.25)


def test_timing():
    timing = Timing.of([1.0, 2.0, 3.0, 4.0, 5.0])
    assert timing == Timing(median=3, low=2, high=4, least=1, turns=5)
    assert timing.spread == pytest.approx(1 / 3)
    assert Timing.from_dict(timing.to_dict()) == timing
    with pytest.raises(ValueError, match="at least one"):
        Timing.of([])


@pytest.mark.parametrize(
    "change", [{"median": None}, {"low": 9.0}, {"least": -1.0}, {"high": float("nan")}, {"turns": "many"}]
)
def test_timing_refuses_what_is_none(change):
    good = Timing.of([1.0, 2.0, 3.0]).to_dict()
    with pytest.raises(ValueError, match="timing"):
        Timing.from_dict(good | change)
    with pytest.raises(ValueError, match="timing"):
        Timing.from_dict(7)


def test_contenders_take_turns():
    clock, order = Clock(), []

    def noted(name, seconds):
        def call():
            order.append(name)
            clock.now += seconds

        return Contender(name, call)

    times = take_turns([noted("ours", 0.1), noted("torch", 0.3)], Effort(0.0, 3), clock=clock)
    assert times["ours"].median == pytest.approx(0.1)
    assert times["torch"].median == pytest.approx(0.3)
    assert times["ours"].turns == times["torch"].turns == 3
    warm_up, rounds = order[:4], order[4:]
    assert warm_up == ["ours", "ours", "torch", "torch"]
    assert rounds == ["ours", "torch", "torch", "ours"] * 2  # the first round does not count


def test_rests_are_between_libraries():
    clock, order = Clock(), []

    def noted(name):
        def call():
            order.append(name)
            clock.now += 0.1

        return Contender(name, call)

    contenders = [noted("ours"), noted("torch a"), noted("torch b")]
    times = take_turns(contenders, Effort(0.0, 4), rest=lambda: order.append("rest"), clock=clock)
    assert [timing.turns for timing in times.values()] == [6, 6, 6]
    assert order[:9] == ["rest", "ours", "ours", "rest", "torch a", "torch a", "rest", "torch b", "torch b"]
    there = ["rest", *["ours"] * 4, "rest", *["torch a"] * 4, *["torch b"] * 3]
    back = [*["torch b"] * 3, *["torch a"] * 3, "rest", *["ours"] * 4]
    assert order[9:] == there + back + ["ours"] * 3 + there[5:]


@pytest.mark.parametrize(("busy", "naps"), [(0, 1), (3, 4), (99, 10)])
def test_settle_waits_until_no_thread_works(busy, naps):
    """Threads that spin for so many naps, and use next to nothing after that."""
    cpu, slept = Clock(), []

    def sleep(seconds):
        slept.append(seconds)
        cpu.now += seconds if len(slept) <= busy else 1e-5

    settle(cpu, sleep)
    assert len(slept) == naps
    assert sum(slept) == pytest.approx(0.02 * naps)


def test_short_calls_fill_a_turn_and_long_ones_stand_alone():
    clock = Clock()
    calls = [0, 0]

    def counted(i, seconds):
        def call():
            calls[i] += 1
            clock.now += seconds

        return call

    contenders = [Contender("ours", counted(0, 1e-5)), Contender("torch", counted(1, 0.5))]
    times = take_turns(contenders, Effort(0.0, 3), clock=clock)
    assert times["ours"].median == pytest.approx(1e-5)
    assert calls[0] == 5 + 4 * (1 + 100)  # warming up, and in 4 rounds an untimed call and a millisecond
    assert calls[1] == 2 + 4


def test_effort_is_kept():
    clock = Clock()
    times = take_turns([Contender("ours", clock.work(0.1))], Effort(2.0, 3), clock=clock)
    assert times["ours"].turns in (18, 19, 20)  # 2 s at 0.1 s, without the uncounted round
    assert clock.now < 2.5


def test_one_disturbance_does_not_move_the_median():
    clock = Clock()
    times = take_turns([Contender("ours", clock.work(*[0.1] * 9, 5.0))], Effort(0.0, 20), clock=clock)
    assert times["ours"].median == pytest.approx(0.1)
    assert times["ours"].least == pytest.approx(0.1)


def test_garbage_collection_is_as_it_was():
    seen = []
    assert gc.isenabled()
    take_turns([Contender("ours", lambda: seen.append(gc.isenabled()))], Effort(0.0, 1))
    assert not seen[-1]
    assert gc.isenabled()


def test_ratio_is_that_of_the_fastest_layout():
    times = {
        "ours": Timing.of([2.0]),
        "torch NCHW": Timing.of([5.0]),
        "torch NHWC": Timing.of([3.0]),
        "torchvision": Timing.of([1.0]),
    }
    assert fastest(times, "torch") == "torch NHWC"
    assert fastest(times, "onnxruntime") is None
    row = Row("relu", 1, times)
    assert row.ratio("torch") == 1.5
    assert row.ratio("onnxruntime") is None
