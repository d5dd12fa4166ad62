"""``cnn-core train``: a network, a data set, and a folder with the result."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnn_core import data
from cnn_core._threads import get_num_threads
from cnn_core.cli import _report, _run
from cnn_core.cli._options import (
    Options,
    add_data_options,
    add_threads_option,
    load_data,
    positive,
    use_threads,
)
from cnn_core.cli._recipes import DEFAULT_MODELS, recommended
from cnn_core.cli._run import RunConfig
from cnn_core.cli._settings import OPTIMIZERS, SCHEDULES, Settings
from cnn_core.data import Arrays, DataSet, Normalize
from cnn_core.layers import Sequential
from cnn_core.losses import CrossEntropyLoss
from cnn_core.models import MODELS
from cnn_core.training import Callback, Checkpoint, EarlyStopping, HistoryLogger, ProgressBar, Trainer

# Streams of random numbers that one seed gives to the parts of a training.
_WEIGHTS, _ORDER, _SPLIT = range(3)

# What a run fixes for good: --resume takes it from the run's config.json.
_FIXED = ("dataset", "model", "model_option", "out", *Settings.names())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Defaults depend on data set and network. Ctrl-C saves; --resume RUN goes on, and ends with the same "
        "bits as a training that was not interrupted."
    )
    add_network_options(parser)
    how = parser.add_argument_group("training")
    add = how.add_argument
    add("--epochs", type=int, metavar="N", help="passes over the training images")
    add("--lr", type=float, metavar="X", help="highest learning rate")
    add("--weight-decay", type=float, metavar="X", help="pull of the weights towards zero")
    add_recipe_options(how)
    add("--validation", type=float, metavar="SHARE", help="share of the training images to hold out")
    add("--patience", type=int, metavar="EPOCHS", help="stop when the validation loss stops falling")
    add("--seed", type=int, metavar="N", help="of all that is random (default: 0)")
    help_text = "stop at the first NaN or infinity and name the layer that made it (slower, same result)"
    add("--check-numbers", action="store_true", help=help_text)
    add_threads_option(how)

    files = parser.add_argument_group("files and output")
    add = files.add_argument
    add("--out", type=Path, metavar="DIR", help="folder of the run (default: a new one in runs/)")
    add("--resume", type=Path, metavar="RUN", help="continue the run in this folder")
    add("--checkpoint-steps", type=positive, metavar="N", help="save every N steps, and not only every epoch")
    add_data_options(files)
    add("--no-plot", action="store_true", help="draw no pictures")
    add("--quiet", action="store_true", help="print nothing but the result")


def add_network_options(parser: argparse.ArgumentParser) -> None:
    """Add what says which network learns what."""
    names = list(data.DATASETS)
    help_text = f"{', '.join(names)} (default: digits, which come with the package)"
    parser.add_argument("dataset", nargs="?", choices=names, metavar="DATASET", help=help_text)

    add = parser.add_argument_group("network").add_argument
    add("--model", choices=list(MODELS), metavar="NAME", help=", ".join(MODELS))
    help_text = "argument of the network's function, such as hidden=200; may be repeated"
    add("--model-option", action="append", metavar="NAME=VALUE", help=help_text)


def add_recipe_options(parser: Options) -> None:
    """Add the settings of a training that ``cnn-core search`` has, too."""
    add = parser.add_argument
    add("--batch-size", type=int, metavar="N", help="images per step")
    add("--optimizer", choices=list(OPTIMIZERS), metavar="NAME", help=", ".join(OPTIMIZERS))
    add("--schedule", choices=SCHEDULES, metavar="NAME", help=", ".join(SCHEDULES))
    add("--warmup", type=float, metavar="EPOCHS", help="epochs in which the learning rate rises first")
    add("--augment", metavar="LIST", help="such as shift=2,flip,crop=4,rotate=10, or none")
    add("--label-smoothing", type=float, metavar="X", help="share of each target spread over all classes")
    add("--clip-norm", type=float, metavar="X", help="largest norm of the gradients")


def run(args: argparse.Namespace) -> int:
    """Train, and leave the model, its history and pictures in a folder."""
    use_threads(args)
    if args.resume is None:
        name = args.dataset or "digits"
        config, parts = _plan(name, args, load_data(name, args))
    else:
        _refuse_changes(args)
        config = _run.read_config(args.resume)
        parts = prepare(load_data(config.dataset, args), config.settings, config.normalize)
    settings = config.settings
    model = config.build(np.random.default_rng([settings.seed, _WEIGHTS]))
    folder = args.resume or _run.create_folder(args.out, _name(config))
    trainer = make_trainer(model, config, len(parts.train), _callbacks(settings, folder, args))
    trainer.debug = args.check_numbers
    if args.resume is None:
        _run.write_config(folder, config)
    elif (folder / _run.CHECKPOINT).exists():  # if not, it was interrupted before there was one
        trainer.resume(folder / _run.CHECKPOINT)
    if not args.quiet:
        print(_describe(config, parts, model, folder), flush=True)
    try:
        watched = parts.test if parts.validation is None else parts.validation
        trainer.fit(parts.train, watched, epochs=settings.epochs, batch_size=settings.batch_size)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(f"interrupted; go on with: cnn-core train --resume {folder}") from None
    _finish(trainer, config, parts.test, folder, args)
    return 0


class Parts(NamedTuple):
    """The images of a run, normalised."""

    train: Arrays
    validation: Arrays | None
    test: Arrays
    normalize: Normalize


def _plan(name: str, args: argparse.Namespace, dataset: DataSet) -> tuple[RunConfig, Parts]:
    """Complete what was asked for with what is recommended."""
    model = args.model or DEFAULT_MODELS[name]
    asked = {key: getattr(args, key) for key in Settings.names()}
    settings = recommended(name, model, **asked)
    parts = prepare(dataset, settings)
    config = RunConfig(
        dataset=name,
        model=model,
        options=parse_options(args.model_option or []),
        input_shape=dataset.input_shape,
        class_names=dataset.class_names,
        normalize=parts.normalize,
        settings=settings,
    )
    return config, parts


def parse_options(texts: list[str]) -> dict[str, Any]:
    """``["hidden=200"]`` as ``{"hidden": 200}``; what is not JSON is a string."""
    options = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise ValueError(f"--model-option: expects NAME=VALUE, got {text!r}")
        try:
            options[name] = json.loads(value)
        except ValueError:
            options[name] = value
    return options


def prepare(dataset: DataSet, settings: Settings, normalize: Normalize | None = None) -> Parts:
    """Divide and normalise, in place: the arrays are nobody else's."""
    train, validation = dataset.train, None
    if share := settings.validation:
        rng = np.random.default_rng([settings.seed, _SPLIT])
        train, validation = data.split(train, [1 - share, share], stratify=True, rng=rng)
        if not len(train) or not len(validation):
            raise ValueError(f"validation: {share} of {len(dataset.train)} images leaves one part empty")
    normalize = normalize or Normalize.fit(train.x)
    for part in (train, validation, dataset.test):
        if part is not None:
            normalize(part.x, out=part.x)
    return Parts(train, validation, dataset.test, normalize)


