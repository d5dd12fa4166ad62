"""Options that several commands have."""

import argparse
from pathlib import Path

from cnn_core import data
from cnn_core._threads import set_num_threads

Options = argparse.ArgumentParser | argparse._ArgumentGroup


def add_data_options(parser: Options) -> None:
    """Add what says where data sets are."""
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        help="folder of data sets (default: CNN_CORE_DATA, else the user's cache)",
    )
    parser.add_argument("--no-download", action="store_true", help="do not fetch a data set that is missing")


def add_threads_option(parser: Options) -> None:
    """Add the number of threads."""
    parser.add_argument(
        "--threads", type=int, metavar="N", help="threads to compute with; results do not depend on it"
    )


def use_threads(args: argparse.Namespace) -> None:
    """Obey ``--threads``."""
    if args.threads is not None:
        set_num_threads(args.threads)


def load_data(name: str, args: argparse.Namespace) -> data.DataSet:
    """Load a data set, downloading it if need be and if allowed."""
    return data.DATASETS[name](root=args.data, download=not args.no_download)


def positive(text: str) -> int:
    """Parse a count; argparse reports what it raises."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expects a number from 1, got {text}")
    return number


def input_shape(text: str) -> tuple[int, ...]:
    """Parse ``1,28,28`` or ``1x28x28``; argparse reports what it raises."""
    sizes = tuple(int(size) for size in text.replace("x", ",").split(","))
    if len(sizes) != 3 or min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"expects channels,height,width such as 1,28,28, got {text!r}")
    return sizes
