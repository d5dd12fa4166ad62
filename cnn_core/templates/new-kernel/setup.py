"""Builds the kernels, once for each ISA level; everything else about the package is in pyproject.toml.

Every ``src/*.pyx`` becomes a module of each folder in ``my_kernel/_kernels/``.  A new one is a new file.

CNN_CORE_BUILD_ISA=avx2,...  only these levels (the baseline suits every CPU)
"""

import os
import platform
import sysconfig
from pathlib import Path

import cnn_core
from Cython.Build import cythonize
from setuptools import Extension, setup

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": False,
    "initializedcheck": False,
    "wraparound": False,
    "cdivision": True,
    "freethreading_compatible": True,
}

# For GCC and Clang. Sums are not reordered, so that results do not depend on the compiler's mood; but nobody
# reads errno or traps, so that loops with branches and exponentials become vector instructions.
FLAGS = ["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fvisibility=hidden"]
# On Windows, wide vectors may lie unaligned on the stack. GCC forgets it (bug 54412); the assembler helps.
ANYWHERE = ["-Wa,-muse-unaligned-vector-move"] if os.name == "nt" else []
LEVEL_FLAGS = {
    "baseline": [],
    "avx2": ["-march=x86-64-v3", *ANYWHERE],
    "avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512", *ANYWHERE],
}


def isa_levels():
    """The levels to build: those of this architecture, or those asked for."""
    asked = os.environ.get("CNN_CORE_BUILD_ISA", "").replace(",", " ").split()
    is_x86_64 = platform.machine().lower() in ("x86_64", "amd64")
    for_all = "universal" in sysconfig.get_platform()  # on macOS: for arm64, too
    return asked or (list(LEVEL_FLAGS) if is_x86_64 and not for_all else ["baseline"])


def modules(level):
    """All kernels for one level, from C files of their own: one .pyx makes several modules."""
    Path("src/my_kernel/_kernels", level).mkdir(exist_ok=True)  # where an editable install puts them
    return cythonize(
        [
            Extension(
                f"my_kernel._kernels.{level}.{source.stem}",
                [source.as_posix()],
                include_dirs=[cnn_core.get_include()],
                # Before 3.13, Python's headers took GCC on Windows for a 32-bit compiler.
                define_macros=[("MS_WIN64", "")] if os.name == "nt" else [],
                extra_compile_args=FLAGS + LEVEL_FLAGS[level],
            )
            for source in sorted(Path("src").glob("*.pyx"))
        ],
        build_dir=f"build/cython-{level}",
        include_path=[str(Path(cnn_core.__file__).parents[1])],  # where cnn_core/kernel_api.pxd is
        compiler_directives=DIRECTIVES,
    )


setup(
    ext_modules=[module for level in isa_levels() for module in modules(level)],
    # On Windows, GCC: cnn_core is built with it, too.
    options={"build_ext": {"compiler": "mingw32"}} if os.name == "nt" else {},
)
