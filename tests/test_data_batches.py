"""Batches: every example once an epoch, in a buffer, resumable anywhere."""

import json
import tracemalloc

import numpy as np
import pytest

from cnn_core.data import Batches, Compose, PadCrop, RandomFlip


def examples(n=23, dtype=np.float32):
    return np.arange(n * 12, dtype=dtype).reshape(n, 1, 3, 4), np.arange(n)


def copied(batches):
    return [(x.copy(), t.copy()) for x, t in batches]


def assert_same(first, second):
    assert len(first) == len(second)
    for (x, t), (other_x, other_t) in zip(first, second, strict=True):
        np.testing.assert_array_equal(x, other_x)
        np.testing.assert_array_equal(t, other_t)


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize(
    ("n", "size", "lengths"), [(23, 10, [10, 10, 3]), (20, 10, [10, 10]), (3, 10, [3]), (0, 4, [])]
)
def test_an_epoch_gives_every_example_once(n, size, lengths, shuffle):
    x, t = examples(n)
    batches = Batches(x, t, size, shuffle=shuffle, rng=0)
    found = copied(batches)
    assert len(batches) == len(lengths)
    assert [len(targets) for _, targets in found] == lengths
    rows = np.concatenate([targets for _, targets in found]) if found else np.arange(0)
    assert sorted(rows) == list(range(n))
    for batch, targets in found:
        np.testing.assert_array_equal(batch, x[targets])
    if not shuffle:
        np.testing.assert_array_equal(rows, np.arange(n))


def test_drop_last():
    x, t = examples(23)
    batches = Batches(x, t, 10, drop_last=True)
    assert len(batches) == 2
    assert [len(targets) for _, targets in batches] == [10, 10]


def test_each_epoch_has_its_order_and_a_seed_repeats_them():
    x, t = examples()
    first, again = (Batches(x, t, 5, shuffle=True, rng=3) for _ in range(2))
    orders = []
    for _ in range(3):
        assert_same(copied(first), copied(again))
        orders.append(first.order.tolist())
    assert orders[0] != orders[1] != orders[2]
    other = Batches(x, t, 5, shuffle=True, rng=4)
    copied(other)
    assert other.order.tolist() != orders[0]


def test_batches_share_one_buffer_and_leave_the_data_alone():
    x, t = examples()
    before = x.copy()
    buffers = {
        batch.__array_interface__["data"][0]
        for batch, _ in Batches(x, t, 5, shuffle=True, augment=RandomFlip(1.0))
    }
    assert len(buffers) == 1
    np.testing.assert_array_equal(x, before)


def test_no_memory_is_taken_per_batch():
    x, t = np.zeros((64, 3, 64, 64), np.float32), np.arange(64)
    batches = Batches(x, t, 16, shuffle=True)
    copied(batches)
    tracemalloc.start()
    for _ in batches:
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < x[:1].nbytes


@pytest.mark.parametrize(
    "change", [lambda x: x[:, ::-1], lambda x: np.asfortranarray(x), lambda x: x.astype(">f4")]
)
def test_any_layout(change):
    x, t = examples()
    x = change(np.repeat(x, 2, axis=1))
    for batch, targets in Batches(x, t, 5, shuffle=True, rng=0):
        np.testing.assert_array_equal(batch, x[targets])


def test_read_only_and_one_hot():
    x, t = examples()
    t = np.eye(len(t))[t]
    x.flags.writeable = t.flags.writeable = False
    for batch, targets in Batches(x, t, 5, shuffle=True, rng=0, augment=RandomFlip(0.0)):
        assert targets.shape == (len(batch), 23)
        np.testing.assert_array_equal(batch, x[targets.argmax(axis=1)])


AUGMENT = Compose(RandomFlip(), PadCrop(1))


def test_augmentation_depends_on_the_seed_and_the_epoch():
    x, t = examples()
    batches, again = (Batches(x, t, 5, rng=1, augment=AUGMENT) for _ in range(2))
    first, second = copied(batches), copied(batches)
    assert_same(first, copied(again))
    assert not all(np.array_equal(a[0], b[0]) for a, b in zip(first, second, strict=True))


