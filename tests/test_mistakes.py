"""The mistakes of every beginner: each message names the layer, both shapes, and what to do.

The table is also the list of what messages should look like. A message that changes is changed here.
"""

import numpy as np
import pytest

from cnn_core import functional as F
from cnn_core.book.layers import Affine, Convolution, Pooling, SoftmaxWithLoss
from cnn_core.layers import (
    BatchNorm1d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Flatten,
    Layer,
    Linear,
    MaxPool2d,
    ReLU,
    Residual,
    Sequential,
)
from cnn_core.losses import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from cnn_core.optim import SGD
from cnn_core.training import Trainer


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def network():
    return Sequential(Conv2d(1, 4, 3), ReLU(), MaxPool2d(2), Flatten(), Linear(676, 10))


def trained(*shape, backward):
    model = network()
    model.forward(zeros(2, 1, 28, 28), training=True)
    model.backward(backward)


def loss(y, t, kind=CrossEntropyLoss):
    kind().forward(y, t)


def fit(x=None, t=None, validation=None, model=None, loss=None, optimizer=None):
    """Train for an epoch on good data, except for what is given."""
    good = zeros(10, 1, 28, 28), np.arange(10)
    train = (good[0] if x is None else x), (good[1] if t is None else t)
    trainer = Trainer(model or network(), loss or CrossEntropyLoss(), optimizer or SGD(0.1))
    trainer.fit(train, validation, epochs=1)


def backward_of(layer, x, dout):
    layer.forward(x)
    layer.backward(dout)


class WithoutSuper(Layer):
    def __init__(self):
        self.scale = 2


class WithoutBackward(Layer):
    def forward(self, x, training=False):
        return x


class Halves(Layer):
    def forward(self, x, training=False):
        return x[:, ::2]


NET = network()
LABELS = np.arange(3)

