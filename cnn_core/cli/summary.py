"""``cnn-core summary``: the layers of a network and what they cost."""

import argparse

from cnn_core.cli._options import input_shape, positive
from cnn_core.cli._run import find_model
from cnn_core.models import MODELS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    names = ", ".join(MODELS)
    parser.add_argument("model", metavar="MODEL", help=f"{names}; the folder of a run, or a model's file")
    add = parser.add_argument
    add("--input-shape", type=input_shape, metavar="C,H,W", help="of an image, such as 1,28,28")
    add("--classes", type=positive, metavar="N", help="of a network given by name (default: 10)")
    add("--batch-size", type=positive, default=1, metavar="N", help="images at a time (default: 1)")


def run(args: argparse.Namespace) -> int:
    """Print the table."""
    model, shape = find_model(args.model, args.input_shape, args.classes)
    print(model.summary((args.batch_size, *shape)))
    return 0
