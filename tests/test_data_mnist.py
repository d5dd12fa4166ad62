"""MNIST and Fashion-MNIST: small files of the same form, and the real ones where CNN_CORE_DATA has them."""

import dataclasses
import gzip
import hashlib

import numpy as np
import pytest
from test_data_idx import idx_bytes

from cnn_core.data import data_folder, load_fashion_mnist, load_mnist, mnist


@pytest.fixture
def small(monkeypatch):
    """Four small files, whose shapes and checksums are made the expected ones of MNIST."""
    rng = np.random.default_rng(0)
    arrays, files = {}, []
    for file, rows in zip(mnist.MNIST_FILES, (6, 6, 3, 3), strict=True):
        shape = (rows, *file.shape[1:])
        array = rng.integers(0, 10 if len(shape) == 1 else 256, shape, np.uint8)
        arrays[file.archive.filename] = array
        content = hashlib.sha256(idx_bytes(array)).hexdigest()
        files.append(dataclasses.replace(file, shape=shape, content_sha256=content))
    monkeypatch.setattr(mnist, "MNIST_FILES", tuple(files))
    return arrays


def write(folder, arrays, compress=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        if compress:
            (folder / name).write_bytes(gzip.compress(idx_bytes(array)))
        else:
            (folder / name.removesuffix(".gz")).write_bytes(idx_bytes(array))


@pytest.mark.parametrize("place", ["", "mnist", "MNIST/raw"])
@pytest.mark.parametrize("compress", [False, True])
def test_layouts(small, tmp_path, monkeypatch, place, compress):
    write(tmp_path / place, small, compress)
    monkeypatch.setenv("CNN_CORE_DATA", str(tmp_path))
    data = load_mnist(download=False)
    images, labels = (small[f"train-{kind}-ubyte.gz"] for kind in ("images-idx3", "labels-idx1"))
    assert data.train.x.shape == (6, 1, 28, 28)
    assert data.train.x.dtype == np.float32
    assert data.train.t.dtype == np.int64
    np.testing.assert_array_equal(data.train.x[:, 0], images.astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(data.train.t, labels)
    assert len(data.test) == 3


def test_root_comes_before_the_environment(small, tmp_path, monkeypatch):
    write(tmp_path / "here" / "mnist", small)
    monkeypatch.setenv("CNN_CORE_DATA", str(tmp_path / "nowhere"))
    assert len(load_mnist(tmp_path / "here", download=False).train) == 6


def test_all_missing_files_are_named(small, tmp_path):
    write(tmp_path / "mnist", {name: small[name] for name in small if "images" in name})
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(tmp_path, download=False)
    message = str(caught.value)
    assert f"Put these files into {tmp_path / 'mnist'}" in message
    assert "train-labels-idx1-ubyte.gz or train-labels-idx1-ubyte" in message
    assert "t10k-labels-idx1-ubyte" in message
    assert "images" not in message


def test_the_files_of_another_set_are_refused(small, tmp_path):
    write(tmp_path, small)
    with pytest.raises(ValueError, match=r"train-images-idx3-ubyte.gz: another content than expected"):
        load_fashion_mnist(tmp_path, download=False)


def test_another_number_of_images_is_refused(small, tmp_path, monkeypatch):
    write(tmp_path, small)
    first, *rest = mnist.MNIST_FILES
    monkeypatch.setattr(mnist, "MNIST_FILES", (dataclasses.replace(first, shape=(7, 28, 28)), *rest))
    with pytest.raises(ValueError, match=r"expects \(7, 28, 28\) of MNIST, got \(6, 28, 28\)"):
        load_mnist(tmp_path, download=False)


@pytest.mark.parametrize("files", [mnist.MNIST_FILES, mnist.FASHION_MNIST_FILES])
def test_the_published_files(files):
    assert [file.archive.names[1] for file in files] == [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ]
    for file in files:
        assert len(file.archive.urls) >= 2
        assert all(url.endswith("/" + file.archive.filename) for url in file.archive.urls)
        assert len(bytes.fromhex(file.archive.digest)) == len(bytes.fromhex(file.content_sha256)) == 32


@pytest.fixture(scope="module")
def real():
    try:
        return load_mnist(download=False)
    except FileNotFoundError:
        pytest.skip(f"MNIST is not in {data_folder()}; set CNN_CORE_DATA to a folder that holds it")


def test_real_mnist(real):
    assert real.train.x.shape == (60000, 1, 28, 28)
    assert real.test.x.shape == (10000, 1, 28, 28)
    assert real.train.t[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert real.test.t[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(real.train.t).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert real.train.x.min() == 0
    assert real.train.x.max() == 1
    assert abs(real.train.x.mean(dtype=np.float64) - 0.1307) < 1e-4  # the mean that everyone normalises with
    assert real.input_shape == (1, 28, 28)
