"""Augmentations: every result is one of the allowed changes, all of them occur, and a seed repeats them."""

import numpy as np
import pytest

from cnn_core.data import Compose, PadCrop, RandomFlip, RandomRotation, RandomShift, rotate

ALL = [
    RandomFlip(),
    RandomFlip(0.5, "vertical"),
    RandomShift(2),
    RandomShift((0, 1), fill=-1.0),
    PadCrop(2),
    PadCrop((1, 0), "reflect"),
    RandomRotation(15),
    RandomRotation(15, fill=0.5),
    Compose(RandomFlip(), PadCrop(1), RandomRotation(5)),
]


def images(n=200, shape=(2, 5, 6), dtype=np.float32):
    return np.random.default_rng(0).random((n, *shape)).astype(dtype)


def among(image, candidates):
    """The number of the candidate that an image equals."""
    (found,) = [i for i, candidate in enumerate(candidates) if np.array_equal(image, candidate)]
    return found


@pytest.mark.parametrize("augment", ALL, ids=repr)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_place_and_repeatable(augment, dtype):
    batch, again = images(dtype=dtype), images(dtype=dtype)
    found = augment(batch, np.random.default_rng(5))
    assert found is batch
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, augment(again, np.random.default_rng(5)))
    assert not np.array_equal(found, images(dtype=dtype))
    assert not np.array_equal(found, augment(images(dtype=dtype), np.random.default_rng(6)))


@pytest.mark.parametrize("augment", ALL, ids=repr)
def test_layouts_that_cannot_be_changed_in_place_are_copied(augment):
    strided = images()[:, :, :, ::-1]
    expected = augment(strided.copy(), np.random.default_rng(5))
    found = augment(strided, np.random.default_rng(5))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("augment", ALL, ids=repr)
def test_empty_batches(augment):
    assert augment(images(0), np.random.default_rng(0)).shape == (0, 2, 5, 6)


@pytest.mark.parametrize("augment", ALL, ids=repr)
def test_batches_that_are_not_images(augment):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="batch: expects 4 dimensions"):
        augment(np.zeros((3, 4)), rng)
    with pytest.raises(TypeError, match="float32 or float64"):
        augment(np.zeros((3, 1, 4, 4), np.uint8), rng)


@pytest.mark.parametrize("augment", ALL, ids=repr)
def test_read_only_batches_are_refused(augment):
    batch = images()
    batch.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        augment(batch, np.random.default_rng(0))


@pytest.mark.parametrize(("direction", "axis"), [("horizontal", 2), ("vertical", 1)])
def test_flip(direction, axis):
    x = images()
    y = RandomFlip(0.3, direction)(x.copy(), np.random.default_rng(0))
    flipped = np.array(
        [among(image, (before, np.flip(before, axis))) for before, image in zip(x, y, strict=True)]
    )
    assert 30 < flipped.sum() < 90
    np.testing.assert_array_equal(RandomFlip(0, direction)(x.copy(), np.random.default_rng(0)), x)
    np.testing.assert_array_equal(
        RandomFlip(1, direction)(x.copy(), np.random.default_rng(0)), np.flip(x, axis + 1)
    )


def test_shift():
    x = images()
    y = RandomShift((1, 2), fill=-1.0)(x.copy(), np.random.default_rng(0))
    seen = set()
    for before, image in zip(x, y, strict=True):
        padded = np.pad(before, ((0, 0), (1, 1), (2, 2)), constant_values=-1)
        offsets = [(down, right) for down in range(3) for right in range(5)]
        seen.add(offsets[among(image, [padded[:, d : d + 5, r : r + 6] for d, r in offsets])])
    assert len(seen) == 15


