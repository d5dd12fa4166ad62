"""``cnn-core info``: the configuration of the library."""

import argparse
import json

from cnn_core._config import show_config


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")


def run(args: argparse.Namespace) -> int:
    """Print the configuration."""
    if args.json:
        print(json.dumps(show_config(as_dict=True), indent=1))
    else:
        show_config()
    return 0
