"""Small convolutional networks on the CPU: numpy in, numpy out, compiled kernels."""

from cnn_core._version import __version__

__all__ = ["__version__"]
