#!/usr/bin/env bash
# The kernels for arm64, cross-compiled and tested under emulation, in one command on a Debian machine with x86-64:
#
#   ci/cross_aarch64.sh [FOLDER] [arguments to pytest]
#
# Needs Python 3.11 or later with Cython, setuptools and pip (PYTHON, default python3), and from Debian
#
#   dpkg --add-architecture arm64 && apt-get update
#   apt-get install gcc-aarch64-linux-gnu qemu-user-static
#
# Debian's Python for arm64 is unpacked into FOLDER (default build/aarch64), where a second run finds it, and is not
# installed; numpy and what the tests need come from the package index. Tests that start compilers are left out.
set -euo pipefail
cd "$(dirname "$0")/.."

mkdir -p "${1:-build/aarch64}"
work=$(cd "${1:-build/aarch64}" && pwd)
shift $(($# > 0))
root=$work/root
PYTHON=${PYTHON:-python3}

if [ ! -d "$root" ]; then
    mkdir -p "$work/debs"
    wanted="python3:arm64 libpython3-dev:arm64 libstdc++6:arm64" # the last for numpy
    packages=$(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances $wanted | grep -E '^[a-z0-9].*:arm64$' | sort -u)
    # What the scripts of packages need, and Python does not.
    packages=$(grep -vE '^(dpkg|tar|perl|libperl|debconf|gcc|install-info)' <<<"$packages")
    (cd "$work/debs" && apt-get download $packages)
    for package in "$work"/debs/*.deb; do
        dpkg-deb --extract "$package" "$root.part"
    done
    mv "$root.part" "$root"
fi
python=$(basename "$(readlink "$root/usr/bin/python3")")

if [ ! -d "$work/site" ]; then
    "$PYTHON" -m pip install --quiet --target "$work/site.part" --only-binary :all: --implementation cp \
        --python-version "${python#python}" --platform manylinux_2_28_aarch64 --platform manylinux_2_27_aarch64 \
        --platform manylinux2014_aarch64 numpy safetensors tqdm pytest hypothesis
    mv "$work/site.part" "$work/site"
fi

rm -rf "$work/source"
mkdir "$work/source"
git ls-files -z --cached --others --exclude-standard | xargs -0 tar --create --file - --null |
    tar --extract --directory "$work/source"
cd "$work/source"
CC="aarch64-linux-gnu-gcc -I$root/usr/include/$python -idirafter $root/usr/include" \
    LDSHARED="aarch64-linux-gnu-gcc -shared" _PYTHON_HOST_PLATFORM=linux-aarch64 \
    "$PYTHON" setup.py --quiet build_ext --inplace

# Tests start Python by the name that it was started with, so that is a script, too.
emulated=$work/python
cat >"$emulated" <<SCRIPT
#!/bin/sh
export PYTHONHOME="$root/usr" PYTHONPATH="$work/site:\$PYTHONPATH" OPENBLAS_NUM_THREADS=1
exec qemu-aarch64-static -L "$root" -0 "$emulated" "$root/usr/bin/$python" "\$@"
SCRIPT
chmod +x "$emulated"
export PYTHONPATH=$work/source PYTHONDONTWRITEBYTECODE=1
unset OPENBLAS_CORETYPE CNN_CORE_ISA
exec ci/emulated_tests.sh "$emulated" "$@"
