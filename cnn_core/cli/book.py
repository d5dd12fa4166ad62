"""``cnn-core book``: the experiments of *Deep Learning from Scratch*, beside what it published."""

import argparse
import shutil
import sys
import time
from importlib.util import find_spec
from pathlib import Path

from cnn_core import plots
from cnn_core.book.experiments import EXPERIMENTS, Experiment, Report, Result, Run, find_images
from cnn_core.cli._options import add_data_options, add_threads_option, positive, use_threads
from cnn_core.data.folder import data_folder

_ALL = "all"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Without names it lists the experiments. The exit code is 1 if something that the book concludes "
        "does not hold on MNIST."
    )
    help_text = f"of experiments, or {_ALL!r} for all of them"
    parser.add_argument("names", nargs="*", metavar="NAME", help=help_text)
    help_text = "train less: all experiments in about two minutes"
    parser.add_argument("--quick", action="store_true", help=help_text)
    help_text = "how often to repeat experiments on small networks (default: 3; 1 with --quick)"
    parser.add_argument("--seeds", type=positive, metavar="N", help=help_text)
    help_text = "folder for pictures, numbers and the page (default: runs/book)"
    parser.add_argument("--out", type=Path, default=Path("runs/book"), metavar="DIR", help=help_text)
    add_data_options(parser)
    add_threads_option(parser)
    parser.add_argument("--quiet", action="store_true", help="print only the table")


def run(args: argparse.Namespace) -> int:
    """List the experiments, or run some of them."""
    if not args.names:
        print(_listing())
        return 0
    chosen = _chosen(args.names)
    plots.new_figure(1, 1, "")  # says at once if matplotlib is missing
    use_threads(args)
    seeds = args.seeds or (1 if args.quick else 3)
    images, why = find_images(args.data, not args.no_download)
    if why is not None:
        print(f"cnn-core: {why}\nThe digits of the package stand in for MNIST.", file=sys.stderr)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "weights").mkdir(exist_ok=True)
    settings = Run(
        images,
        args.out,
        range(seeds),
        args.quick,
        show_progress=not args.quiet and sys.stderr.isatty(),
        weights_of_book=data_folder(args.data) / "book",
    )
    report = Report(args.out, _about(settings))
    for number, experiment in enumerate(chosen, 1):
        if not args.quiet:
            print(f"[{number}/{len(chosen)}] {experiment.name}: {experiment.title}", flush=True)
        start = time.perf_counter()
        outcome = experiment.run(settings)
        result = Result(experiment, outcome, time.perf_counter() - start, settings.on_mnist)
        report.add(result)
        if not args.quiet:
            print(f"      {result.verdict}, {result.seconds:.1f} s", flush=True)
    print(f"\n{report.table(shutil.get_terminal_size((140, 24)).columns)}\n\nsaved {report.page}")
    return 0 if not settings.on_mnist or all(result.reproduced for result in report.results) else 1


def _listing() -> str:
    width = max(map(len, EXPERIMENTS))
    lines = [f"{'name':{width}}  section  experiment"]
    lines += [f"{name:{width}}  {about.section:7}  {about.title}" for name, about in EXPERIMENTS.items()]
    return "\n".join(lines) + "\n\nRun some of them with: cnn-core book NAME ..., or all: cnn-core book all"


def _chosen(names: list[str]) -> list[Experiment]:
    unknown = [name for name in names if name not in EXPERIMENTS and name != _ALL]
    if unknown:
        raise ValueError(f"no experiment is called {', '.join(unknown)}; there are: {', '.join(EXPERIMENTS)}")
    chosen = [about for name, about in EXPERIMENTS.items() if name in names or _ALL in names]
    missing = [about for about in chosen if about.requires and find_spec(about.requires) is None]
    for about in missing:
        message = f"{about.name} needs {about.requires}: pip install 'cnn_core[search]'"
        if about.name in names:
            raise ImportError(message)
        print(f"cnn-core: left out: {message}", file=sys.stderr)
    return [about for about in chosen if about not in missing]


def _about(settings: Run) -> list[str]:
    images = settings.images
    sort = "MNIST" if settings.on_mnist else "the package's 8x8 digits, in place of MNIST"
    lines = [
        f"Images: {sort}, {len(images.x_train):,} to learn from, {len(images.x_test):,} to be tested on."
    ]
    if settings.quick:
        lines.append("A quick run: networks were trained for a part of the book's steps.")
    if len(settings.seeds) > 1:
        lines.append(f"Small networks: {len(settings.seeds)} seeds; shades show the range of their curves.")
    return lines
