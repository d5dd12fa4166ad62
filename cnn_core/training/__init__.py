"""Training: the loop over epochs, what happens around it, and checkpoints that continue bit for bit.

For example::

    trainer = Trainer(model, CrossEntropyLoss(), Adam(), callbacks=[ProgressBar(), EarlyStopping()])
    history = trainer.fit(train, validation, epochs=20, batch_size=100)
    print(trainer.evaluate(test)["accuracy"])
"""

from cnn_core.training.callbacks import Callback, Checkpoint, EarlyStopping, HistoryLogger
from cnn_core.training.history import Epoch, History
from cnn_core.training.interrupt import Interrupted
from cnn_core.training.metrics import accuracy, confusion_matrix, per_class_accuracy, top_k_accuracy
from cnn_core.training.progress import ProgressBar
from cnn_core.training.trainer import Trainer

__all__ = [
    "Callback",
    "Checkpoint",
    "EarlyStopping",
    "Epoch",
    "History",
    "HistoryLogger",
    "Interrupted",
    "ProgressBar",
    "Trainer",
    "accuracy",
    "confusion_matrix",
    "per_class_accuracy",
    "top_k_accuracy",
]
