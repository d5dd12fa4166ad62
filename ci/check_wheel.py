# /// script
# requires-python = ">=3.11"
# dependencies = ["lief"]
# ///
"""Check what a wheel promises: its size, its contents, what it links, and how long it takes to import.

    python ci/check_wheel.py wheelhouse/*.whl

Needs lief, to read what modules link on whatever platform. A wheel for another platform or Python is checked
without being imported. The exit code is 1 if anything does not hold.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

MOST_BYTES = 2_900_000  # docs/building.md has where they are
MOST_IMPORT_SECONDS = 0.010  # above numpy's
REPEATS = 15

NEEDED = (
    "cnn_core/py.typed",
    "cnn_core/_kernels/runtime.pyi",
    "cnn_core/kernel_api.pxd",
    "cnn_core/vector_math.pxd",
    "cnn_core/include/cnn_core/kernel_api.h",
    "cnn_core/templates/new-kernel/src/my_kernel.pyx",
    "cnn_core/data/digits.npz",
    "METADATA",
    "LICENSE",
)
_PRINT = "print(time.perf_counter() - t)"
UNWANTED = (".c", ".pyx", ".o", ".pyc")  # but for what cnn-core new-kernel writes
TEMPLATES = "cnn_core/templates/"
# The C library, its mathematics and its threads; on Linux also the loader; on Windows also Python, see below.
LIBRARIES = {
    "linux": ("libc.so", "libm.so", "libpthread.so", "ld-linux", "libc.musl-"),
    "macosx": ("/usr/lib/libsystem.",),
    "win": ("kernel32.dll", "msvcrt.dll", "ucrtbase.dll", "api-ms-win-crt-"),
}


def main() -> int:
    """Check the wheels of the command line and print what was found."""
    parser = argparse.ArgumentParser(description="Check wheels of cnn_core.")
    parser.add_argument("wheels", nargs="+", type=Path)
    parser.add_argument("--max-bytes", type=int, default=MOST_BYTES)
    parser.add_argument("--no-import", action="store_true", help="do not install and import the wheel")
    args = parser.parse_args()
    failures = 0
    for wheel in args.wheels:
        problems = [*check_size(wheel, args.max_bytes), *check_contents(wheel), *check_libraries(wheel)]
        if not args.no_import:
            problems += check_import(wheel)
        print(f"{wheel.name}: {'; '.join(problems) or 'ok'}")
        failures += bool(problems)
    return 1 if failures else 0


def check_size(wheel: Path, most: int) -> list[str]:
    """The size of the file, which is what people download."""
    size = wheel.stat().st_size
    print(f"{wheel.name}: {size / 1e6:.2f} MB")
    return [f"{size:,} bytes are more than {most:,}"] if size > most else []


def check_contents(wheel: Path) -> list[str]:
    """Whether all that users need is there, and nothing that they do not."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    problems = [f"lacks {end}" for end in NEEDED if not any(name.endswith(end) for name in names)]
    ours = [name for name in names if not name.startswith(TEMPLATES)]
    problems += [f"has {name}" for name in ours if name.endswith(UNWANTED)]
    tops = {name.split("/")[0] for name in names}
    strange = {top for top in tops if top != "cnn_core" and not top.endswith((".dist-info", ".libs"))}
    return problems + [f"has {top} beside the package" for top in sorted(strange)]


def check_libraries(wheel: Path) -> list[str]:
    """What the compiled modules link."""
    import lief

    abi, platform = wheel.stem.split("-")[-2:]
    allowed = next((names for system, names in LIBRARIES.items() if system in platform), ())
    if platform.startswith("win"):  # the DLL of one version of Python serves no other
        allowed += ("python3.dll" if abi == "abi3" else f"python{abi.removeprefix('cp')}.dll",)
    found: set[str] = set()
    with zipfile.ZipFile(wheel) as archive:
        modules = [name for name in archive.namelist() if name.endswith((".so", ".pyd"))]
        for name in modules:
            libraries = lief.parse(archive.read(name)).libraries
            found |= {str(getattr(library, "name", library)) for library in libraries}
    print(f"{wheel.name}: {len(modules)} modules link {', '.join(sorted(found))}")
    problems = [f"links {name}" for name in sorted(found) if not name.lower().startswith(allowed)]
    return problems if modules else ["has no compiled modules"]


def check_import(wheel: Path) -> list[str]:
    """Install the wheel into a fresh environment and time its import beside numpy's, alternating."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python")
        install = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", str(wheel)]
        done = subprocess.run(install, capture_output=True, text=True)
        if done.returncode:
            if "not a supported wheel" in done.stderr:
                print(f"{wheel.name}: is not for this machine, not imported")
                return []
            return [f"does not install: {done.stderr.strip()}"]
        seconds: dict[str, list[float]] = {"numpy": [], "numpy, cnn_core": []}
        for _ in range(REPEATS):
            for modules, times in seconds.items():
                code = f"import time; t = time.perf_counter(); import {modules}; " + _PRINT
                run = subprocess.run([python, "-I", "-c", code], capture_output=True, text=True, cwd=folder)
                if run.returncode:
                    return [f"does not import: {run.stderr.strip()}"]
                times.append(float(run.stdout))
    base, both = (statistics.median(times) for times in seconds.values())
    print(f"{wheel.name}: imports in {1000 * (both - base):.1f} ms above numpy's {1000 * base:.0f} ms")
    slow = both - base > MOST_IMPORT_SECONDS
    return [f"import takes more than {1000 * MOST_IMPORT_SECONDS:.0f} ms above numpy's"] if slow else []


if __name__ == "__main__":
    sys.exit(main())
