"""A small network with everything that has a state, and data that it can learn, for the tests of training."""

import numpy as np

from cnn_core.layers import BatchNorm2d, Conv2d, Dropout, Flatten, Linear, MaxPool2d, ReLU, Sequential
from cnn_core.losses import CrossEntropyLoss
from cnn_core.training import Trainer

CLASSES = 3


def make_data(n=50, seed=0):
    """Noisy copies of three patterns; n is no multiple of the batch sizes in use."""
    rng = np.random.default_rng(seed)
    patterns = np.random.default_rng(1).standard_normal((CLASSES, 1, 6, 6))
    t = rng.integers(CLASSES, size=n)
    return (patterns[t] + 0.5 * rng.standard_normal((n, 1, 6, 6))).astype(np.float32), t


def make_model(seed=0, dropout=0.3, dropout_rng=None):
    rng = np.random.default_rng(seed)
    return Sequential(
        Conv2d(1, 4, 3, padding=1, rng=rng),
        BatchNorm2d(4),
        ReLU(),
        MaxPool2d(2),
        Dropout(dropout, rng=rng if dropout_rng is None else dropout_rng),
        Flatten(),
        Linear(36, CLASSES, rng=rng),
    )


def make_trainer(optimizer, model=None, **options):
    return Trainer(model or make_model(), CrossEntropyLoss(), optimizer, **options)


def shift(batch, rng):
    """An augmentation: move each image by up to one pixel, around the corner."""
    for i, (down, right) in enumerate(rng.integers(-1, 2, size=(len(batch), 2))):
        batch[i] = np.roll(batch[i], (down, right), axis=(1, 2))
    return batch


def weights_of(model):
    return {name: array.copy() for name, array in model.state_dict().items()}


def assert_same_bits(state, expected):
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        assert np.asarray(state[name]).tobytes() == np.asarray(value).tobytes(), name


def everything(trainer):
    """All that a training consists of, as comparable values; durations left out."""
    rows = [{k: v for k, v in row.items() if "second" not in k} for row in trainer.history.to_records()]
    return {
        **{f"model.{name}": array.copy() for name, array in trainer.model.state_dict().items()},
        **{f"optimizer.{name}": np.array(v) for name, v in trainer.optimizer.state_dict().items()},
        "model rng": repr(trainer.model.rng_state()),
        "trainer rng": repr(trainer.rng.bit_generator.state),
        "schedule": repr(trainer.schedule and trainer.schedule.state_dict()),
        "progress": repr((trainer.epoch, trainer.step, trainer.batch, trainer.trained, trainer.tally)),
        "data": repr(trainer.data_identity),
        "history": repr(rows),
        "callbacks": repr([callback.state_dict() for callback in trainer.callbacks]),
    }
