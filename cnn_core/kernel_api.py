"""For those who write kernels: what a package of them needs of the library, to be built and to run.

``kernel_api.pxd`` and ``vector_math.pxd`` are for its ``.pyx`` files, ``include/cnn_core/kernel_api.h`` for
C and C++; here is what its Python needs. docs/writing-a-kernel.md shows all of it at work, and
``cnn-core new-kernel`` writes a package that uses it.
"""

import os

from cnn_core._checks import as_real, same_shape
from cnn_core._kernels import isa_level, modules_in, runtime, usable_levels
from cnn_core._memory import empty
from cnn_core._threads import get_num_threads

__all__ = ["VERSION", "as_real", "empty", "get_include", "isa_level", "kernel_folder", "same_shape", "table"]

VERSION = runtime.KERNEL_API_VERSION
table = runtime.kernel_api  # the capsule that kernels take their functions from
get_num_threads()  # the table tells kernels what this has found


def get_include() -> str:
    """The folder for a compiler's include path, where ``cnn_core/kernel_api.h`` is."""
    return os.path.join(os.path.dirname(__file__), "include")


def kernel_folder(package_file: str) -> str:
    """The folder with a package's compiled modules for this process.

    A package of kernels that is built for several ISA levels has a folder of modules for each, and says which
    to import from in its ``__init__.py``::

        __path__.append(kernel_folder(__file__))

    Parameters
    ----------
    package_file : str
        The ``__file__`` of a package beside whose ``__init__.py`` are folders named ``baseline``, ``avx2`` or
        ``avx512``.

    Returns
    -------
    folder : str
        That of the level of the library's own kernels (`isa_level`; ``CNN_CORE_ISA`` overrides), or, where
        the package was not built for it, of the next one below.

    Raises
    ------
    ImportError
        If the package has no modules for any of these levels.
    """
    levels = usable_levels()
    for level in levels:
        folder = os.path.join(os.path.dirname(package_file), level)
        if modules_in(folder):
            return folder
    raise ImportError(
        f"{os.path.dirname(package_file)}: has no compiled kernels for {' or '.join(levels)}: build them "
        f"with 'pip install .' in the package's own folder"
    )
