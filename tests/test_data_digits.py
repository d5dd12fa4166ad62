"""The digits that come with the library, and the registry of data sets."""

import numpy as np
import pytest

from cnn_core.data import DATASETS, load_digits


def test_shapes_and_range():
    data = load_digits()
    assert data.train.x.shape == (1433, 1, 8, 8)
    assert data.test.x.shape == (364, 1, 8, 8)
    for part in (data.train, data.test):
        assert part.x.dtype == np.float32
        assert part.t.dtype == np.int64
        assert part.x.min() == 0
        assert part.x.max() == 1
        np.testing.assert_array_equal(part.x * 16, np.round(part.x * 16))
    assert data.class_names == tuple("0123456789")


def test_the_test_images_are_a_fifth_of_each_class():
    data = load_digits()
    of_class = np.bincount(data.train.t) + np.bincount(data.test.t)
    assert of_class.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    np.testing.assert_array_equal(np.bincount(data.test.t), -(-of_class // 5))


def test_no_image_is_in_both_parts():
    data = load_digits()
    train, test = ({image.tobytes() for image in part.x} for part in (data.train, data.test))
    assert not train & test


def test_same_as_scikit_learns():
    datasets = pytest.importorskip("sklearn.datasets")
    images, labels = datasets.load_digits(return_X_y=True)
    data = load_digits()
    ours = sorted((image.tobytes(), t) for part in (data.train, data.test) for image, t in part)
    theirs = sorted((row.astype(np.float32).tobytes(), t) for row, t in zip(images / 16, labels, strict=True))
    assert ours == theirs


def test_loaders_do_not_share_memory():
    load_digits().train.x[:] = 5
    assert load_digits().train.x.max() == 1


def test_registry():
    assert list(DATASETS) == ["digits", "mnist", "fashion-mnist", "cifar10"]
    assert DATASETS["digits"](root=None, download=False).name == "digits"


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist", "cifar10"])
def test_every_loader_says_what_is_missing(name, tmp_path):
    with pytest.raises(FileNotFoundError, match="Put these files into"):
        DATASETS[name](root=tmp_path, download=False)
