"""``cnn-core search``: a learning rate and a weight decay for ``cnn-core train``."""

import argparse
import math
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnn_core import plots, search
from cnn_core._threads import get_num_threads
from cnn_core.cli import _run
from cnn_core.cli._options import add_data_options, add_threads_option, load_data, positive, use_threads
from cnn_core.cli._recipes import DEFAULT_MODELS, recommended
from cnn_core.cli._search import CONFIG, JOURNAL, PRUNERS, TRIALS, SearchConfig, ShortTraining
from cnn_core.cli.train import add_network_options, add_recipe_options, parse_options
from cnn_core.files import write_atomically
from cnn_core.search.result import short

# The search around the rate that is recommended, and the weight decays among which it is looked for.
_LR_BELOW, _LR_ABOVE = 100, 10
_WEIGHT_DECAY = (1e-8, 1e-2)
_SHORT = 5  # a trial has this part of the epochs of a training

# What a search fixes for good: --resume takes it from the folder's search.json.
_RECIPE = ("batch_size", "optimizer", "schedule", "warmup", "augment", "label_smoothing", "clip_norm")
_TRAINING = ("epochs", "validation", "seed", *_RECIPE)
_SEARCH = ("lr", "weight_decay", "examples", "keep", "pruner", "storage")
_FIXED = ("dataset", "model", "model_option", "out", *_TRAINING, *_SEARCH)

_TRIALS, _ROUNDS, _VALIDATION = 30, 3, 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Each round draws learning rates and weight decays at random on a log scale, trains for a few "
        "epochs, and judges by validation images, which are held out from the training images; the test "
        "images are not touched. The next round searches where the best trials of the last one were. Ctrl-C "
        "stops; --resume goes on. Several machines that run the same command with the same --storage share "
        "the trials."
    )
    add_network_options(parser)

    add = parser.add_argument_group("search").add_argument
    add("--trials", type=positive, metavar="N", help=f"of each round (default: {_TRIALS})")
    add("--rounds", type=positive, metavar="N", help=f"of narrowing (default: {_ROUNDS})")
    add(
        "--keep",
        type=int,
        metavar="N",
        help="trials whose range is searched next (default: a fifth, 5 at least)",
    )
    help_text = "range of learning rates (default: around what cnn-core train uses)"
    add("--lr", type=_pair, metavar="LOW,HIGH", help=help_text)
    help_text = f"range of weight decays (default: {_WEIGHT_DECAY[0]:g},{_WEIGHT_DECAY[1]:g})"
    add("--weight-decay", type=_pair, metavar="LOW,HIGH", help=help_text)
    add(
        "--pruner", choices=PRUNERS, metavar="NAME", help="median ends trials that lag behind (default: none)"
    )
    help_text = "processes that train at the same time and divide the threads (default: 1)"
    add("--workers", type=positive, default=1, metavar="N", help=help_text)

    how = parser.add_argument_group("training")
    add = how.add_argument
    help_text = f"passes over the training images (default: 1/{_SHORT} of cnn-core train's)"
    add("--epochs", type=int, metavar="N", help=help_text)
    add(
        "--examples", type=int, metavar="N", help="training images to use, validation included (default: all)"
    )
    help_text = f"share of the training images to judge by (default: {_VALIDATION})"
    add("--validation", type=float, metavar="SHARE", help=help_text)
    add_recipe_options(how)
    add("--seed", type=int, metavar="N", help="of all that is random (default: 0)")
    add_threads_option(how)

    files = parser.add_argument_group("files and output")
    add = files.add_argument
    add("--out", type=Path, metavar="DIR", help="folder of the search (default: a new one in runs/)")
    add("--resume", type=Path, metavar="RUN", help="continue the search in this folder")
    help_text = "URL of a database or path of a journal that machines share (default: a file in the folder)"
    add("--storage", metavar="URL", help=help_text)
    add_data_options(files)
    add("--no-plot", action="store_true", help="draw no pictures")
    add("--quiet", action="store_true", help="print nothing but the result")