def test_augmentation_may_return_another_array():
    x, t = examples()
    batches = Batches(x, t, 5, augment=lambda batch, rng: batch[:, :, 1:])
    assert [batch.shape for batch, _ in batches] == [(5, 1, 2, 4)] * 4 + [(3, 1, 2, 4)]


@pytest.mark.parametrize("stop", range(6))
def test_resume_anywhere_through_json(stop):
    x, t = examples()

    def make(rng):
        return Batches(x, t, 5, shuffle=True, rng=rng, augment=AUGMENT)

    whole = make(7)
    copied(whole)
    second, third = copied(whole), copied(whole)

    interrupted = make(7)
    copied(interrupted)
    iterator = iter(interrupted)
    for _ in range(stop):
        next(iterator)
    state = json.loads(json.dumps(interrupted.state_dict()))

    resumed = make(None)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert_same(copied(resumed), second[stop:])
    assert_same(copied(resumed), third)


def test_resume_after_the_last_batch_and_after_the_epoch():
    x, t = examples()
    batches = Batches(x, t, 5, shuffle=True, rng=0)
    for _ in batches:
        within = batches.state_dict()
    after = batches.state_dict()
    next_epoch = copied(batches)
    assert within["position"] == len(batches)
    assert after["position"] == 0

    resumed = Batches(x, t, 5, shuffle=True)
    resumed.load_state_dict(within)
    assert copied(resumed) == []  # nothing of that epoch is left
    assert_same(copied(resumed), next_epoch)
    resumed.load_state_dict(after)
    assert_same(copied(resumed), next_epoch)


def test_position_and_skip():
    x, t = examples()
    batches = Batches(x, t, 5)
    batches.skip(3)
    assert batches.state_dict()["position"] == 3
    positions = [(batches.position, targets.tolist()) for _, targets in batches]
    assert positions == [(4, [15, 16, 17, 18, 19]), (5, [20, 21, 22])]
    assert [len(targets) for _, targets in batches] == [5, 5, 5, 5, 3]


def test_a_loop_that_was_left_begins_anew():
    x, t = examples()
    batches = Batches(x, t, 5)
    next(iter(batches))
    assert [len(targets) for _, targets in batches] == [5, 5, 5, 5, 3]


def test_two_loops_at_once_are_noticed():
    x, t = examples()
    batches = Batches(x, t, 5)
    first = iter(batches)
    next(first)
    next(iter(batches))
    with pytest.raises(RuntimeError, match="begun anew"):
        next(first)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"position": 6}, "an epoch has 5 batches, got 6"),
        ({"position": -1}, "position"),
        ({"batch_size": 4}, "'batch_size': 4"),
        ({"examples": 20}, "'examples': 20"),
        ({"rng": {"bit_generator": "MT19937"}}, "does not fit the generator"),
        ({"rng": None}, "does not fit the generator"),
    ],
)
def test_a_state_that_does_not_fit_changes_nothing(change, message):
    x, t = examples()
    batches = Batches(x, t, 5, shuffle=True, rng=0)
    before = batches.state_dict()
    with pytest.raises(ValueError, match=message):
        batches.load_state_dict(before | {"position": 2} | change)
    assert batches.state_dict() == before


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"x": [1, 2]}, TypeError, "x: expects a numpy array, got list"),
        ({"t": np.arange(22)}, ValueError, "23 examples and 22 targets"),
        ({"t": np.array(3)}, ValueError, "t: expects an axis of examples"),
        ({"batch_size": 0}, ValueError, "batch_size"),
        ({"batch_size": 2.5}, TypeError, "batch_size"),
        ({"augment": 3}, TypeError, "augment: expects a function"),
        ({"batch_size": 24, "drop_last": True}, ValueError, "would drop all 23 examples"),
    ],
)
def test_bad_arguments(arguments, error, message):
    x, t = examples()
    with pytest.raises(error, match=message):
        Batches(**({"x": x, "t": t, "batch_size": 5} | arguments))
