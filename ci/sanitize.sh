#!/usr/bin/env bash
# Every test that is about kernels, the pool or what calls them, under a sanitizer of GCC, in one command:
#
#   ci/sanitize.sh address       accesses outside of arrays
#   ci/sanitize.sh undefined     shifts, overflows, misaligned accesses
#   ci/sanitize.sh thread        races between the pool's threads, and between those that call
#
# Each takes three to fifteen minutes on two cores.
# Builds a copy of the source for one instruction set (CNN_CORE_BUILD_ISA, default avx2) with the python on the
# PATH, which needs the packages of '.[test]'. Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

kind=${1:?which sanitizer: address, undefined or thread}
shift
skip="torch"
case $kind in
address) library=libasan.so ;;
undefined) library=libubsan.so ;;
thread) # which loses itself where a process with threads forks
    library=libtsan.so
    skip="torch or fork or child or multiprocessing or joblib" ;;
*)
    echo "unknown sanitizer $kind: address, undefined or thread" >&2
    exit 2
    ;;
esac

PYTHON=${PYTHON:-python3}
export CNN_CORE_BUILD_ISA=${CNN_CORE_BUILD_ISA:-avx2}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
git ls-files -z --cached --others --exclude-standard | xargs -0 tar --create --file - --null |
    tar --extract --directory "$work"
cd "$work"

CFLAGS="-fsanitize=$kind -fno-sanitize-recover=all -fno-omit-frame-pointer" LDFLAGS="-fsanitize=$kind" \
    CNN_CORE_DEBUG=1 "$PYTHON" setup.py --quiet build_ext --inplace

# Python itself is not instrumented and frees nothing at its end. Its own allocator would hide small arrays.
export LD_PRELOAD=$("${CC:-gcc}" -print-file-name=$library)
export ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 UBSAN_OPTIONS=print_stacktrace=1
export TSAN_OPTIONS=report_bugs=1:ignore_noninstrumented_modules=1:die_after_fork=0:allocator_may_return_null=1 PYTHONMALLOC=malloc
# No capture: what a sanitizer says as it ends the process would be lost.
"$PYTHON" -m pytest -q --capture=no -p no:cacheprovider -k "not ($skip)" tests/test_kernels.py tests/test_*_kernels.py \
    tests/test_functional.py tests/test_any_geometry.py tests/test_bad_input.py tests/test_layers.py \
    tests/test_losses.py tests/test_optim.py tests/test_objects.py tests/test_training.py tests/test_numbers.py \
    tests/test_fuzz_functions.py tests/test_fuzz_layers.py tests/test_runtime.py tests/test_processes.py \
    tests/test_interruptions.py tests/test_many_threads.py tests/test_inference_plan.py "$@"
