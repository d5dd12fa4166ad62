"""Benchmarks: how fast kernels, layers and networks are, beside what the machine allows and beside others.

``cnn-core bench`` runs them; `profile` times the layers of a network of your own.
"""

from cnn_core.bench.profiler import LayerProfile, Profile, profile
from cnn_core.bench.roofline import Roofline, measure_roofline

__all__ = ["LayerProfile", "Profile", "Roofline", "measure_roofline", "profile"]
