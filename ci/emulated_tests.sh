#!/usr/bin/env bash
# The kernel tests on an emulated CPU, whose Python is the first argument; the others go to pytest. Started by
# cross_aarch64.sh and no_avx.sh.
#
# Emulation is some twenty times slower: of each function every third case, networks trained to the same bits on
# several threads, the layers, memory, threads, and the searches for wrong arguments.
set -euo pipefail
python=$1
shift
cd "$(dirname "$0")/.."

export CNN_CORE_NUM_THREADS=2
"$python" -c "
import platform, cnn_core
config = cnn_core.show_config(as_dict=True)
print(platform.machine(), 'numpy', config['numpy'], 'uses', config['isa_level'], 'of', config['isa_levels'])
assert config['isa_level'] == 'baseline' and config['isa_levels'] == ['baseline']"
"$python" tests/isa_check.py baseline
"$python" -m pytest -q -p no:cacheprovider tests/test_runtime.py tests/test_many_threads.py tests/test_layers.py \
    tests/test_numbers.py tests/test_activation_kernels.py tests/test_loss_kernels.py \
    tests/test_pooling_kernels.py tests/test_batch_norm_kernels.py tests/test_fuzz_functions.py "$@"
