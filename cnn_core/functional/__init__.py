"""Stateless functions with torch.nn.functional's names, arguments and values, on numpy arrays.

Each checks its arguments, allocates its result and calls one compiled kernel. The backward of
``f`` is ``f_backward``.
"""
