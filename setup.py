"""Builds the Cython kernels; everything else about the package is in pyproject.toml.

Each ``src_pyx/*.pyx`` is compiled once per ISA level into ``cnn_core/_kernels/<level>/``, and
``src_pyx/runtime/runtime.pyx`` once for all.  A new kernel is a new file: nothing changes here.

CNN_CORE_DEBUG=1             bounds checks in every kernel, little optimisation
CNN_CORE_BUILD_ISA=avx2,...  only these levels (the baseline suits every CPU)
"""

import os
import platform
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

DEBUG = os.environ.get("CNN_CORE_DEBUG", "") not in ("", "0")

DIRECTIVES = {
    "language_level": 3,
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "wraparound": False,
    "cdivision": True,
    "freethreading_compatible": True,
}

# Sums may not be reordered behind our back (they must not depend on the compiler's mood), but
# nobody reads errno or traps, and a * b + c may round once.
FLAGS = [
    "-std=gnu11",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-fvisibility=hidden",
    "-Wno-unused-function",
    *(["-O1", "-g"] if DEBUG else ["-O3", "-g0"]),
]

LEVEL_FLAGS = {
    "baseline": [],
    "avx2": ["-march=x86-64-v3"],
    "avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
}

PACKAGE = "cnn_core._kernels"
SHARED = f"{PACKAGE}._cython_shared"  # Cython's memoryview code, once instead of in each module
KERNELS = sorted(path.as_posix() for path in Path("src_pyx").glob("*.pyx"))
HEADERS = sorted(
    path.as_posix()
    for folder in ("src_pyx", "cnn_core")
    for path in Path(folder).rglob("*")
    if path.suffix in (".h", ".pxd")
)


def isa_levels():
    """The levels to build: those of the target's architecture, or those asked for."""
    asked = os.environ.get("CNN_CORE_BUILD_ISA")
    if asked:
        levels = asked.replace(",", " ").split()
        unknown = set(levels) - set(LEVEL_FLAGS)
        if unknown:
            raise SystemExit(f"CNN_CORE_BUILD_ISA: {sorted(unknown)} are not among {list(LEVEL_FLAGS)}")
        return levels
    # The machine that builds and the one that is built for: they differ when cross-compiling.
    target = f"{platform.machine()} {sysconfig.get_platform()}".lower()
    is_x86_64 = ("x86_64" in target or "amd64" in target) and not ("arm64" in target or "aarch64" in target)
    return list(LEVEL_FLAGS) if is_x86_64 else ["baseline"]


def extension(name, source, level):
    """One compiled module, with the flags of its level."""
    module = Extension(
        name,
        [source],
        depends=HEADERS,
        include_dirs=["src_pyx/simd", "src_pyx/runtime", "cnn_core/include"],
        extra_compile_args=FLAGS + LEVEL_FLAGS[level],
        extra_link_args=[] if DEBUG or os.name == "nt" else ["-Wl,-S"],
    )
    module.level = level
    return module


class BuildKernels(build_ext):
    """One cythonize call per level: two modules over one .pyx need build folders of their own."""

    def build_extensions(self):
        self.parallel = self.parallel or os.cpu_count()
        modules = {module.name: module for module in self.extensions}
        for level in {module.level: None for module in self.extensions}:
            for compiled in cythonize(
                [module for module in self.extensions if module.level == level],
                build_dir=f"{self.build_temp}/cython-{level}",
                include_path=["src_pyx", "."],
                compiler_directives=DIRECTIVES,
                shared_utility_qualified_name=SHARED,
            ):
                modules[compiled.name].sources = compiled.sources
        super().build_extensions()


setup(
    ext_modules=[
        extension(SHARED, "src_pyx/runtime/_cython_shared.c", "baseline"),
        extension(f"{PACKAGE}.runtime", "src_pyx/runtime/runtime.pyx", "baseline"),
        *(
            extension(f"{PACKAGE}.{level}.{Path(source).stem}", source, level)
            for level in isa_levels()
            for source in KERNELS
        ),
    ],
    cmdclass={"build_ext": BuildKernels},
    options={
        "build": {"build_base": "build/debug" if DEBUG else "build/release"},
        # The kernels use vector types of GCC and Clang, which Microsoft's compiler lacks.
        **({"build_ext": {"compiler": "mingw32"}} if os.name == "nt" else {}),
    },
)
