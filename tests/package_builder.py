"""Building a package of kernels against the cnn_core under test, without an index, and running its code."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

import pytest


def needs_build_tools() -> None:
    """Skip where packages cannot be built."""
    missing = [name for name in ("pip", "Cython", "setuptools") if importlib.util.find_spec(name) is None]
    if missing:
        pytest.skip(f"building a package needs {' and '.join(missing)}")
    if int(importlib.metadata.version("setuptools").partition(".")[0]) < 77:
        pytest.skip("building a package needs setuptools 77 or later")
    compiler = (sysconfig.get_config_var("CC") or ("gcc" if os.name == "nt" else "cc")).split()[0]
    if shutil.which(compiler) is None:
        pytest.skip(f"building a package needs {compiler}")


def install(package: Path, site: Path, levels: Iterable[str]) -> Path:
    """Build a package for some ISA levels into a folder for modules, and return that."""
    needs_build_tools()
    options = ["--no-build-isolation", "--no-deps", "--no-index", "--quiet", "--target", str(site)]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", *options, str(package)],
        env=os.environ | {"CNN_CORE_BUILD_ISA": ",".join(levels)},
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return site


def python(site: Path, *arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess:
    """Run Python in a folder, with what was installed."""
    path = os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": path} | environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )


def run_its_tests(package: Path, site: Path) -> str:
    """Run the tests of a package, and return what they print."""
    done = python(site, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider", folder=package)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
