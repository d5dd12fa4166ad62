"""A training of a few steps that calls most kernels, for tools that are slow: ci/valgrind.sh runs it."""

import tempfile
from pathlib import Path

import numpy as np
from training_parts import make_data, make_trainer, weights_of

import cnn_core
from cnn_core import functional as F
from cnn_core import layers, losses, models, optim
from cnn_core.training import Checkpoint


def network() -> layers.Sequential:
    """Strides, groups, dilation, both poolings and a residual connection."""
    rng = np.random.default_rng(0)
    return layers.Sequential(
        layers.Conv2d(1, 8, 5, stride=2, padding=2, rng=rng),
        layers.BatchNorm2d(8),
        layers.LeakyReLU(),
        layers.Residual(layers.Conv2d(8, 8, 3, padding=1, rng=rng)),
        layers.AvgPool2d(2),
        layers.Conv2d(8, 12, 3, padding=2, dilation=2, groups=4, rng=rng),
        layers.Sigmoid(),
        layers.AdaptiveAvgPool2d(1),
        layers.Flatten(),
        layers.Linear(12, 10, rng=rng),
        layers.Tanh(),
    )


def train(model, loss, optimizer, dtype, steps=2):
    rng = np.random.default_rng(0)
    for parameter in model.params.values():
        assert np.isfinite(parameter).all()
    for _ in range(steps):
        x, t = rng.normal(size=(3, 1, 28, 28)).astype(dtype), rng.integers(0, 10, 3)
        loss.forward(model.forward(x, training=True), t)
        model.backward(loss.backward())
        optimizer.update(model.params, model.grads)
    model.forward(x)
    model.for_inference().forward(x)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.safetensors"
        trainer = make_trainer(optim.AdamW(0.01), callbacks=[Checkpoint(path, every_steps=1)])
        trainer.fit(make_data(), make_data(20, 5), epochs=2, batch_size=20)
        resumed = make_trainer(optim.AdamW(0.01), callbacks=[Checkpoint(path, every_steps=1)]).resume(path)
        for name, array in weights_of(trainer.model).items():
            assert np.array_equal(array, resumed.model.state_dict()[name])
    for optimizer in (
        optim.SGD(0.1),
        optim.SGD(0.1, momentum=0.9, nesterov=True),
        optim.AdaGrad(),
        optim.RMSprop(),
    ):
        train(network(), losses.CrossEntropyLoss(), optimizer, np.float32)
    train(models.SimpleConvNet(rng=0), losses.CrossEntropyLoss(), optim.Adam(), np.float32)
    train(models.DeepConvNet(rng=0), losses.CrossEntropyLoss(), optim.Adam(), np.float32, steps=1)
    x = np.random.default_rng(0).normal(size=(2, 3, 9, 10))
    assert F.col2im(F.im2col(x, 3), x.shape, 3).shape == x.shape
    print("trained, with", cnn_core.get_num_threads(), "threads")


if __name__ == "__main__":
    main()