MISTAKES = {
    # images --------------------------------------------------------------------------------------------
    "no batch axis": (
        lambda: NET(zeros(1, 28, 28)),
        'Conv2d "0": expects a batch (N, C, H, W), got shape (1, 28, 28); add the batch axis: x[np.newaxis]',
    ),
    "no channel axis": (
        lambda: NET(zeros(64, 28, 28)),
        'Conv2d "0": expects a batch (N, C, H, W), got shape (64, 28, 28); add the channel axis: '
        "x[:, np.newaxis]",
    ),
    "either may be missing": (
        lambda: Conv2d(3, 4, 3)(zeros(64, 28, 28)),
        "Conv2d: expects a batch (N, C, H, W), got shape (64, 28, 28); add the batch axis: "
        "x[np.newaxis] if it is one image, or the channel axis if they are gray: x[:, np.newaxis]",
    ),
    "neither batch nor channels": (
        lambda: NET(zeros(28, 28)),
        'Conv2d "0": expects a batch (N, C, H, W), got shape (28, 28); one gray image (H, W) becomes '
        "a batch with x[np.newaxis, np.newaxis]",
    ),
    "flat images": (
        lambda: NET(zeros(64, 784)),
        'Conv2d "0": expects a batch (N, C, H, W), got shape (64, 784); make images of flat rows: '
        "x.reshape(-1, 1, 28, 28)",
    ),
    "flat images of three channels": (
        lambda: Conv2d(3, 4, 3)(zeros(64, 3072)),
        "Conv2d: expects a batch (N, C, H, W), got shape (64, 3072); make images of flat rows: "
        "x.reshape(-1, 3, 32, 32)",
    ),
    "gray images, channels last": (
        lambda: NET(zeros(64, 28, 28, 1)),
        'Conv2d "0": expects 1 channels, got 28 in (64, 28, 28, 1); put channels first: '
        "x.transpose(0, 3, 1, 2)",
    ),
    "images, channels last": (
        lambda: Sequential(Conv2d(3, 4, 3))(zeros(64, 32, 32, 3)),
        'Conv2d "0": expects 3 channels, got 32 in (64, 32, 32, 3); put channels first: '
        "x.transpose(0, 3, 1, 2)",
    ),
    "images, channels last, normalised first": (
        lambda: Sequential(BatchNorm2d(3), Conv2d(3, 4, 3))(zeros(64, 32, 32, 3)),
        'BatchNorm2d "0": expects 3 channels, got 32 in (64, 32, 32, 3); put channels first: '
        "x.transpose(0, 3, 1, 2)",
    ),
    "one image, channels last": (
        lambda: Conv2d(3, 4, 3)(zeros(32, 32, 3)),
        "Conv2d: expects a batch (N, C, H, W), got shape (32, 32, 3); put channels first and add the "
        "batch axis: x.transpose(2, 0, 1)[np.newaxis]",
    ),
    "gray images for a network of colours": (
        lambda: Sequential(Conv2d(3, 4, 3))(zeros(2, 1, 28, 28)),
        'Conv2d "0": expects 3 channels, got 1 in (2, 1, 28, 28); repeat gray images: x.repeat(3, '
        "axis=1), or make the layer for 1 channel",
    ),
    "pixels as they come from a file": (
        lambda: NET(zeros(2, 1, 28, 28, dtype=np.uint8)),
        "Sequential: expects float32 or float64, got uint8; convert the input, to 0 ... 1 if it is "
        "pixels: x.astype(np.float32) / 255",
    ),
    "integers": (
        lambda: NET(zeros(2, 1, 28, 28, dtype=np.int64)),
        "Sequential: expects float32 or float64, got int64; convert the input: x.astype(np.float32)",
    ),
    "float64": (
        lambda: NET(zeros(2, 1, 28, 28, dtype=np.float64)),
        "Sequential: has float32 parameters, got a float64 input; convert the input: "
        "x.astype(np.float32), or the network: model = model.astype(np.float64)",
    ),
    "half precision": (
        lambda: NET(zeros(2, 1, 28, 28, dtype=np.float16)),
        "Sequential: expects float32 or float64, got float16; convert the input: x.astype(np.float32)",
    ),
    "a list": (
        lambda: NET([[0.0, 1.0]]),
        "Sequential: expects a numpy array, got list; convert it: np.asarray(x, np.float32)",
    ),
    # networks ------------------------------------------------------------------------------------------
    "no Flatten": (
        lambda: Sequential(Conv2d(1, 4, 3), ReLU(), Linear(2704, 10))(zeros(2, 1, 28, 28)),
        'Linear "2": expects 2704 inputs, got 26 on the last axis of (2, 4, 26, 26); put Flatten() before it',
    ),
    "no Flatten at the start": (
        lambda: Sequential(Linear(784, 10))(zeros(2, 1, 28, 28)),
        'Linear "0": expects 784 inputs, got 28 on the last axis of (2, 1, 28, 28); put Flatten() before it',
    ),
    "images of another size": (
        lambda: NET(zeros(2, 1, 32, 32)),
        'Linear "4": expects 676 inputs, got 900 = (4, 15, 15): MaxPool2d "2" gave 15 = (30 + 2*0 - '
        "2)//2 + 1",
    ),
    "inputs miscounted": (
        lambda: Sequential(Sequential(Conv2d(1, 4, 3), ReLU(), MaxPool2d(2)), Flatten(), Linear(784, 10))(
            zeros(2, 1, 28, 28)
        ),
        'Linear "2": expects 784 inputs, got 676 = (4, 13, 13): MaxPool2d "0.2" gave 13 = (26 + 2*0 '
        "- 2)//2 + 1",
    ),
    "channels forgotten in a Linear": (
        lambda: Sequential(Conv2d(1, 4, 3), MaxPool2d(2), Flatten(), Linear(1352, 10))(zeros(2, 1, 28, 28)),
        'Linear "3": expects 1352 inputs, got 676 = (4, 13, 13): Conv2d "0" gave 4 channels',
    ),
    "channels after Concat in a Linear": (
        lambda: Sequential(Concat(Conv2d(1, 4, 1), Conv2d(1, 2, 1)), Flatten(), Linear(256, 10))(
            zeros(1, 1, 8, 8)
        ),
        'Linear "2": expects 256 inputs, got 384 = (6, 8, 8): Concat "0" gave 6 = 4 + 2 channels',
    ),
    "channels miscounted": (
        lambda: Sequential(Conv2d(1, 4, 3), ReLU(), Conv2d(8, 4, 3))(zeros(2, 1, 28, 28)),
        'Conv2d "2": expects 8 channels, got 4: Conv2d "0" gave 4 channels',
    ),
    "channels of a normalisation": (
        lambda: Sequential(Conv2d(1, 16, 3), BatchNorm2d(8))(zeros(2, 1, 28, 28)),
        'BatchNorm2d "1": expects 8 channels, got 16: Conv2d "0" gave 16 channels',
    ),
    "normalisation of vectors for images": (
        lambda: Sequential(Conv2d(1, 16, 3), BatchNorm1d(16))(zeros(2, 1, 28, 28)),
        'BatchNorm1d "1": expects a batch (N, C) or (N, C, L), got shape (2, 16, 26, 26); images are '
        "for BatchNorm2d",
    ),
    "normalisation of images after Flatten": (
        lambda: Sequential(Conv2d(1, 4, 3), Flatten(), BatchNorm2d(4))(zeros(2, 1, 28, 28)),
        'BatchNorm2d "2": expects a batch (N, C, H, W), got shape (2, 2704): Flatten "1" made (2, '
        "2704) of (2, 4, 26, 26)",
    ),
    "convolution after Flatten": (
        lambda: Sequential(Flatten(), Conv2d(1, 4, 3))(zeros(2, 1, 28, 28)),
        'Conv2d "1": expects a batch (N, C, H, W), got shape (2, 784): Flatten "0" made (2, 784) of '
        "(2, 1, 28, 28)",
    ),
    "convolution after Linear": (
        lambda: Sequential(Flatten(), Linear(784, 64), ReLU(), Conv2d(1, 4, 3))(zeros(2, 1, 28, 28)),
        'Conv2d "3": expects a batch (N, C, H, W), got shape (2, 64): Flatten "0" made (2, 784) of '
        "(2, 1, 28, 28)",
    ),
    "too many poolings": (
        lambda: Sequential(*[MaxPool2d(2) for _ in range(5)])(zeros(2, 1, 28, 28)),
        'MaxPool2d "4": kernel 2 is larger than the padded input 1 = 1 + 2*0: use larger images, a '
        'smaller kernel or more padding: MaxPool2d "3" gave 1 = (3 + 2*0 - 2)//2 + 1; on the way: 28 '
        "-> 14 -> 7 -> 3 -> 1",
    ),
    "a batch of one": (
        lambda: Sequential(Linear(4, 4), BatchNorm1d(4))(zeros(1, 4), training=True),
        'BatchNorm1d "1": training needs more than one value per channel, got shape (1, 4); use '
        "larger batches (Trainer.fit leaves a small last one out with drop_last=True)",
    ),
    "a residual that adds channels": (
        lambda: Sequential(Conv2d(1, 4, 3), Residual(Sequential(Conv2d(4, 8, 3, padding=1), ReLU())))(
            zeros(2, 1, 28, 28)
        ),
        'Residual "1": cannot add, the body gives (2, 8, 26, 26) and the input has (2, 4, 26, 26): '
        'Conv2d "1.body.0" gave 8 channels; add a shortcut: Conv2d(4, 8, 1)',
    ),
    "a residual that strides": (
        lambda: Sequential(Residual(Conv2d(4, 8, 3, 2, padding=1)))(zeros(2, 4, 28, 28)),
        'Residual "0": cannot add, the body gives (2, 8, 14, 14) and the input has (2, 4, 28, 28): '
        'Conv2d "0.body" gave 8 channels; add a shortcut: Conv2d(4, 8, 1, stride=2)',
    ),
    "a residual without padding": (
        lambda: Sequential(Residual(Conv2d(4, 4, 3)))(zeros(2, 4, 28, 28)),
        'Residual "0": cannot add, the body gives (2, 4, 26, 26) and the input has (2, 4, 28, 28): '
        'Conv2d "0.body" gave 26 = (28 + 2*0 - 3)//1 + 1; keep the size in the body, with '
        'padding="same"',
    ),
    "a residual of vectors": (
        lambda: Sequential(Residual(Linear(8, 4)))(zeros(2, 8)),
        'Residual "0": cannot add, the body gives (2, 4) and the input has (2, 8): Linear "0.body" '
        "gave 4 outputs; add a shortcut, such as Linear(8, 4)",
    ),
    "a residual with Flatten": (
        lambda: Sequential(Residual(Sequential(Flatten(), Linear(784, 10))))(zeros(2, 1, 28, 28)),
        'Residual "0": cannot add, the body gives (2, 10) and the input has (2, 1, 28, 28): Flatten '
        '"0.body.0" made (2, 784) of (2, 1, 28, 28); keep the number of axes in the body',
    ),
    "branches of different sizes": (
        lambda: Sequential(Concat(Sequential(Conv2d(1, 4, 3), ReLU()), MaxPool2d(3, 1, 1)))(
            zeros(2, 1, 28, 28)
        ),
        'Concat "0": branches must agree on all axes but the channels: "0" gives (2, 4, 26, 26), "1" '
        'gives (2, 1, 28, 28): Conv2d "0.0.0" gave 26 = (28 + 2*0 - 3)//1 + 1; padding="same" keeps '
        "the size",
    ),
    "a list of layers": (
        lambda: Sequential([Conv2d(1, 4, 3), ReLU()]),
        'Sequential: "0" must be a layer, got a list; hand over what is in it: Sequential(*layers)',
    ),
    "a class for a layer": (
        lambda: Sequential(Conv2d(1, 4, 3), ReLU),
        'Sequential: "1" must be a layer, got the class ReLU; make an object of it: ReLU(...)',
    ),
    "a function for a layer": (
        lambda: Sequential(Conv2d(1, 4, 3), F.relu),
        'Sequential: "1" must be a layer, got the function relu; put it into a subclass of Layer, or '
        "use the layer of this name",
    ),
    "two types": (
        lambda: Sequential(Conv2d(1, 4, 3), Conv2d(4, 4, 3, dtype=np.float64)),
        'Sequential: "0" has float32 parameters and "1" has float64; convert one of them: '
        "layer.astype(np.float64)",
    ),
    "the constructor of a layer of one's own": (
        lambda: Sequential(WithoutSuper()),
        "WithoutSuper: its __init__ must call super().__init__() before anything else",
    ),
    "the backward of a layer of one's own": (
        lambda: WithoutBackward().backward(zeros(2)),
        "WithoutBackward must define backward(dy)",
    ),
    "the shape of a layer of one's own": (
        lambda: Sequential(Sequential(Halves()), Linear(4, 2))(zeros(2, 4)),
        'Linear "1": expects 4 inputs, got 2; does Halves "0.0" change the shape? Then it must '
        "define output_shape",
    ),
    # backward ------------------------------------------------------------------------------------------
    "backward after a prediction": (
        lambda: NET.backward(zeros(2, 10)),
        'Linear "4": backward needs a forward(x, training=True) before it',
    ),
    "backward of another shape": (
        lambda: trained(backward=zeros(2, 9)),
        'Linear "4": backward expects the shape of its output (2, 10), got (2, 9)',
    ),
    "backward of another type": (
        lambda: trained(backward=zeros(2, 10, dtype=np.float64)),
        'Linear "4": backward expects a float32 array like its output, got float64; convert the '
        "gradient: np.asarray(dy, np.float32)",
    ),
    # losses --------------------------------------------------------------------------------------------
    "a class too many": (
        lambda: loss(zeros(3, 10), np.array([0, 10, 3])),
        "CrossEntropyLoss: target: label 10 at (1,) is not in 0 ... 9; there are 10 scores for each example",
    ),
    "classes from 1": (
        lambda: loss(zeros(3, 10), np.array([1, 2, 10])),
        "CrossEntropyLoss: target: label 10 at (2,) is not in 0 ... 9; classes count from 0: "
        "subtract 1 from labels 1 ... 10",
    ),
    "a label that means nothing": (
        lambda: loss(zeros(3, 10), np.array([0, -1, 2])),
        "CrossEntropyLoss: target: label -1 at (1,) is not in 0 ... 9; ignore_index=-1 leaves such "
        "labels out",
    ),
    "labels in a column": (
        lambda: loss(zeros(3, 10), LABELS[:, np.newaxis]),
        "CrossEntropyLoss: target: expects shape (3,), got (3, 1); drop the last axis: labels[..., 0]",
    ),
    "one-hot rows of integers": (
        lambda: loss(zeros(3, 10), np.eye(10, dtype=int)[LABELS]),
        "CrossEntropyLoss: target: expects shape (3,), got (3, 10); these look like one-hot rows: "
        "give labels, t.argmax(axis=1), or make the rows floating point",
    ),
    "one-hot rows of float64": (
        lambda: loss(zeros(3, 10), np.eye(10)[LABELS]),
        "CrossEntropyLoss: target: expects float32 like the other arrays, got float64; convert it "
        "with .astype('float32')",
    ),
    "labels of floats": (
        lambda: loss(zeros(3, 10), LABELS.astype(float)),
        "CrossEntropyLoss: target: expects integer class labels, got float64; convert them with "
        ".astype('int64')",
    ),
    "names of classes": (
        lambda: loss(zeros(3, 10), np.array(["cat", "dog", "cat"])),
        "CrossEntropyLoss: target: expects integer class labels, got <U3; number them with "
        "numpy.unique(names, return_inverse=True)",
    ),
    "another number of labels": (
        lambda: loss(zeros(3, 10), np.arange(4)),
        "CrossEntropyLoss: target: expects shape (3,), got (4,)",
    ),
    "scores for every pixel": (
        lambda: loss(zeros(3, 10, 5, 5), LABELS),
        "CrossEntropyLoss: target: expects shape (3, 5, 5), got (3,); there are scores for every "
        "pixel, so pool or flatten them for one label an image",
    ),
    "targets first": (
        lambda: loss(LABELS, zeros(3, 10)),
        "CrossEntropyLoss: x: expects float32 or float64, got int64; convert it with "
        ".astype('float32'); scores come first, then targets",
    ),
    "labels for a squared error": (
        lambda: loss(zeros(3, 10), LABELS, MSELoss),
        "mse_loss: target: expects shape (3, 10) of x, got (3,); make one-hot rows of labels, "
        "np.eye(10)[labels], or use cross-entropy",
    ),
    "a column and a row": (
        lambda: loss(zeros(3, 1), zeros(3), MSELoss),
        "mse_loss: target: expects shape (3, 1) of x, got (3,); add an axis: target[..., np.newaxis]",
    ),
    "integers for probabilities": (
        lambda: loss(zeros(3, 1), LABELS[:, np.newaxis], BCEWithLogitsLoss),
        "bce_with_logits: target: expects float32 or float64, got int64; convert it with .astype('float32')",
    ),
    # weights -------------------------------------------------------------------------------------------
    "weights of another width": (
        lambda: NET.load_state_dict({**NET.state_dict(), "0.weight": zeros(8, 1, 3, 3), "0.bias": zeros(8)}),
        "the state does not fit, nothing was loaded:\n"
        '  "0.weight" has shape (8, 1, 3, 3), expected (4, 1, 3, 3)\n'
        '  "0.bias" has shape (8,), expected (4,)',
    ),
    "weights under a prefix": (
        lambda: Sequential(Linear(4, 3)).load_state_dict(
            {"module.0.weight": zeros(3, 4), "module.0.bias": zeros(3)}
        ),
        "the state does not fit, nothing was loaded:\n"
        '  "0.weight" is missing (shape (3, 4))\n'
        '  "0.bias" is missing (shape (3,))\n'
        '  "module.0.weight" is not a tensor of this network\n'
        '  "module.0.bias" is not a tensor of this network\n'
        '  without the prefix: {key.removeprefix("module."): a for key, a in state.items()}',
    ),
    "weights transposed": (
        lambda: Sequential(Linear(4, 3)).load_state_dict({"0.weight": zeros(4, 3), "0.bias": zeros(3)}),
        "the state does not fit, nothing was loaded:\n"
        '  "0.weight" has shape (4, 3), expected (3, 4); transpose it: .T',
    ),
    # training ------------------------------------------------------------------------------------------
    "training: more examples than targets": (
        lambda: fit(t=np.arange(9)),
        "x and t: expect a target for each example, got 10 examples and 9 targets",
    ),
    "training: no channel axis": (
        lambda: fit(zeros(10, 28, 28)),
        'train: x[:2] does not fit: Conv2d "0": expects a batch (N, C, H, W), got shape (2, 28, 28); '
        "add the channel axis: x[:, np.newaxis]",
    ),
    "training: pixels as they come from a file": (
        lambda: fit(zeros(10, 1, 28, 28, dtype=np.uint8)),
        "train: x[:2] does not fit: Sequential: expects float32 or float64, got uint8; convert the "
        "input, to 0 ... 1 if it is pixels: x.astype(np.float32) / 255",
    ),
    "training: classes from 1": (
        lambda: fit(t=np.arange(1, 11)),
        "train: t: label 10 at (9,) is not in 0 ... 9; classes count from 0: subtract 1 from labels 1 ... 10",
    ),
    "training: one-hot rows of integers": (
        lambda: fit(t=np.eye(10, dtype=int)),
        "train: t: expects shape (10,), got (10, 10); these look like one-hot rows: give labels, "
        "t.argmax(axis=1), or make the rows floating point",
    ),
    "training: validation of another size": (
        lambda: fit(validation=(zeros(5, 1, 32, 32), np.arange(5))),
        'validation: x[:2] does not fit: Linear "4": expects 676 inputs, got 900 = (4, 15, 15): '
        'MaxPool2d "2" gave 15 = (30 + 2*0 - 2)//2 + 1',
    ),
    "training: validation with a class more": (
        lambda: fit(validation=(zeros(5, 1, 28, 28), np.arange(6, 11))),
        "validation: t: label 10 at (4,) is not in 0 ... 9; there are 10 scores for each example",
    ),
    "training: labels for a squared error": (
        lambda: fit(loss=MSELoss()),
        "train: t[:2] does not fit: mse_loss: target: expects shape (2, 10) of x, got (2,); make "
        "one-hot rows of labels, np.eye(10)[labels], or use cross-entropy",
    ),
    "training: validation with rows of float64": (
        lambda: fit(validation=(zeros(5, 1, 28, 28), np.eye(10)[:5])),
        "validation: t[:2] does not fit: CrossEntropyLoss: target: expects float32 like the other "
        "arrays, got float64; convert it with .astype('float32')",
    ),
    "training: x and t apart": (
        lambda: Trainer(NET, CrossEntropyLoss(), SGD(0.1)).fit(zeros(3, 1, 28, 28), LABELS, epochs=1),
        "train: expects Arrays or a pair (x, t), got ndarray; examples and targets are one argument: "
        "fit((x, t), ...)",
    ),
    "training: a class for a loss": (
        lambda: fit(loss=CrossEntropyLoss),
        "loss: expects an object, got the class: write CrossEntropyLoss(...)",
    ),
    "training: a class for an optimizer": (
        lambda: fit(optimizer=SGD),
        "optimizer: expects an object, got the class: write SGD(...)",
    ),
    "training: loss and optimizer swapped": (
        lambda: fit(loss=SGD(0.1), optimizer=CrossEntropyLoss()),
        "loss: expects an object with forward and backward, got SGD",
    ),
    "training: a list for a model": (
        lambda: fit(model=[Linear(3, 3)]),
        "model: expects an object with forward and backward, got list",
    ),
    "training: parameters for an optimizer": (
        lambda: SGD(NET.params),
        "SGD: lr: expects a real number, got a dict",
    ),
    # the book's layers ---------------------------------------------------------------------------------
    "book: Affine": (
        lambda: Affine(zeros(784, 50), zeros(50)).forward(zeros(10, 100)),
        "Affine expects 784 inputs for each image, got x of shape (10, 100)",
    ),
    "book: Affine of images": (
        lambda: Affine(zeros(784, 50), zeros(50)).forward(zeros(10, 1, 14, 14)),
        "Affine expects 784 inputs for each image, got x of shape (10, 1, 14, 14), 196 = 1 * 14 * 14",
    ),
    "book: Affine of one image": (
        lambda: Affine(zeros(784, 50), zeros(50)).forward(zeros(784)),
        "Affine expects 784 inputs for each image, got x of shape (784,); give a batch: x[np.newaxis]",
    ),
    "book: Affine with W transposed": (
        lambda: Affine(zeros(50, 784), zeros(784)).forward(zeros(10, 784)),
        "Affine expects 50 inputs for each image, got x of shape (10, 784); W lies as (inputs, "
        "outputs), so use W.T",
    ),
    "book: Affine with another bias": (
        lambda: Affine(zeros(784, 50), zeros(784)).forward(zeros(10, 784)),
        "Affine expects W (inputs, outputs) and b (outputs,), got shapes (784, 50) and (784,)",
    ),
    "book: Affine backward": (
        lambda: backward_of(Affine(zeros(784, 50), zeros(50)), zeros(10, 784), zeros(10, 40)),
        "Affine.backward expects the shape of the output (10, 50), got (10, 40)",
    ),
    "book: Convolution of other channels": (
        lambda: Convolution(zeros(30, 1, 5, 5), zeros(30)).forward(zeros(10, 3, 28, 28)),
        "Convolution expects images of 1 channels, got 3 in (10, 3, 28, 28)",
    ),
    "book: Convolution of flat images": (
        lambda: Convolution(zeros(30, 1, 5, 5), zeros(30)).forward(zeros(10, 784)),
        "Convolution expects images (N, C, H, W), got x of shape (10, 784); make images of flat "
        "rows: x.reshape(-1, 1, 28, 28); load_mnist(flatten=False) gives images",
    ),
    "book: Convolution with another bias": (
        lambda: Convolution(zeros(30, 1, 5, 5), zeros(5)).forward(zeros(10, 1, 28, 28)),
        "Convolution expects W (FN, C, FH, FW) and b (FN,) or a number, got (30, 1, 5, 5) and (5,)",
    ),
    "book: Convolution backward": (
        lambda: backward_of(
            Convolution(zeros(30, 1, 5, 5), zeros(30)), zeros(10, 1, 28, 28), zeros(10, 30, 28, 28)
        ),
        "conv2d_backward: dy: expects shape (10, 30, 24, 24) of conv2d's result, got (10, 30, 28, 28)",
    ),
    "book: Pooling of flat images": (
        lambda: Pooling(2, 2).forward(zeros(10, 784)),
        "Pooling expects images (N, C, H, W), got x of shape (10, 784); make images of flat rows: "
        "x.reshape(-1, 1, 28, 28); load_mnist(flatten=False) gives images",
    ),
    "book: labels from 1": (
        lambda: SoftmaxWithLoss().forward(zeros(10, 10), np.arange(1, 11)),
        "labels must lie in 0..9, got 1..10",
    ),
    "book: labels of another number": (
        lambda: SoftmaxWithLoss().forward(zeros(10, 10), np.arange(9)),
        "t of shape (9,) is neither 10 labels nor one-hot rows for scores of shape (10, 10)",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_the_message(name):
    make, message = MISTAKES[name]
    with pytest.raises((TypeError, ValueError, RuntimeError, NotImplementedError)) as caught:
        make()
    assert str(caught.value) == message
