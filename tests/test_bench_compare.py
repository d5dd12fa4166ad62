"""Results as files, and the comparison of two: on made-up numbers."""

import json

import pytest

from cnn_core.bench import Roofline
from cnn_core.bench.compare import compare, text
from cnn_core.bench.costs import Cost
from cnn_core.bench.measure import Timing
from cnn_core.bench.results import Results, Row
from cnn_core.bench.roofline import Level
from cnn_core.cli import main


def timing(median: float, noise: float = 0.01) -> Timing:
    """Quartiles that lie a share ``noise`` from the median."""
    return Timing(median, median * (1 - noise), median * (1 + noise), median * (1 - noise), 9)


def results(times: dict[str, Timing], bandwidth: float | None = None, **machine: object) -> Results:
    """Rows of 1000 bytes each; with a bandwidth, under a roofline."""
    rooflines = {}
    if bandwidth:
        rooflines[1] = Roofline(1, 1e12, (Level("memory", None, bandwidth),))
    rows = [Row(name, 1, {"ours": time}, Cost(10, 1000)) for name, time in times.items()]
    return Results("kernels", "kernels, float32", {"cpu": "a", **machine}, rooflines, rows)


BEFORE = {"relu": timing(1e-3), "tanh": timing(2e-3)}


def verdicts(before: Results, after: Results, tolerance: float = 0.05) -> list[str]:
    return [change.verdict for change in compare(before, after, tolerance).changes]


def test_the_same_is_the_same():
    comparison = compare(results(BEFORE), results(BEFORE))
    assert not comparison.is_worse
    assert text(comparison) == "0 slower, 0 faster, 2 the same within noise"


def test_slower_and_faster():
    after = results({"relu": timing(1.2e-3), "tanh": timing(1.5e-3)})
    comparison = compare(results(BEFORE), after)
    assert [change.verdict for change in comparison.changes] == ["slower", "faster"]
    assert comparison.is_worse
    lines = text(comparison).splitlines()
    assert lines[2].split() == ["relu", "1", "1.00", "ms", "1.20", "ms", "-", "-", "x0.83", "slower"]
    assert lines[-1] == "1 slower, 1 faster, 0 the same within noise"


def test_noise_of_either_file_and_tolerance():
    slower = {"relu": timing(1.2e-3), "tanh": timing(2e-3)}
    assert verdicts(results(BEFORE), results(slower), tolerance=0.25) == ["same", "same"]
    noisy = {"relu": timing(1.2e-3, noise=0.15), "tanh": timing(2e-3)}
    assert verdicts(results(BEFORE), results(noisy)) == ["same", "same"]
    noisy_before = {"relu": timing(1e-3, noise=0.15), "tanh": timing(2e-3)}
    assert verdicts(results(noisy_before), results(slower)) == ["same", "same"]
    # quartiles at 1.01 and 1.07: apart by more than 5 %, but not by 6 %
    near = {"relu": Timing(1.08e-3, 1.07e-3, 1.09e-3, 1e-3, 9), "tanh": timing(2e-3)}
    assert verdicts(results(BEFORE), results(near), tolerance=0.05) == ["slower", "same"]
    assert verdicts(results(BEFORE), results(near), tolerance=0.06) == ["same", "same"]


def test_percentages_count_where_there_are_rooflines():
    # twice the time on a machine with half the bandwidth: as good as before
    after = {"relu": timing(2e-3), "tanh": timing(4e-3)}
    assert verdicts(results(BEFORE, 1e7), results(after, 5e6)) == ["same", "same"]
    # the same time on a machine with twice the bandwidth: worse
    comparison = compare(results(BEFORE, 1e7), results(BEFORE, 2e7))
    assert [change.verdict for change in comparison.changes] == ["slower", "slower"]
    assert comparison.changes[0].percent == pytest.approx((10.0, 5.0))
    # only one has a roofline: the times count
    mixed = compare(results(BEFORE, 1e7), results(BEFORE))
    assert not mixed.is_worse
    assert mixed.warnings == ("only one of the runs has a roofline: times are compared",)


def test_rows_that_are_in_one_file_only_and_other_machines():
    after = results({"relu": timing(1e-3), "new": timing(1.0)}, cpu="b")
    comparison = compare(results(BEFORE), after)
    assert comparison.only_before == (("tanh", 1),)
    assert comparison.only_after == (("new", 1),)
    assert not comparison.is_worse
    printed = text(comparison)
    assert "warning: the runs were on different CPUs: a and b" in printed
    assert "only in the second: 1 row, such as new" in printed


def test_files_come_back(tmp_path):
    path = tmp_path / "a.json"
    written = results(BEFORE, 1e7)
    written.save(path)
    read = Results.load(path)
    assert read.rows == written.rows
    assert read.rooflines == written.rooflines
    assert read.machine == written.machine
    document = json.loads(path.read_text())
    assert document["rows"][0]["percent_of_attainable"] == pytest.approx(10)
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format="other"),
        lambda d: d.update(version=2),
        lambda d: d.pop("rows"),
        lambda d: d.update(rows=7),
        lambda d: d["rows"][0].pop("times"),
        lambda d: d["rows"][0]["times"].pop("ours"),
        lambda d: d["rows"][0]["times"]["ours"].update(median="slow"),
        lambda d: d["rooflines"][0].update(compute=-1),
    ],
)
def test_damaged_files_are_refused(change, tmp_path):
    path = tmp_path / "a.json"
    document = json.loads(results(BEFORE, 1e7).to_json())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=r"a\.json: "):
        Results.load(path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000])
def test_what_is_not_json_is_refused(content, tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.json: "):
        Results.load(path)


def test_exit_codes(tmp_path, capsys):
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    results(BEFORE).save(a)
    results({"relu": timing(1.2e-3), "tanh": timing(2e-3)}).save(b)
    assert main(["bench", "compare", a, a]) == 0
    assert main(["bench", "compare", b, a]) == 0  # faster is no fault
    assert "1 faster" in capsys.readouterr().out
    assert main(["bench", "compare", a, b]) == 1
    assert "1 slower" in capsys.readouterr().out
    assert main(["bench", "compare", a, b, "--tolerance", "30"]) == 0
    assert main(["bench", "compare", a, b, "--tolerance", "-1"]) == 2
    assert "--tolerance: expects percent" in capsys.readouterr().err
    assert main(["bench", "compare", a, str(tmp_path / "none.json")]) == 2
    assert "none.json: No such file" in capsys.readouterr().err
    other = results({"sigmoid": timing(1.0)})
    other.save(b)
    assert main(["bench", "compare", a, b]) == 2
    assert "no row in common" in capsys.readouterr().err
    other.suite = "nets"
    other.save(b)
    assert main(["bench", "compare", a, b]) == 2
    assert "different benchmarks: kernels and nets" in capsys.readouterr().err
