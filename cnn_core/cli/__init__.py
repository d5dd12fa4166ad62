"""The command ``cnn-core``: train, search, evaluate, predict, summary, book, bench, info, new-kernel."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from cnn_core._version import __version__

__all__ = ["main"]

_COMMANDS = {
    "train": "train a network on a data set",
    "search": "find a learning rate and a weight decay",
    "evaluate": "measure a trained network on test images",
    "predict": "say what pictures show",
    "summary": "print the layers of a network and what they cost",
    "book": "run the experiments of Deep Learning from Scratch",
    "bench": "measure how fast kernels, layers and networks are",
    "info": "print versions, instruction set, threads and folders",
    "new-kernel": "write a package with a compiled kernel and a layer, to begin your own with",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with the given arguments (by default those of the process) and return its exit code.

    0 is success, 1 that ``bench compare`` found something slower or ``book``
    something that does not hold, 2 an error in the arguments or in a file,
    130 an interruption by Ctrl-C.
    """
    try:
        words = sys.argv[1:] if argv is None else argv
        args = _parser(words).parse_args(words)
    except SystemExit as stop:  # argparse has printed help or what is wrong
        return stop.code if isinstance(stop.code, int) else 2
    try:
        code: int = args.run(args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt as error:
        print(f"\ncnn-core: {str(error) or 'interrupted'}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, TypeError, OSError, ImportError, FloatingPointError, MemoryError) as error:
        if args.debug:
            raise
        print(f"cnn-core: error: {_explain(error)}", file=sys.stderr)
        return 2


def _parser(words: Sequence[str]) -> argparse.ArgumentParser:
    """The parser; of the commands, only what is among ``words`` is imported and gets its options."""
    parser = argparse.ArgumentParser(
        prog="cnn-core", description="Train small convolutional networks on the CPU, and use them."
    )
    parser.add_argument("--version", action="version", version=f"cnn_core {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, purpose in _COMMANDS.items():
        command = commands.add_parser(name, help=purpose, description=f"{purpose[0].upper()}{purpose[1:]}.")
        command.add_argument("--debug", action="store_true", help="show where in the code an error came from")
        if name in words:
            module = importlib.import_module(f"cnn_core.cli.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _explain(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory: {error}"
    return str(error) or type(error).__name__
