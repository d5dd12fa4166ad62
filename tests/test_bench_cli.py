"""``cnn-core bench`` from end to end, on cases that take no time."""

import importlib.util
import json
import subprocess
import sys
from html.parser import HTMLParser

import pytest
from cli_helpers import refused

import cnn_core
from cnn_core import plots
from cnn_core.bench import page, picture
from cnn_core.bench.costs import Cost
from cnn_core.bench.measure import Timing
from cnn_core.bench.report import seconds
from cnn_core.bench.results import Results, Row
from cnn_core.cli import main

QUICK = ["--quick", "--seconds", "0", "--threads", "1"]
TINY = "relu backward 100x50"


class Page(HTMLParser):
    """Checks that what is opened is closed, and counts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.count: dict[str, int] = {}
        self.addresses: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1
        self.addresses += [value for name, value in attributes if name in ("src", "href")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.count[tag] = self.count.get(tag, 0) + 1

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_kernels_from_end_to_end(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    files = {suffix: tmp_path / f"out.{suffix}" for suffix in ("json", "html", "png")}
    arguments = ["--filter", TINY, "--roofline", "--json", files["json"], "--html", files["html"]]
    arguments += ["--plot", files["png"], "--against", "reference"]
    assert main(["bench", "kernels", *QUICK, *map(str, arguments)]) == 0
    printed = capsys.readouterr().out
    row = next(line for line in printed.splitlines() if line.startswith(TINY))
    assert "GFLOP/s" in row
    assert "roofs with 1 thread: " in printed
    assert "reference: " in printed

    document = json.loads(files["json"].read_text())
    assert document["suite"] == "kernels"
    assert document["machine"]["isa_level"] == cnn_core.show_config(as_dict=True)["isa_level"]
    assert document["machine"]["peers"] == {"reference": cnn_core.__version__}
    assert [roofline["threads"] for roofline in document["rooflines"]] == [1]
    (values,) = document["rows"]
    assert values["flops"] == 100 * 50
    assert values["bytes"] == 3 * 4 * 100 * 50
    assert set(values["times"]) == {"ours", "reference"}
    assert values["percent_of_attainable"] > 0
    assert values["ratios"]["reference"] > 0

    parsed = Page(files["html"].read_text())
    assert parsed.count["table"] == 1
    assert parsed.count["circle"] == 1
    assert parsed.addresses == []  # it needs nothing else
    assert files["png"].read_bytes().startswith(b"\x89PNG")
    assert len(list(tmp_path.iterdir())) == 3
    assert main(["bench", "compare", str(files["json"]), str(files["json"])]) == 0


def test_threads_and_filter(capsys):
    arguments = ["bench", "kernels", "--quick", "--seconds", "0", "--filter", TINY]
    assert main([*arguments, "--threads", "2,1,2"]) == 0
    printed = capsys.readouterr().out
    assert printed.index("kernels, float32, 2 threads") < printed.index("kernels, float32, 1 thread")
    assert printed.count("\nrelu backward") == 2


def test_layers_of_a_network_by_name(capsys):
    arguments = ["bench", "layers", "digits", *QUICK, "--batch-size", "2", "--roofline"]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "layers of digits, 2x1x8x8, float32, 1 thread" in printed
    rows = [line for line in printed.splitlines() if line.endswith(tuple("0123456789-")) and "x" in line]
    assert any(row.startswith("0+1 Conv2d+ReLU 2x1x8x8 forward") for row in rows)
    assert any(row.startswith("9 Linear 2x64 backward") for row in rows)


def test_layers_of_a_trained_network(trained, capsys, tmp_path):
    out = tmp_path / "a.json"
    assert main(["bench", "layers", str(trained), *QUICK, "--filter", "Linear", "--json", str(out)]) == 0
    names = [row["name"] for row in json.loads(out.read_text())["rows"]]
    assert names == [
        "6 Linear 100x1024 forward",
        "6 Linear 100x1024 backward",
        "9 Linear 100x64 forward",
        "9 Linear 100x64 backward",
    ]
    assert "its classes are fixed" in refused(capsys, "bench", "layers", trained, "--classes", "3")
    assert "nor one of digits" in refused(capsys, "bench", "layers", "nothing")


def test_layers_against_torch(capsys, tmp_path):
    pytest.importorskip("torch", reason="torch, a peer of the benchmark, is not installed")
    out = tmp_path / "a.json"
    arguments = ["bench", "layers", "digits", *QUICK, "--batch-size", "2", "--against", "torch"]
    assert main([*arguments, "--filter", "Conv2d", "--json", str(out)]) == 0
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 4
    assert all(set(row["times"]) == {"ours", "torch NCHW", "torch NHWC"} for row in rows)


def test_nets(capsys, tmp_path):
    out = tmp_path / "a.json"
    arguments = ["bench", "nets", *QUICK, "--filter", "simple", "--json", str(out)]
    assert main(arguments) == 0
    printed = capsys.readouterr().out
    assert "images/s" in printed
    rows = {row["name"]: row for row in json.loads(out.read_text())["rows"]}
    assert list(rows) == [
        "train simple 100x1x28x28",
        "predict simple 1x1x28x28",
        "predict simple 100x1x28x28",
    ]
    conv, first, second = 2 * 30 * 24 * 24 * 25, 2 * 4320 * 100, 2 * 100 * 10
    others = 30 * 24 * 24 + 4 * 30 * 12 * 12 + 100  # ReLU, pooling, ReLU
    assert rows["predict simple 1x1x28x28"]["flops"] == conv + first + second + others
    assert rows["predict simple 100x1x28x28"]["images"] == 100
    assert main(["bench", "compare", str(out), str(out)]) == 0


def test_bad_arguments(capsys, tmp_path):
    for arguments in (
        [],
        ["flops"],
        ["kernels", "--threads", "0"],
        ["kernels", "--threads", "one"],
        ["kernels", "--threads", "1,999"],
        ["kernels", "--seconds", "-1"],
        ["layers"],
        ["compare", "a.json"],
    ):
        assert main(["bench", *arguments]) == 2
    capsys.readouterr()
    assert "none of" in refused(capsys, "bench", "kernels", "--filter", "no such kernel")
    assert "--against: " in refused(capsys, "bench", "kernels", "--against", "caffe")
    missing = tmp_path / "missing" / "a.json"
    assert "there is no folder" in refused(capsys, "bench", "kernels", "--json", missing)
    assert "is a folder" in refused(capsys, "bench", "kernels", "--html", tmp_path)
    assert "--roofline" in refused(capsys, "bench", "kernels", "--plot", tmp_path / "a.png")


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_pictures_of_unknown_formats(tmp_path, capsys):
    error = refused(capsys, "bench", "kernels", "--roofline", "--plot", tmp_path / "a.xyz")
    assert "--plot: expects a name that ends in" in error


def test_networks_that_do_not_take_the_images(trained, capsys):
    error = refused(capsys, "bench", "layers", trained, *QUICK, "--input-shape", "1,9,12")
    assert "expects 1024 inputs" in error
    assert "--filter: none of 14 rows" in refused(
        capsys, "bench", "layers", "digits", *QUICK, "--filter", "?"
    )


def test_what_is_measured_is_shown_when_interrupted(monkeypatch, capsys):
    row = Row("relu", 1, {"ours": Timing.of([1e-3])}, Cost(10, 1000))

    def interrupted(settings):
        yield row
        raise KeyboardInterrupt

    monkeypatch.setattr("cnn_core.bench.suites.run_kernels", interrupted)
    assert main(["bench", "kernels", *QUICK]) == 130
    captured = capsys.readouterr()
    assert "relu" in captured.out
    assert captured.err.endswith("cnn-core: interrupted\n")


def test_python_m_is_the_command():
    code = f"import sys, runpy; sys.path[:0] = {sys.path!r}; sys.argv = ['cnn_core.bench', '--help']; "
    done = subprocess.run(
        [sys.executable, "-c", code + "runpy.run_module('cnn_core.bench', run_name='__main__')"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "kernels" in done.stdout


def test_imports_are_light():
    code = f"import sys; sys.path[:0] = {sys.path!r}; import cnn_core; "
    code += "assert 'cnn_core.bench' not in sys.modules; cnn_core.bench.profile; import cnn_core.cli.bench; "
    code += (
        "assert not {'torch', 'onnx', 'onnxruntime', 'matplotlib', 'cnn_core.reference'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.skipif(importlib.util.find_spec("matplotlib") is None, reason="matplotlib is not installed")
def test_pictures_of_few_and_of_many_rows(tmp_path):
    from cnn_core.bench.roofline import Level, Roofline

    for count in (1, 3, 70):
        rows = [
            Row(f"row {i}", 1, {"ours": Timing.of([1e-3])}, Cost(10**i % 10**7 + 1, 1000))
            for i in range(count)
        ]
        roofline = Roofline(1, 1e11, (Level("L2", 4000, 1e11), Level("memory", None, 1e10)))
        results = Results("kernels", "kernels", {}, {1: roofline}, rows)
        figure = picture.plot_roofline(results)
        texts = [text.get_text() for text in figure.axes[0].texts]
        margins = "\n".join(text.get_text() for axes in figure.axes[1:] for text in axes.texts)
        for i in range(count):
            assert (f"row {i}" if count <= 12 else str(i + 1)) in texts
            assert (f"{i + 1}  row {i}\n" in f"{margins}\n") == (count > 12)
        plots.save(figure, tmp_path / "roofline.png")
        assert Page(page.html(results)).count["circle"] == count
    without = Results("kernels", "kernels", {}, {}, rows)
    with pytest.raises(ValueError, match="needs --roofline"):
        picture.plot_roofline(without)
    copies = Results("kernels", "kernels", {}, {1: roofline}, [Row("im2col", 1, rows[0].times, Cost(0, 10))])
    with pytest.raises(ValueError, match="floating-point"):
        picture.plot_roofline(copies)
    assert Page(page.html(copies)).count["table"] == 1  # without a picture


@pytest.mark.parametrize(
    ("value", "text"),
    [(2.5, "2.50 s"), (0.0125, "12.5 ms"), (1.23456e-4, "123 us"), (1e-6, "1.00 us"), (0.0, "0.00 us"),
     (9.999e-4, "1000 us"), (2e-9, "0.00 us"), (125.0, "125 s")],
)  # fmt: skip
def test_times(value, text):
    assert seconds(value) == text
