#!/usr/bin/env bash
# A short training under valgrind: nothing that the library compiled reads what nobody wrote, reaches outside of a
# block of memory, or loses one. Fails on an error with one of its modules in the stack; those of Python and numpy
# alone are their own, so no suppressions are needed.
#
#   ci/valgrind.sh
#
# Takes some minutes, with the python on the PATH, in a checkout that is built. CNN_CORE_ISA says which instruction
# set, by default avx2 where the CPU has it: valgrind (as of 3.24) does not know AVX-512.
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON=${PYTHON:-python3}
if [ -z "${CNN_CORE_ISA:-}" ]; then
    CNN_CORE_ISA=baseline
    if grep -qw avx2 /proc/cpuinfo 2>/dev/null; then CNN_CORE_ISA=avx2; fi
fi
export CNN_CORE_ISA CNN_CORE_NUM_THREADS=2
export PYTHONMALLOC=malloc # Python's own allocator would hide small blocks
export PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"
log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT

valgrind --log-file="$log/%p" --num-callers=40 --leak-check=full --show-leak-kinds=definite \
    --errors-for-leak-kinds=definite \
    --track-origins=yes --fair-sched=yes "$PYTHON" tests/short_training.py
"$PYTHON" - "$log" <<'EOF'
import re, sys
from pathlib import Path

text = "\n".join(path.read_text() for path in Path(sys.argv[1]).iterdir())
blocks = re.split(r"\n==\d+== *\n", text)
ours = [block for block in blocks if re.search(r"==\s+(?:at|by) 0x.*/_kernels/", block)]
summary = re.findall(r"ERROR SUMMARY.*", text)
print(*ours, *summary, sep="\n\n")
print(f"{len(ours)} errors or leaks with the library's modules in the stack, of {len(blocks)} blocks of the log")
sys.exit(bool(ours) or not summary)
EOF
