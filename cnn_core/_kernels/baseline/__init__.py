"""Kernels compiled for the level baseline; chosen by cnn_core._kernels."""
