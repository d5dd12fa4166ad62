#!/usr/bin/env bash
# The baseline kernels on an emulated x86-64 CPU of 2008, which has no AVX, in one command:
#
#   ci/no_avx.sh [arguments to pytest]
#
# Needs qemu-x86_64-static (Debian's qemu-user-static), a Python (PYTHON, default python3) with the packages of
# '.[test]', and the kernels of all levels, which it builds in place. The library has to choose the baseline itself.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=$("${PYTHON:-python3}" -c "import sys; print(sys.executable)")
"$PYTHON" setup.py --quiet build_ext --inplace
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Tests start Python by the name that it was started with: so that is a script, too, and says where all belongs.
cat >"$work/python" <<SCRIPT
#!/bin/sh
export PYTHONHOME="$("$PYTHON" -c "import sys; print(sys.base_prefix)")"
export PYTHONPATH="\$PYTHONPATH:$("$PYTHON" -c "import site; print(site.getsitepackages()[0])")"
export OPENBLAS_NUM_THREADS=1
exec qemu-x86_64-static -cpu Nehalem -0 "$work/python" "$PYTHON" "\$@"
SCRIPT
chmod +x "$work/python"
unset CNN_CORE_ISA OPENBLAS_CORETYPE
ci/emulated_tests.sh "$work/python" "$@"
