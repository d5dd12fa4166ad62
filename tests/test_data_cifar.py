"""CIFAR-10 in its two versions, unpacked and in archives, from small files of the same form."""

import dataclasses
import hashlib
import io
import pickle
import struct
import tarfile

import numpy as np
import pytest

from cnn_core.data import cifar, load_cifar10, read_cifar_binary, read_cifar_python

PER_FILE = 4


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (6, PER_FILE, 3, 32, 32), np.uint8)


@pytest.fixture
def labels():
    return np.random.default_rng(1).integers(0, 10, (6, PER_FILE))


def binary_bytes(images, labels):
    return b"".join(bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True))


def string(text):
    """A string as Python 2 pickled it."""
    return b"U" + bytes([len(text)]) + text if len(text) < 256 else b"T" + struct.pack("<i", len(text)) + text


def python_bytes(images, labels):
    """A batch as Python 2's numpy pickled it: the form in which CIFAR-10 is published."""
    dtype = (
        b"cnumpy\ndtype\n"
        + string(b"u1")
        + b"K\0K\1\x87R(K\3"
        + string(b"|")
        + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    )
    array = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85" + string(b"b") + b"\x87R"
    state = (
        b"(K\1"
        + b"M"
        + struct.pack("<H", len(images))
        + b"M\0\x0c\x86"
        + dtype
        + b"\x89"
        + string(images.tobytes())
        + b"tb"
    )
    listed = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    names = b"](" + string(b"a.png") + b"e"
    items = (
        string(b"batch_label")
        + string(b"some batch")
        + string(b"labels")
        + listed
        + string(b"data")
        + array
        + state
    )
    return b"\x80\x02}q\1(" + items + string(b"filenames") + names + b"u."


@pytest.fixture
def contents(images, labels, monkeypatch):
    """The files of both versions, whose checksums are made the expected ones."""
    monkeypatch.setattr(cifar, "_PER_FILE", PER_FILE)
    found = {}
    for name, encode in (("BINARY", binary_bytes), ("PYTHON", python_bytes)):
        version = getattr(cifar, name)
        files = {
            file: encode(*batch)
            for file, batch in zip(version.files, zip(images, labels, strict=True), strict=True)
        }
        digests = {
            file: hashlib.new(version.algorithm, content).hexdigest() for file, content in files.items()
        }
        monkeypatch.setattr(cifar, name, dataclasses.replace(version, files=digests))
        found[name] = files
    return found


