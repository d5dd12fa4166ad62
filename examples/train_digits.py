"""Train a network on the digits that come with the library, and look at what it gets wrong.

python examples/train_digits.py
"""

import cnn_core as cc
from cnn_core.data import Normalize, RandomShift, load_digits
from cnn_core.optim.schedules import OneCycle
from cnn_core.training import ProgressBar, Trainer

EPOCHS, BATCH = 20, 32

data = load_digits()  # 8x8 images, float32 (N, 1, 8, 8) in 0 ... 1
normalize = Normalize.fit(data.train.x)
train = normalize(data.train.x), data.train.t
test = normalize(data.test.x), data.test.t

model = cc.Sequential(
    cc.Conv2d(1, 16, 3, padding=1, rng=0),
    cc.ReLU(),
    cc.Conv2d(16, 32, 3, padding=1, rng=1),
    cc.ReLU(),
    cc.MaxPool2d(2),
    cc.Flatten(),
    cc.Dropout(0.25, rng=2),
    cc.Linear(32 * 4 * 4, 10, rng=3),
)
print(model.summary((BATCH, 1, 8, 8)))

steps = EPOCHS * -(-len(data.train) // BATCH)
trainer = Trainer(
    model,
    cc.losses.CrossEntropyLoss(),
    cc.optim.Adam(),
    schedule=OneCycle(0.005, steps),
    augment=RandomShift(1, fill=train[0].min()),
    callbacks=[ProgressBar()],
    seed=0,
)
trainer.fit(train, test, epochs=EPOCHS, batch_size=BATCH)

predicted = trainer.predict(test[0]).argmax(axis=1)
wrong = (predicted != test[1]).nonzero()[0]
print(f"accuracy {1 - len(wrong) / len(predicted):.4f}; wrong are {len(wrong)} of {len(predicted)} images")
for i in wrong[:2]:
    print(f"a {test[1][i]} taken for a {predicted[i]}:")
    for row in data.test.x[i, 0]:
        print("  " + "".join(" .:-=+*#@"[int(8 * pixel)] * 2 for pixel in row))