@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric", "wrap"])
def test_pad_crop(mode):
    x = images()
    y = PadCrop((2, 1), mode)(x.copy(), np.random.default_rng(0))
    padded = np.pad(x, ((0, 0), (0, 0), (2, 2), (1, 1)), mode)
    seen = set()
    for piece, image in zip(padded, y, strict=True):
        seen.add(among(image, [piece[:, d : d + 5, r : r + 6] for d in range(5) for r in range(3)]))
    assert len(seen) == 15


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rotate_by_right_angles(dtype):
    x = images(3, (2, 5, 5), dtype)
    np.testing.assert_array_equal(rotate(x, 0), x)
    for turns in (1, 2, 3, -1):
        y = rotate(x, 90 * turns)
        assert y.dtype == dtype
        np.testing.assert_allclose(y, np.rot90(x, turns, axes=(2, 3)), atol=1e-6)


def test_rotate_keeps_planes_where_the_source_is_inside():
    """Bilinear interpolation is exact on linear functions, such as a ramp."""
    size, angle = 21, np.radians(12)
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    ramp = 0.3 * row + 0.7 * column
    source_row = np.cos(angle) * row + np.sin(angle) * column
    source_column = np.cos(angle) * column - np.sin(angle) * row
    expected = 0.3 * source_row + 0.7 * source_column
    inside = row**2 + column**2 < (size / 2 - 1) ** 2
    y = rotate(ramp[None, None], 12)[0, 0]
    np.testing.assert_allclose(y[inside], expected[inside], atol=1e-12)


def test_rotate_takes_an_angle_for_each_image_and_fills_the_corners():
    x = np.ones((3, 1, 9, 9))
    y = rotate(x, [0, 45, -45], fill=5.0)
    np.testing.assert_array_equal(y[0], x[0])
    np.testing.assert_array_equal(y[1:, 0, [0, 0, -1, -1], [0, -1, 0, -1]], 5)
    np.testing.assert_allclose(y[1], y[2], atol=1e-12)
    np.testing.assert_array_equal(y[:, 0, 3:6, 3:6], 1)


def test_rotation_stays_within_its_angles():
    x = np.zeros((300, 1, 31, 31))
    x[:, 0, 15, 29] = 1  # a dot at the right
    y = RandomRotation(20)(x, np.random.default_rng(0))
    row, column = np.mgrid[:31, :31] - 15
    weight = y[:, 0].sum((1, 2))
    angle = np.degrees(
        np.arctan2(-(y[:, 0] * row).sum((1, 2)) / weight, (y[:, 0] * column).sum((1, 2)) / weight)
    )
    assert np.abs(angle).max() < 21
    assert angle.max() > 17
    assert angle.min() < -17
    assert abs(np.median(angle)) < 5


def test_compose_applies_in_order():
    rng, same = np.random.default_rng(3), np.random.default_rng(3)
    found = Compose(RandomFlip(), PadCrop(1))(images(), rng)
    np.testing.assert_array_equal(found, PadCrop(1)(RandomFlip()(images(), same), same))
    np.testing.assert_array_equal(Compose()(images(), rng), images())


@pytest.mark.parametrize(
    ("make", "error"),
    [
        (lambda: RandomFlip(1.5), ValueError),
        (lambda: RandomFlip(np.nan), ValueError),
        (lambda: RandomFlip(direction="diagonal"), ValueError),
        (lambda: RandomShift(-1), ValueError),
        (lambda: RandomShift(1.5), TypeError),
        (lambda: RandomShift(1, fill=np.inf), ValueError),
        (lambda: PadCrop((1, 2, 3)), ValueError),
        (lambda: PadCrop(1, "mirror"), ValueError),
        (lambda: RandomRotation(-1), ValueError),
        (lambda: RandomRotation("10"), TypeError),
        (lambda: Compose(RandomFlip(), 3), TypeError),
        (lambda: rotate(images(3), [1, 2]), ValueError),
        (lambda: rotate(images(3), np.inf), ValueError),
    ],
)
def test_bad_arguments(make, error):
    with pytest.raises(error):
        make()
