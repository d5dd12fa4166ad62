"""Search for a learning rate and a weight decay with a network of one's own, and train with what is found.

python examples/search_digits.py                # keeps nothing
python examples/search_digits.py digits.log     # keeps the trials in a file: stop it with Ctrl-C and go on
python examples/search_digits.py URL            # or in a database: run it on as many machines as there are

Processes that are given the same file or URL share the trials, whether they run at the same time or not.
"""

import sys

import cnn_core as cc
from cnn_core import search
from cnn_core.data import Normalize, load_digits, split
from cnn_core.training import Trainer

data = load_digits()
normalize = Normalize.fit(data.train.x)
images = cc.data.Arrays(normalize(data.train.x), data.train.t)
# The test images have no say in the choice: 300 training images are held out to judge by.
part, validation = split(images, [len(images) - 300, 300], stratify=True, rng=0)

SPACE = {"lr": search.LogUniform(1e-4, 1), "weight_decay": search.LogUniform(1e-8, 1e-2)}


def make_trainer(params, callbacks=()):
    model = cc.Sequential(
        cc.Conv2d(1, 8, 3, padding=1, rng=0),
        cc.ReLU(),
        cc.MaxPool2d(2),
        cc.Flatten(),
        cc.Linear(8 * 4 * 4, 10, rng=1),
    )
    optimizer = cc.optim.Momentum(lr=params["lr"], weight_decay=params["weight_decay"])
    return Trainer(model, cc.losses.CrossEntropyLoss(), optimizer, callbacks=callbacks, seed=0)


def train(params, trial):
    trainer = make_trainer(params, callbacks=[trial.callback()])
    return trainer.fit(part, validation, epochs=4, batch_size=50)[-1].val_acc


if __name__ == "__main__":  # so that worker processes, which import this file, do not search themselves
    result = search.narrowing_search(
        train,
        SPACE,
        rounds=2,
        trials=20,
        storage=sys.argv[1] if len(sys.argv) > 1 else None,
        name="digits",
        workers=2,
        pruner="median",
    )
    print(result.rounds[-1].table(5))
    print(result.table())
    trainer = make_trainer(result.chosen())
    trainer.fit(images, epochs=20, batch_size=50)
    accuracy = trainer.evaluate((normalize(data.test.x), data.test.t))["accuracy"]
    print(f"trained with these: test accuracy {accuracy:.4f}")
