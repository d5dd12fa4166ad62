"""Where numbers stop being numbers: the first place in a training where a NaN or an infinity appears.

Inside ``with watch(...):`` every array that passes from one layer to the next is looked at::

    with cnn_core.debugging.watch(model, loss, optimizer):
        loss.forward(model.forward(x, training=True), t)
        model.backward(loss.backward())
        optimizer.update(model.params, model.grads)

``Trainer(..., debug=True)`` does it for a whole training. Results are the same bits as without; outside the
``with`` nothing is checked and nothing costs.
"""

from cnn_core.debugging.statistics import NonFiniteError, Statistics, check_examples
from cnn_core.debugging.watching import watch

__all__ = ["NonFiniteError", "Statistics", "check_examples", "watch"]
