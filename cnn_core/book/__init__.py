"""The interface of the book *Deep Learning from Scratch* (K. Saito) over the kernels of cnn_core.

A script of the book runs with its imports changed and nothing else::

    from dataset.mnist import load_mnist      ->  from cnn_core.book.mnist import load_mnist
    from common.layers import *               ->  from cnn_core.book.layers import *
    from common.optimizer import SGD, Adam    ->  from cnn_core.book.optimizer import SGD, Adam
    from simple_convnet import SimpleConvNet  ->  from cnn_core.book.simple_convnet import SimpleConvNet

Names, signatures, quirks and numbers (in float64) are the book's; its bugs are fixed. The page
``docs/from-the-book.md`` lists what the book does, what is done here, and the test that holds it.

Two things hold throughout. Arrays get the dtype that numpy's promotion gives them: float64 parameters (the
book's) compute in float64, float32 parameters with float32 images compute in float32. Randomness comes from
the keyword ``rng`` at the end of a constructor: a ``numpy.random.Generator``, an integer seed, or None for a
fresh, unpredictable generator. ``numpy.random.seed`` has no effect here.
"""