def run(args: argparse.Namespace) -> int:
    """Search, and leave the trials and pictures in a folder."""
    use_threads(args)
    config = _plan(args) if args.resume is None else _read(args)
    load_data(config.dataset, args)  # downloads it if need be, before workers look for it
    train = ShortTraining(config, args.data)
    parts, run_config = train.prepare()
    model = run_config.build(rng=0)
    folder = args.resume or _run.create_folder(args.out, f"search-{config.dataset}-{config.model}")
    write_atomically(folder / CONFIG, config.to_json().encode())
    storage = config.storage or str(folder / JOURNAL)
    if not args.quiet:
        assert parts.validation is not None
        print(
            f"data     {config.dataset}: {len(parts.train):,} images for training, "
            f"{len(parts.validation):,} for validation\n"
            f"network  {config.model}: {model.num_parameters:,} parameters\n"
            f"search   {config.rounds} x {config.trials} trials of {config.settings.epochs} epochs, "
            f"{args.workers} at a time, {get_num_threads()} threads\n"
            f"storage  {config.name()} in {storage}\n"
            f"folder   {folder}",
            flush=True,
        )
    result = search.narrowing_search(
        train,
        config.space(),
        rounds=config.rounds,
        trials=config.trials,
        keep=config.keep,
        seed=config.settings.seed,
        storage=storage,
        name=config.name(),
        workers=args.workers,
        pruner=None if config.pruner == "none" else config.pruner,
        progress=not args.quiet,
    )
    result.to_csv(folder / TRIALS)
    if result.interrupted:
        raise KeyboardInterrupt(f"interrupted; go on with: cnn-core search --resume {folder}")
    if not args.no_plot:
        _draw(result, config, folder)
    _report(result, config, folder, args.quiet)
    return 0


def _plan(args: argparse.Namespace) -> SearchConfig:
    """Complete what was asked for with what suits the network."""
    dataset = args.dataset or "digits"
    model = args.model or DEFAULT_MODELS[dataset]
    usual = recommended(dataset, model, optimizer=args.optimizer)
    asked = {name: getattr(args, name) for name in _TRAINING}
    if asked["epochs"] is None:
        asked["epochs"] = max(1, usual.epochs // _SHORT)
    if asked["validation"] is None:
        asked["validation"] = _VALIDATION
    return SearchConfig(
        dataset=dataset,
        model=model,
        options=parse_options(args.model_option or []),
        settings=recommended(dataset, model, **asked),
        lr=args.lr or (usual.lr / _LR_BELOW, usual.lr * _LR_ABOVE),
        weight_decay=args.weight_decay or _WEIGHT_DECAY,
        examples=args.examples,
        trials=args.trials or _TRIALS,
        rounds=args.rounds or _ROUNDS,
        keep=args.keep,
        pruner=args.pruner or "none",
        storage=args.storage,
    )


def _read(args: argparse.Namespace) -> SearchConfig:
    """The search to be continued; more trials and rounds may be asked of it."""
    given = [name for name in _FIXED if getattr(args, name) is not None]
    if given:
        options = ", ".join(name if name == "dataset" else f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"--resume continues the search as its {CONFIG} says; leave out {options}")
    path = args.resume / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{args.resume}: is not the folder of a search: it has no {CONFIG}")
    config = SearchConfig.from_json(path.read_bytes(), str(path))
    return replace(config, trials=args.trials or config.trials, rounds=args.rounds or config.rounds)


def _draw(result: search.NarrowingResult, config: SearchConfig, folder: Path) -> None:
    """Draw the best curves of each round, and where the trials lie."""
    title = f"{config.model} network, {config.dataset} data"
    try:
        for i, part in enumerate(result.rounds, 1):
            figure = search.plot_trials(part, title=f"{title}: round {i}")
            plots.save(figure, folder / f"round-{i}.png")
        plots.save(search.plot_space(result, keep=config.keep, title=title), folder / "space.png")
    except ImportError as error:
        print(f"cnn-core: no pictures: {error}", file=sys.stderr)


def _report(result: search.NarrowingResult, config: SearchConfig, folder: Path, quiet: bool) -> None:
    """Say what was found, and how to train with it."""
    chosen = result.chosen()
    if not quiet:
        print(f"\n{result.rounds[-1].table(10)}\n")
        print(result.table())
        for name, parameter in result.rounds[0].space.items():
            if hint := _at_the_end(name, chosen[name], parameter):
                print(hint)
        print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}\n")
    found = ["--lr", short(chosen["lr"]), "--weight-decay", short(chosen["weight_decay"])]
    print(shlex.join(["cnn-core", "train", *config.train_options(), *found]))


def _at_the_end(name: str, value: float, parameter: Any) -> str | None:
    """What to say about a value in the last tenth of its range."""
    low, high = math.log(parameter.low), math.log(parameter.high)
    place = (math.log(value) - low) / max(high - low, 1e-9)
    if 0.1 <= place <= 0.9 or low == high:
        return None
    end = "lower" if place < 0.5 else "upper"
    option = f"--{name.replace('_', '-')}"
    return f"note: {name} {short(value)} is near the {end} end of {option}; beyond it may be better ones"


def _pair(text: str) -> tuple[float, float]:
    """Parse ``1e-6,1e-2``; argparse reports what it raises."""
    ends = tuple(float(end) for end in text.split(","))
    if len(ends) != 2:
        raise argparse.ArgumentTypeError(f"expects LOW,HIGH such as 1e-6,1e-2, got {text!r}")
    return ends
