"""Kernels compiled for the level avx512; chosen by cnn_core._kernels."""
