"""The compiled kernels, at the ISA level that cnn_core chose (CNN_CORE_ISA overrides)."""

from cnn_core.kernel_api import kernel_folder

__path__.append(kernel_folder(__file__))
