"""``cnn-core bench``: how fast kernels, layers and networks are."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cnn_core._threads import get_num_threads
from cnn_core.bench import compare, peers, suites
from cnn_core.bench.machine import facts
from cnn_core.bench.measure import QUICK, Effort
from cnn_core.bench.report import text
from cnn_core.bench.results import Results, Row
from cnn_core.bench.roofline import measure_roofline
from cnn_core.cli._options import input_shape, positive
from cnn_core.cli._run import find_model
from cnn_core.files import write_atomically

_ROOFLINE_SECONDS = 1.0  # for all numbers of threads


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = "See docs/benchmarks.md for how to read the tables."
    what = parser.add_subparsers(metavar="WHAT", required=True, dest="what")
    for name, purpose in (
        ("kernels", "time each function on the shapes of networks"),
        ("layers", "time each layer of a network, forward and backward"),
        ("nets", "time training steps and predictions of networks"),
    ):
        suite = what.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        if name == "layers":
            _add_model(suite)
        _add_measuring(suite)
        _add_debug(suite)
    purpose = "compare two files of --json: exit code 1 if a row became slower"
    comparing = what.add_parser("compare", help=purpose, description=f"{purpose.capitalize()}.")
    comparing.add_argument("before", type=Path, metavar="A.json")
    comparing.add_argument("after", type=Path, metavar="B.json")
    help_text = "change in percent, beyond noise, that counts (default: 5)"
    comparing.add_argument("--tolerance", type=float, default=5.0, metavar="PERCENT", help=help_text)
    _add_debug(comparing)


def run(args: argparse.Namespace) -> int:
    """Measure, or compare."""
    return _compare(args) if args.what == "compare" else _measure(args)


def _add_model(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("model", metavar="MODEL", help="a network's name; the folder of a run, or a model's file")
    add("--input-shape", type=input_shape, metavar="C,H,W", help="of an image, such as 1,28,28")
    add("--classes", type=positive, metavar="N", help="of a network given by name (default: 10)")
    add("--batch-size", type=positive, default=100, metavar="N", help="images at a time (default: 100)")


def _add_measuring(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    known = ",".join(peers.PEERS)
    add("--against", type=_words, default=(), metavar="LIST", help=f"compare side by side with {known}")
    help_text = "numbers of threads, such as 1,2 (default: 1 and what the library uses)"
    add("--threads", type=_counts, metavar="LIST", help=help_text)
    add("--filter", default="", metavar="TEXT", help="only rows whose name contains this")
    add("--seconds", type=_duration, metavar="X", help="to spend on each row (default: 0.5)")
    add("--quick", action="store_true", help="a twentieth of a second per row: for a first look")
    help_text = "measure the machine first, and say how near each row comes to what it allows"
    add("--roofline", action="store_true", help=help_text)
    add("--json", type=Path, metavar="FILE", help="write the results, for 'bench compare'")
    add("--html", type=Path, metavar="FILE", help="write a page with tables and the roofline")
    add("--plot", type=Path, metavar="FILE", help="draw the roofline (.png, .svg ...); needs matplotlib")


def _add_debug(parser: argparse.ArgumentParser) -> None:
    # Without a default: the one that may stand before the sub-command has it.
    parser.add_argument(
        "--debug",
        action="store_true",
        default=argparse.SUPPRESS,
        help="show where in the code an error came from",
    )


def _measure(args: argparse.Namespace) -> int:
    threads = args.threads or tuple(dict.fromkeys((1, get_num_threads())))
    _check_files(args)
    found, messages = peers.load_peers(args.against, args.what)
    for message in messages:
        print(f"cnn-core: {message}", file=sys.stderr)
    effort = QUICK if args.quick else Effort()
    if args.seconds is not None:
        effort = Effort(args.seconds, effort.least_turns)
    settings = suites.Settings(threads, tuple(found), effort, args.filter, _progress)
    title, rows = _rows(args, settings)
    results = Results(args.what, title, facts() | {"peers": {peer.name: peer.version for peer in found}})
    if args.roofline:
        for n in threads:
            results.rooflines[n] = measure_roofline(n, _ROOFLINE_SECONDS / len(threads))
    try:
        for row in rows:
            results.rows.append(row)
    except KeyboardInterrupt:
        _clear_progress()
        if results.rows:
            print(text(results), flush=True)
        raise
    _clear_progress()
    print(text(results), flush=True)
    _write_files(args, results)
    return 0


def _rows(args: argparse.Namespace, settings: suites.Settings) -> tuple[str, Iterator[Row]]:
    """The title and the rows, which are measured as they are taken."""
    if args.what == "kernels":
        return "kernels, float32", suites.run_kernels(settings)
    if args.what == "nets":
        return "networks, float32", suites.run_nets(settings)
    model, shape = find_model(args.model, args.input_shape, args.classes)
    shape = (args.batch_size, *shape)
    x = np.random.default_rng(0).standard_normal(shape).astype(model.dtype or np.float32)
    title = f"layers of {args.model}, {'x'.join(map(str, shape))}, {x.dtype}"
    return title, suites.run_layers(model, x, settings)


def _check_files(args: argparse.Namespace) -> None:
    """Raise what writing would raise, before minutes are spent on measuring."""
    for path in (args.json, args.html, args.plot):
        if path is not None and not path.parent.is_dir():
            raise FileNotFoundError(f"{path}: there is no folder {path.parent}")
        if path is not None and path.is_dir():
            raise IsADirectoryError(f"{path}: is a folder, not a file")
    if args.plot is not None:
        if not args.roofline or args.what == "nets":
            raise ValueError("--plot: draws what --roofline measures, of kernels or layers")
        from cnn_core.plots import new_figure

        known = new_figure(1, 1, "").canvas.get_supported_filetypes()
        if args.plot.suffix.lstrip(".").lower() not in known:
            raise ValueError(
                f"--plot: expects a name that ends in one of {', '.join(known)}, got {args.plot}"
            )


def _write_files(args: argparse.Namespace, results: Results) -> None:
    if args.json is not None:
        results.save(args.json)
    if args.html is not None:
        from cnn_core.bench.page import html

        write_atomically(args.html, html(results).encode())
    if args.plot is not None:
        from cnn_core.bench.picture import plot_roofline
        from cnn_core.plots import save

        save(plot_roofline(results), args.plot)


def _compare(args: argparse.Namespace) -> int:
    if not 0 <= args.tolerance < float("inf"):
        raise ValueError(f"--tolerance: expects percent from 0, got {args.tolerance:g}")
    before, after = Results.load(args.before), Results.load(args.after)
    comparison = compare.compare(before, after, args.tolerance / 100)
    print(compare.text(comparison))
    return 1 if comparison.is_worse else 0


def _progress(done: int, total: int, name: str) -> None:
    """Say on a terminal what is being measured."""
    if sys.stderr.isatty():
        print(f"\r\033[K{done}/{total} {name}"[:100], end="", file=sys.stderr, flush=True)


def _clear_progress() -> None:
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr, flush=True)


def _words(value: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in value.split(",") if word.strip())


def _counts(value: str) -> tuple[int, ...]:
    """Parse ``1,2``; argparse reports what it raises."""
    try:
        counts = tuple(dict.fromkeys(int(word) for word in value.split(",")))
    except ValueError:
        counts = ()
    if not counts or not all(1 <= count <= 256 for count in counts):
        raise argparse.ArgumentTypeError(f"expects numbers of threads such as 1,2, got {value!r}")
    return counts


def _duration(value: str) -> float:
    """Parse seconds; argparse reports what it raises."""
    number = float(value)
    if not 0 <= number <= 3600:
        raise argparse.ArgumentTypeError(f"expects seconds up to 3600, got {value}")
    return number
