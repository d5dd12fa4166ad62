"""Kernels compiled for the level avx2; chosen by cnn_core._kernels."""
