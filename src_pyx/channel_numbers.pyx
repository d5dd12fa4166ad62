"""The few numbers of each channel around batch normalization, to double and back.

The kernels of batch_norm compute with doubles; parameters and statistics are of the dtype of the batch. On a
small batch, to convert them array by array in numpy takes longer than the batch does.

Contract, guaranteed by cnn_core.functional.normalization and not checked again here:

* arrays have the length C of a row of ``numbers``, which is (5, C); outputs do not overlap inputs.
"""

from libc.math cimport sqrt

from cnn_core.kernel_api cimport real

cdef enum:  # the rows of ``numbers``, forward
    WEIGHT, BIAS, MEAN, VAR, RSTD

cdef enum:  # and backward
    WEIGHT_, MEAN_, RSTD_, DWEIGHT, DBIAS


def begin(
    const real[::1] weight,        # IN   (C,)
    const real[::1] bias,          # IN   (C,) or None, for 0
    const real[::1] mean,          # IN   (C,) or None, for 0
    const real[::1] var,           # IN   (C,) or None, for 1
    double[:, ::1] numbers,        # OUT  (5, C): weight, bias, mean, var, rstd
    double eps,
):
    """Fill all rows; ``rstd = 1 / sqrt(var + eps)``."""
    cdef Py_ssize_t i
    for i in range(weight.shape[0]):
        numbers[WEIGHT, i] = weight[i]
        numbers[BIAS, i] = 0 if bias is None else bias[i]
        numbers[MEAN, i] = 0 if mean is None else mean[i]
        numbers[VAR, i] = 1 if var is None else var[i]
        numbers[RSTD, i] = 1 / sqrt(numbers[VAR, i] + eps)


def finish(
    const double[:, ::1] numbers,  # IN     (5, C): as from begin, with the statistics of the batch
    real[::1] mean,                # OUT    (C,)
    real[::1] rstd,                # OUT    (C,)
    real[::1] running_mean,        # INOUT  (C,) or None
    real[::1] running_var,         # INOUT  (C,) or None
    double momentum,
    double unbias,
):
    """Round the statistics, and move the running ones, if there are any, towards mean and unbias * var."""
    cdef Py_ssize_t i
    for i in range(mean.shape[0]):
        mean[i] = <real> numbers[MEAN, i]
        rstd[i] = <real> numbers[RSTD, i]
        if running_mean is not None:
            running_mean[i] = <real> ((1 - momentum) * running_mean[i] + momentum * numbers[MEAN, i])
            running_var[i] = <real> ((1 - momentum) * running_var[i] + momentum * (unbias * numbers[VAR, i]))


def begin_backward(
    const real[::1] weight,        # IN   (C,)
    const real[::1] mean,          # IN   (C,)
    const real[::1] rstd,          # IN   (C,)
    double[:, ::1] numbers,        # OUT  (5, C): weight, mean, rstd, dweight = 0, dbias = 0
):
    """Fill all rows."""
    cdef Py_ssize_t i
    for i in range(weight.shape[0]):
        numbers[WEIGHT_, i] = weight[i]
        numbers[MEAN_, i] = mean[i]
        numbers[RSTD_, i] = rstd[i]
        numbers[DWEIGHT, i] = numbers[DBIAS, i] = 0


def finish_backward(
    const double[:, ::1] numbers,  # IN   (5, C): as from begin_backward, with the gradients
    real[::1] dweight,             # OUT  (C,)
    real[::1] dbias,               # OUT  (C,)
):
    """Round the gradients."""
    cdef Py_ssize_t i
    for i in range(dweight.shape[0]):
        dweight[i] = <real> numbers[DWEIGHT, i]
        dbias[i] = <real> numbers[DBIAS, i]
