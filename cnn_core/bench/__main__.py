"""``python -m cnn_core.bench`` is ``cnn-core bench``."""

import sys

from cnn_core.cli import main

sys.exit(main(["bench", *sys.argv[1:]]))