def _callbacks(settings: Settings, folder: Path, args: argparse.Namespace) -> list[Callback]:
    callbacks: list[Callback] = [
        ProgressBar(enabled=not args.quiet),
        HistoryLogger(folder / "history.csv"),
        HistoryLogger(folder / "history.json"),
        Checkpoint(folder / _run.CHECKPOINT, every_steps=args.checkpoint_steps),
    ]
    if settings.patience is not None:
        callbacks.append(EarlyStopping(patience=settings.patience))
    return callbacks


def make_trainer(model: Sequential, config: RunConfig, examples: int, callbacks: list[Callback]) -> Trainer:
    """The trainer of a run, on so many examples."""
    settings, normalize = config.settings, config.normalize
    # Black, where it is one number after normalisation; else the mean.
    background = float(normalize(np.zeros((1, 1, 1, 1)))[0, 0, 0, 0]) if config.input_shape[0] == 1 else 0.0
    return Trainer(
        model,
        CrossEntropyLoss(label_smoothing=settings.label_smoothing),
        settings.make_optimizer(),
        schedule=settings.make_schedule(examples),
        callbacks=callbacks,
        clip_norm=settings.clip_norm,
        augment=settings.make_augmentation(background),
        seed=np.random.default_rng([settings.seed, _ORDER]),
    )


def _finish(
    trainer: Trainer, config: RunConfig, test: Arrays, folder: Path, args: argparse.Namespace
) -> None:
    """Save the model, measure it, draw the pictures, and say so."""
    trainer.model.save(folder / _run.MODEL, {_run.METADATA_KEY: config.to_json()})
    metrics = _report.measure(trainer.model, test)
    print(_report.result(metrics))
    if not args.no_plot:
        try:
            _report.draw_pictures(folder, trainer.history, trainer.model, config, metrics)
        except ImportError as error:
            print(f"cnn-core: no pictures: {error}", file=sys.stderr)
    if not args.quiet:
        print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")


def _refuse_changes(args: argparse.Namespace) -> None:
    """Raise ValueError if --resume comes with settings that would make it another training."""
    given = [name for name in _FIXED if getattr(args, name) is not None]
    if given:
        options = ", ".join(name if name == "dataset" else f"--{name.replace('_', '-')}" for name in given)
        raise ValueError(f"--resume continues the run as its {_run.CONFIG} says; leave out {options}")


def _name(config: RunConfig) -> str:
    return config.dataset if config.dataset == config.model else f"{config.dataset}-{config.model}"


def _describe(config: RunConfig, parts: Parts, model: Sequential, folder: Path) -> str:
    settings = config.settings
    shape = "x".join(map(str, config.input_shape))
    held_out = "" if parts.validation is None else f", {len(parts.validation):,} for validation"
    macs = model.macs((1, *config.input_shape))
    details = [
        f"{settings.optimizer} at {settings.lr:g}, {settings.schedule}",
        f"batches of {settings.batch_size}",
        *([] if settings.augment == "none" else [settings.augment]),
        f"seed {settings.seed}",
        f"{get_num_threads()} threads",
    ]
    return (
        f"data     {config.dataset}: {len(parts.train):,} images of {shape} for training{held_out}, "
        f"{len(parts.test):,} for testing\n"
        f"network  {config.model}: {model.num_parameters:,} parameters, {macs:,} multiply-adds an image\n"
        f"training {', '.join(details)}\n"
        f"folder   {folder}"
    )
