"""``cnn-core predict``: what pictures show."""

import argparse
import json
from pathlib import Path

import numpy as np

from cnn_core import functional as F
from cnn_core.cli._images import read_image
from cnn_core.cli._options import add_threads_option, positive, use_threads
from cnn_core.cli._report import percent
from cnn_core.cli._run import load_model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.epilog = (
        "Pictures are made grey or coloured and resized as the network needs. Networks trained on digits "
        "expect light ink on a dark ground: use --invert for dark ink on paper."
    )
    parser.add_argument("model", type=Path, metavar="MODEL", help="folder of a run, or a model's file")
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="IMAGE", help="PNG, JPEG, PGM ... (with Pillow), or .npy"
    )
    parser.add_argument("--invert", action="store_true", help="exchange light and dark first")
    parser.add_argument("--top", type=positive, default=3, metavar="N", help="how many classes to print")
    parser.add_argument("--json", action="store_true", help="print JSON, with all probabilities")
    add_threads_option(parser)


def run(args: argparse.Namespace) -> int:
    """Print the most probable classes of each picture."""
    use_threads(args)
    model, config = load_model(args.model)
    x = np.stack([read_image(path, config.input_shape) for path in args.images])
    if args.invert:
        x = 1 - x
    probabilities = F.softmax(model.forward(config.normalize(x)))
    order = np.argsort(-probabilities, axis=1, kind="stable")
    names = config.class_names
    if args.json:
        records = [
            {
                "image": str(path),
                "class": names[best[0]],
                "probabilities": {names[i]: float(row[i]) for i in range(len(names))},
            }
            for path, row, best in zip(args.images, probabilities, order, strict=True)
        ]
        print(json.dumps(records, indent=1))
        return 0
    width = max(len(str(path)) for path in args.images)
    for path, row, best in zip(args.images, probabilities, order, strict=True):
        guesses = "   ".join(f"{names[i]} {percent(row[i])}" for i in best[: args.top])
        print(f"{path!s:{width}}  {guesses}")
    return 0
