"""``cnn-core evaluate``: how good a trained network is."""

import argparse
import json
from pathlib import Path
from typing import Any

from cnn_core import data
from cnn_core.cli import _report
from cnn_core.cli._options import add_data_options, add_threads_option, load_data, positive, use_threads
from cnn_core.cli._run import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("model", type=Path, metavar="RUN_OR_MODEL", help="folder of a run, or a model's file")
    names = list(data.DATASETS)
    help_text = f"{', '.join(names)} (default: the one it was trained on)"
    parser.add_argument("dataset", nargs="?", choices=names, metavar="DATASET", help=help_text)
    parser.add_argument("--batch-size", type=positive, default=256, metavar="N", help="images at a time")
    parser.add_argument("--confusion", type=Path, metavar="PICTURE", help="draw the confusion matrix")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    add_threads_option(parser)
    add_data_options(parser)


def run(args: argparse.Namespace) -> int:
    """Print accuracy and loss on the test images, and how each class fared."""
    use_threads(args)
    model, config = load_model(args.model)
    dataset = load_data(args.dataset or config.dataset, args)
    if dataset.input_shape != config.input_shape or len(dataset.class_names) != len(config.class_names):
        raise ValueError(
            f"{args.model}: takes images of {config.input_shape} in {len(config.class_names)} classes, but "
            f"{dataset.name} has {dataset.input_shape} in {len(dataset.class_names)}"
        )
    test = dataset.test
    config.normalize(test.x, out=test.x)
    metrics = _report.measure(model, test, args.batch_size)
    if args.confusion is not None:
        _report.draw_confusion(metrics, config.model, dataset.name, dataset.class_names, args.confusion)
    if args.json:
        print(json.dumps({"dataset": dataset.name, "images": len(test)} | _plain(metrics), indent=1))
    else:
        print(f"{config.model} on {dataset.name}: {_report.result(metrics)}\n")
        print(_report.class_table(metrics["confusion_matrix"], dataset.class_names))
    return 0


def _plain(metrics: dict[str, Any]) -> dict[str, Any]:
    return {name: value.tolist() if hasattr(value, "tolist") else value for name, value in metrics.items()}
