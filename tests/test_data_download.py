"""Downloads from a server on this machine: what arrives is whole and verified, or nothing is left."""

import hashlib
import http.server
import threading

import pytest

from cnn_core.data import Download, DownloadError, fetch, folder
from cnn_core.data.folder import DataFolder

CONTENT = bytes(range(256)) * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        content = {"/altered": CONTENT[:-1] + b"x", "/long": CONTENT * 2}.get(self.path, CONTENT)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.path == "/broken":
            content = content[:1000]
        self.wfile.write(content)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        server.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def wanted(server, *paths, algorithm="sha256"):
    digest = hashlib.new(algorithm, CONTENT).hexdigest()
    return Download("data.gz", tuple(server.url + path for path in paths), digest, len(CONTENT), algorithm)


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_a_good_download(server, tmp_path, algorithm):
    path = fetch(wanted(server, "/good", algorithm=algorithm), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "data.gz"
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


def test_the_second_mirror_is_asked_when_the_first_fails(server, tmp_path):
    for first in ("/missing", "/altered", "/broken", "/long"):
        server.requests.clear()
        assert fetch(wanted(server, first, "/good", "/never"), tmp_path).read_bytes() == CONTENT
        assert server.requests == [first, "/good"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/missing", "HTTP Error 404: Not Found"),
        ("/altered", "sha256 is [0-9a-f]{64}, should be"),
        ("/broken", "ended after 1000 of 256000 bytes"),
        ("/long", "more than the expected 256000 bytes"),
    ],
)
def test_a_bad_download_leaves_nothing(server, tmp_path, path, message):
    with pytest.raises(DownloadError, match=f"{path}: .*{message}"):
        fetch(wanted(server, path), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_bad_download_leaves_what_was_there(server, tmp_path):
    (tmp_path / "data.gz").write_bytes(b"old")
    with pytest.raises(DownloadError):
        fetch(wanted(server, "/altered"), tmp_path)
    assert (tmp_path / "data.gz").read_bytes() == b"old"


def test_connection_refused(server, tmp_path):
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_port
    download = Download("data.gz", (f"http://127.0.0.1:{port}/",), "0" * 64, 10)
    with pytest.raises(DownloadError, match=f"127.0.0.1:{port}/: "):
        fetch(download, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing(server, tmp_path, monkeypatch):
    import tqdm

    def interrupt(self, n=1):
        raise KeyboardInterrupt

    monkeypatch.setattr(tqdm.tqdm, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fetch(wanted(server, "/good"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_fetches_what_is_missing(server, tmp_path, monkeypatch):
    there = Download("there.gz", (server.url + "/never",), "0" * 64, 10)
    (tmp_path / "there").write_bytes(b"unpacked")
    found = DataFolder("Data", tmp_path, ("data", "")).obtain([wanted(server, "/good"), there], download=True)
    assert found == [tmp_path / "data" / "data.gz", tmp_path / "there"]
    assert server.requests == ["/good"]
    DataFolder("Data", tmp_path, ("data", "")).obtain([wanted(server, "/good")], download=True)
    assert server.requests == ["/good"]


def test_a_folder_explains_what_could_not_be_fetched(server, tmp_path):
    files = [Download("first.gz", (server.url + "/good",), hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))]
    files.append(wanted(server, "/missing/1", "/missing/2"))
    with pytest.raises(FileNotFoundError) as caught:
        DataFolder("The data", tmp_path, ("data", "")).obtain(files, download=True)
    assert str(caught.value) == (
        f"The data is not in {tmp_path} and could not be downloaded:\n"
        f"  {server.url}/missing/1: HTTP Error 404: Not Found\n"
        f"  {server.url}/missing/2: HTTP Error 404: Not Found\n"
        f"Put these files into {tmp_path / 'data'}:\n"
        f"  data.gz or data\n"
        f"or let the environment variable CNN_CORE_DATA name a folder that holds them."
    )


def test_a_folder_that_cannot_be_written(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(FileNotFoundError, match="Put these files into"):
        DataFolder("Data", tmp_path / "file", ("data", "")).obtain([wanted(server, "/good")], download=True)


def test_no_name_for_a_decompressed_archive():
    assert Download("a.tar.gz", (), "", 0).names == ("a.tar.gz",)
    assert Download("a.gz", (), "", 0).names == ("a.gz", "a")


def test_where_data_lie(monkeypatch, tmp_path):
    for name in ("CNN_CORE_DATA", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(folder.Path, "home", lambda: tmp_path)
    assert folder.data_folder() == tmp_path / ".cache" / "cnn_core"
    monkeypatch.setenv(
        "LOCALAPPDATA" if folder.sys.platform == "win32" else "XDG_CACHE_HOME", str(tmp_path / "c")
    )
    assert folder.data_folder() == tmp_path / "c" / "cnn_core"
    monkeypatch.setenv("CNN_CORE_DATA", str(tmp_path / "d"))
    assert folder.data_folder() == tmp_path / "d"
    assert folder.data_folder(tmp_path / "e") == tmp_path / "e"
