"""Builds the Cython kernels; everything else about the package is in pyproject.toml.

Each ``src_pyx/*.pyx`` is compiled once per ISA level into ``cnn_core/_kernels/<level>/``, and
``src_pyx/runtime/runtime.pyx`` once for all.  A new kernel is a new file: nothing changes here.
docs/building.md has the figures behind the choices.

CNN_CORE_DEBUG=1             bounds checks in every kernel, little optimisation
CNN_CORE_BUILD_ISA=avx2,...  only these levels (the baseline suits every CPU)
"""

import os
import platform
import re
import sys
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
    "-DCYTHON_COMPRESS_STRINGS=0",  # wheels compress them better
    *(["-O1", "-g"] if DEBUG else ["-O3", "-g0"]),
    # No exception passes through C. (On Windows the system itself unwinds.)
    *([] if DEBUG or os.name == "nt" else ["-fno-unwind-tables", "-fno-asynchronous-unwind-tables"]),
]

# On Windows, wide vectors may lie unaligned on the stack, and yet GCC moves them as if they were aligned (its
# bug 54412). With this option the assembler takes the moves that work anywhere and are as fast.
ANYWHERE = ["-Wa,-muse-unaligned-vector-move"] if os.name == "nt" else []

if os.name == "nt":
    LINK_FLAGS = ["-static-libgcc"]  # setuptools strips
else:
    LINK_FLAGS = ["-Wl,-S,-x"] if sys.platform == "darwin" else ["-Wl,-s"]

LEVEL_FLAGS = {
    "baseline": [],
    "avx2": ["-march=x86-64-v3", *ANYWHERE],
    "avx512": ["-march=x86-64-v4", "-mprefer-vector-width=512", *ANYWHERE],
}

# With the stable ABI one wheel serves CPython 3.11 and all later ones. Free-threaded builds have none yet.
STABLE_ABI = not sysconfig.get_config_var("Py_GIL_DISABLED")

MACROS = [("Py_LIMITED_API", "0x030B0000")] if STABLE_ABI else []
if os.name == "nt":
    # Before 3.13, Python's headers took GCC on Windows for a 32-bit compiler. And MinGW's own printf, called
    # where the process is given up, would take 14 kB of each module.
    MACROS += [("MS_WIN64", ""), ("__USE_MINGW_ANSI_STDIO", "0")]

# These gain nothing from AVX-512, memory being what they wait for: there the AVX2 module serves.
AVX2_SUFFICES = {"batch_norm", "cross_entropy", "dropout", "im2col"}

# Most of a module is what Cython writes to take a call's arguments. It runs once per call, so it had better
# be small: GCC compiles a "cold" function for size. What the defs themselves say stays as fast as the loops.
ATTRIBUTES = {
    "cold": r"^static (?!CYTHON_INLINE)(?=[\w *]*\b(?:(?:__pyx_fuse_\d+)?__pyx_pw_|__Pyx_)\w+\()",
    "hot, noinline": r"^static (?=PyObject \*(?:__pyx_fuse_\d+)?__pyx_pf_\w+\()",
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
    # The machine that builds and the one that is built for: they differ when cross-compiling. (With macOS's
    # "universal2", flags must suit arm64 as well.)
    target = f"{platform.machine()} {sysconfig.get_platform()}".lower()
    is_x86_64 = ("x86_64" in target or "amd64" in target) and not re.search("arm64|aarch64|universal", target)
    return list(LEVEL_FLAGS) if is_x86_64 else ["baseline"]


def extension(name, source, level):
    """One compiled module, with the flags of its level."""
    module = Extension(
        name,
        [source],
        depends=HEADERS,
        include_dirs=["src_pyx/simd", "src_pyx/runtime", "cnn_core/include"],
        define_macros=MACROS,
        py_limited_api=STABLE_ABI,
        extra_compile_args=FLAGS + LEVEL_FLAGS[level],
        extra_link_args=[] if DEBUG else LINK_FLAGS,
    )
    if name == SHARED and not DEBUG:
        module.extra_compile_args.append("-Os")  # no loops at all
    module.level = level
    return module


def modules_of(level):
    """(level whose flags it has, source) of every kernel that this level uses."""
    for source in KERNELS:
        suffices = level == "avx512" and Path(source).stem in AVX2_SUFFICES
        yield "avx2" if suffices else level, source


def shrink_glue(path):
    """Give the functions of a C file that Cython wrote their attributes."""
    before = after = path.read_text()
    for attributes, functions in ATTRIBUTES.items():
        after = re.sub(functions, f"static __attribute__(({attributes})) ", after, flags=re.MULTILINE)
    if after != before:
        path.write_text(after)


class BuildKernels(build_ext):
    """One cythonize call per level: two modules over one .pyx need build folders of their own."""

    def get_libraries(self, module):
        """On Windows modules name the DLL of Python: with the stable ABI, the one for all versions."""
        if os.name == "nt" and STABLE_ABI:
            return [*module.libraries, "python3"]  # setuptools (84) would say python311
        return super().get_libraries(module)

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
                if not DEBUG and compiled.name != SHARED:
                    shrink_glue(Path(compiled.sources[0]))
        super().build_extensions()


setup(
    ext_modules=[
        extension(SHARED, "src_pyx/runtime/_cython_shared.c", "baseline"),
        extension(f"{PACKAGE}.runtime", "src_pyx/runtime/runtime.pyx", "baseline"),
        *(
            extension(f"{PACKAGE}.{level}.{Path(source).stem}", source, level)
            for level, source in dict.fromkeys(pair for asked in isa_levels() for pair in modules_of(asked))
        ),
    ],
    cmdclass={"build_ext": BuildKernels},
    options={
        "build": {"build_base": "build/debug" if DEBUG else "build/release"},
        **({"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE_ABI else {}),
        # The kernels use vector types of GCC and Clang, which Microsoft's compiler lacks.
        **({"build_ext": {"compiler": "mingw32"}} if os.name == "nt" else {}),
    },
)