def write_folder(folder, files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def write_archive(path, members, monkeypatch, version):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for member, content in members:
            if isinstance(member, str):
                member = tarfile.TarInfo(member)
                member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = getattr(cifar, version)
    monkeypatch.setattr(
        cifar, version, dataclasses.replace(known, archive=dataclasses.replace(known.archive, digest=digest))
    )


def check(data, images, labels):
    assert data.name == "cifar10"
    assert data.class_names[3] == "cat"
    x = images.reshape(-1, 3, 32, 32).astype(np.float32) / np.float32(255)
    tests = 5 * PER_FILE
    for part, rows in ((data.train, slice(tests)), (data.test, slice(tests, None))):
        assert part.x.dtype == np.float32
        assert part.t.dtype == np.int64
        np.testing.assert_array_equal(part.x, x[rows])
        np.testing.assert_array_equal(part.t, labels.reshape(-1)[rows])


@pytest.mark.parametrize("name", ["BINARY", "PYTHON"])
@pytest.mark.parametrize("place", ["", "cifar10/", "cifar-10/"])
def test_unpacked(name, place, contents, images, labels, tmp_path):
    write_folder(tmp_path / place / getattr(cifar, name).folder, contents[name])
    check(load_cifar10(tmp_path, download=False), images, labels)


def test_the_folder_itself_holds_the_batches(contents, images, labels, tmp_path, monkeypatch):
    write_folder(tmp_path / "here", contents["PYTHON"])
    monkeypatch.setenv("CNN_CORE_DATA", str(tmp_path / "here"))
    check(load_cifar10(download=False), images, labels)


@pytest.mark.parametrize("name", ["BINARY", "PYTHON"])
@pytest.mark.parametrize("prefix", ["", "./"])
def test_archive(name, prefix, contents, images, labels, tmp_path, monkeypatch):
    version = getattr(cifar, name)
    members = [
        (f"{prefix}{version.folder}/{file}", content) for file, content in reversed(contents[name].items())
    ]
    path = tmp_path / "cifar10" / version.archive.filename
    write_archive(path, [(f"{version.folder}/readme.html", b"x"), *members], monkeypatch, name)
    check(load_cifar10(tmp_path, download=False), images, labels)
    assert [file.name for file in path.parent.iterdir()] == [path.name]  # nothing was unpacked


def test_an_archive_with_another_checksum_is_not_opened(contents, tmp_path):
    path = tmp_path / cifar.PYTHON.archive.filename
    path.write_bytes(b"anything")
    with pytest.raises(
        ValueError, match=r"cifar-10-python.tar.gz: not the published file: sha256 is [0-9a-f]{64}"
    ):
        load_cifar10(tmp_path, download=False)


def test_members_elsewhere_do_not_count(contents, tmp_path, monkeypatch):
    folder, files = cifar.PYTHON.folder, contents["PYTHON"]
    link = tarfile.TarInfo(f"{folder}/test_batch")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    hostile = [
        (f"../{folder}/test_batch", b"x"),
        (f"/{folder}/test_batch", b"x"),
        (f"{folder}/../test_batch", b"x"),
        (link, b""),
    ]
    members = [(f"{folder}/{name}", content) for name, content in files.items() if name != "test_batch"]
    write_archive(tmp_path / "data" / cifar.PYTHON.archive.filename, hostile + members, monkeypatch, "PYTHON")
    with pytest.raises(ValueError, match=r"cifar-10-python.tar.gz: lacks test_batch"):
        load_cifar10(tmp_path / "data", download=False)
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("name", ["BINARY", "PYTHON"])
def test_an_altered_batch_is_refused(name, contents, tmp_path):
    files = dict(contents[name])
    altered = list(files)[2]
    files[altered] = files[altered][:-3500] + bytes([files[altered][-3500] ^ 1]) + files[altered][-3499:]
    write_folder(tmp_path / getattr(cifar, name).folder, files)
    with pytest.raises(ValueError, match=f"{altered}: not the published file"):
        load_cifar10(tmp_path, download=False)


def test_a_missing_batch_is_named(contents, tmp_path):
    files = dict(contents["BINARY"])
    del files["data_batch_4.bin"]
    write_folder(tmp_path / cifar.BINARY.folder, files)
    with pytest.raises(FileNotFoundError, match=r"data_batch_4\.bin"):
        load_cifar10(tmp_path, download=False)


def test_nothing_there(tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"CIFAR-10 is not in .*\n.*cifar10:\n  cifar-10-python.tar.gz\n.*CNN_CORE_DATA",
    ):
        load_cifar10(tmp_path, download=False)


def test_read_one_file(images, labels, tmp_path):
    for read, encode in ((read_cifar_binary, binary_bytes), (read_cifar_python, python_bytes)):
        path = tmp_path / "batch"
        path.write_bytes(encode(images[0], labels[0]))
        found_images, found_labels = read(path)
        assert found_images.dtype == np.uint8
        assert found_labels.dtype == np.int64
        np.testing.assert_array_equal(found_images, images[0])
        np.testing.assert_array_equal(found_labels, labels[0])


def test_python_version_saved_again_by_python_3(images, labels, tmp_path):
    path = tmp_path / "batch"
    path.write_bytes(pickle.dumps({"data": images[0].reshape(PER_FILE, -1), "labels": labels[0].tolist()}))
    np.testing.assert_array_equal(read_cifar_python(path)[0], images[0])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "records of 3073 bytes, got 0"),
        (bytes(3072), "records of 3073 bytes, got 3072"),
        (bytes(3074), "records of 3073 bytes, got 3074"),
        (b"\x0a" + bytes(3072), r"label 10 is not in 0 \.\.\. 9"),
    ],
)
def test_bad_binary_files(content, message, tmp_path):
    path = tmp_path / "data_batch_9.bin"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"data_batch_9.bin: .*{message}"):
        read_cifar_binary(path)


ROWS = np.zeros((2, 3072), np.uint8)


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([1], "expects a dict, got list"),
        ({}, "'data' should be an array of uint8, got NoneType"),
        ({"data": ROWS.astype(np.int8), "labels": [1, 2]}, "uint8, got int8"),
        ({"data": ROWS[:, :-1], "labels": [1, 2]}, r"shape \(N, 3072\), got \(2, 3071\)"),
        ({"data": ROWS[0], "labels": [1, 2]}, r"shape \(N, 3072\), got \(3072,\)"),
        ({"data": ROWS}, "a list of 2 integers"),
        ({"data": ROWS, "labels": [1]}, "a list of 2 integers"),
        ({"data": ROWS, "labels": [1, "2"]}, "should be integers in 0"),
        ({"data": ROWS, "labels": [1, True]}, "should be integers in 0"),
        ({"data": ROWS, "labels": [1, 2**70]}, "should be integers in 0"),
        ({"data": ROWS, "labels": [1, 10]}, "label 10 is not"),
        ({"data": ROWS, "labels": [-1, 1]}, "label -1 is not"),
    ],
)
def test_bad_python_files(batch, message, tmp_path):
    path = tmp_path / "data_batch_9"
    path.write_bytes(pickle.dumps(batch))
    with pytest.raises(ValueError, match=f"data_batch_9: .*{message}"):
        read_cifar_python(path)


@pytest.mark.parametrize("read", [read_cifar_binary, read_cifar_python])
def test_files_too_large_are_not_read(read, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_LARGEST_FILE", 100)
    path = tmp_path / "batch"
    path.write_bytes(bytes(101))
    with pytest.raises(ValueError, match="larger than 100 bytes"):
        read(path)


def test_a_file_of_another_length_is_refused(contents, tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_PER_FILE", PER_FILE + 1)
    write_folder(tmp_path / cifar.BINARY.folder, contents["BINARY"])
    with pytest.raises(ValueError, match=r"data_batch_1\.bin: expects 5 images, got 4"):
        load_cifar10(tmp_path, download=False)
