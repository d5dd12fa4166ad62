"""Checkpoints: the whole state of a training in one file, and back.

Arrays are tensors of the file: ``model.*``, ``optimizer.*``, ``callback.<i>.*``. Everything else is one JSON
document in the metadata. Reading verifies every part against the trainer that is to take it over, and only
then changes the first of them.
"""

import copy
import itertools
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cnn_core._checks import integer
from cnn_core.files import load_tensors, save_tensors
from cnn_core.training import _rng_state
from cnn_core.training.history import History
from cnn_core.training.metrics import Tally

if TYPE_CHECKING:
    from cnn_core.training.trainer import Trainer

VERSION = 1
KEY = "cnn_core.checkpoint"

Arrays = dict[str, np.ndarray]
Action = Callable[[], Any]


# Writing


def save(trainer: "Trainer", path: str | os.PathLike[str]) -> None:
    """Write the state of ``trainer``; see ``Trainer.save_checkpoint``."""
    tensors = {f"model.{name}": array for name, array in trainer.model.state_dict().items()}
    optimizer_arrays, optimizer_values = _split(trainer.optimizer.state_dict())
    tensors |= {f"optimizer.{name}": array for name, array in optimizer_arrays.items()}
    callbacks: list[dict[str, Any]] = []
    for callback in trainer.callbacks:
        if state := callback.state_dict():
            arrays, values = _split(state)
            tensors |= {f"callback.{len(callbacks)}.{name}": array for name, array in arrays.items()}
            callbacks.append({"kind": type(callback).__name__, "state": values})
    document = {
        "version": VERSION,
        "kinds": _kinds(trainer),
        "progress": {
            "epoch": trainer.epoch,
            "step": trainer.step,
            "batch": trainer.batch,
            "trained": trainer.trained,
            "seconds": trainer.seconds,
            "lr": trainer.lr,
        },
        "tally": asdict(trainer.tally),
        "data": trainer.data_identity,
        "rng": {"trainer": trainer.epoch_rng_state(), "model": _model_rng_state(trainer.model)},
        "optimizer": optimizer_values,
        "schedule": _schedule_state(trainer.schedule),
        "callbacks": callbacks,
        "history": trainer.history.to_records(),
    }
    save_tensors(path, tensors, {KEY: json.dumps(document, default=_rng_state.encode)})


def _split(state: Mapping[str, Any]) -> tuple[Arrays, dict[str, Any]]:
    """The arrays of a state, and the rest of it as plain Python values."""
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    rest = {name: value for name, value in state.items() if name not in arrays}
    return arrays, {name: v.item() if isinstance(v, np.generic) else v for name, v in rest.items()}


def _kinds(trainer: "Trainer") -> dict[str, str]:
    return {
        "model": _describe(trainer.model),
        "loss": _describe(trainer.loss),
        "optimizer": type(trainer.optimizer).__name__,
        "schedule": type(trainer.schedule).__name__,
    }


def _describe(thing: Any) -> str:
    """The repr, if it describes the configuration and not an address in memory."""
    has_repr = type(thing).__repr__ is not object.__repr__
    return repr(thing) if has_repr else type(thing).__name__


def _model_rng_state(model: Any) -> dict[str, Any]:
    return model.rng_state() if hasattr(model, "rng_state") else {}


def _schedule_state(schedule: Any) -> Any:
    return schedule.state_dict() if hasattr(schedule, "state_dict") else None


# Reading


def resume(trainer: "Trainer", path: str | os.PathLike[str]) -> None:
    """Take over the state in the file; see ``Trainer.resume``."""
    tensors, metadata = load_tensors(path)
    try:
        document = _parse(metadata)
        apply_model = _verify_model(trainer.model, _below("model.", tensors), document)
        _check_kinds(_kinds(trainer), _part(document, "kinds", dict))
        actions = [
            apply_model,
            _verify_optimizer(trainer, _below("optimizer.", tensors), document),
            _verify_schedule(trainer.schedule, document.get("schedule")),
            *_verify_callbacks(trainer, tensors, document),
            _verify_progress(trainer, document),
        ]
    except ValueError as error:
        raise ValueError(f"{os.fspath(path)}: {error}") from error
    for action in actions:
        action()


def _parse(metadata: Mapping[str, str]) -> dict[str, Any]:
    if KEY not in metadata:
        raise ValueError(f"is not a checkpoint: no {KEY!r} in its metadata; model.load reads weights alone")
    try:
        document = json.loads(metadata[KEY], object_hook=_rng_state.decode)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the checkpoint's document is unreadable: {error}") from error
    if not isinstance(document, dict) or document.get("version") != VERSION:
        version = document.get("version") if isinstance(document, dict) else None
        raise ValueError(f"has checkpoint version {version!r}; this version of cnn_core reads {VERSION}")
    return document


def _part(document: Mapping[str, Any], name: str, kind: type) -> Any:
    value = document.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"the checkpoint's part {name!r} is missing or damaged")
    return value


def _below(prefix: str, tensors: Arrays) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in tensors.items() if name.startswith(prefix)}


def _check_kinds(own: Mapping[str, str], saved: Mapping[str, str]) -> None:
    for name, kind in own.items():
        other = str(saved.get(name))
        if other != kind:  # a network is described by many lines, of which the first that differs will do
            lines = itertools.zip_longest(other.splitlines(), kind.splitlines(), fillvalue="nothing")
            theirs, ours = next((a.strip(), b.strip()) for a, b in lines if a != b)
            raise ValueError(f"was saved with another {name}: there {theirs}, here {ours}")


def _verify_model(model: Any, arrays: Arrays, document: Mapping[str, Any]) -> Action:
    own = model.state_dict()
    for name in [*own, *arrays]:
        if name not in arrays:
            raise ValueError(f"tensor 'model.{name}' is missing")
        if name not in own:
            raise ValueError(f"tensor 'model.{name}' has no counterpart in this model")
        _check_like(f"model.{name}", arrays[name], own[name])
    state = _part(_part(document, "rng", dict), "model", dict)
    _rng_state.check(state, _model_rng_state(model), "the random state of the model")

    def apply() -> None:
        model.load_state_dict(arrays)
        if state:
            model.set_rng_state(state)

    return apply


def _verify_optimizer(trainer: "Trainer", arrays: Arrays, document: Mapping[str, Any]) -> Action:
    optimizer = trainer.optimizer
    _check_owners("optimizer.", arrays, trainer.model.params)
    state = _part(document, "optimizer", dict) | arrays
    _try_on_a_copy("optimizer", optimizer, state)
    return partial(optimizer.load_state_dict, state)


def _verify_schedule(schedule: Any, state: Any) -> Action:
    if not hasattr(schedule, "load_state_dict"):
        return lambda: None
    _try_on_a_copy("schedule", schedule, state)
    return partial(schedule.load_state_dict, state)


def _verify_callbacks(trainer: "Trainer", tensors: Arrays, document: Mapping[str, Any]) -> list[Action]:
    """Give each saved state to the next callback of its kind. Callbacks that are new start afresh."""
    left = list(trainer.callbacks)
    actions: list[Action] = []
    for i, saved in enumerate(_part(document, "callbacks", list)):
        kind = saved.get("kind") if isinstance(saved, dict) else None
        callback = next((c for c in left if type(c).__name__ == kind), None)
        if callback is None:
            raise ValueError(f"has the state of a callback {kind!r}, which this trainer does not have")
        left.remove(callback)
        arrays = _below(f"callback.{i}.", tensors)
        _check_owners(f"callback.{i}.", arrays, trainer.model.state_dict())
        state = _part(saved, "state", dict) | arrays
        _try_on_a_copy(f"callback {kind}", callback, state)
        actions.append(partial(callback.load_state_dict, state))
    return actions


def _verify_progress(trainer: "Trainer", document: Mapping[str, Any]) -> Action:
    progress, tally = _part(document, "progress", dict), _part(document, "tally", dict)
    try:
        counts = {name: integer(progress[name], name, at_least=0) for name in ("epoch", "step", "batch")}
        times = {name: float(progress[name]) for name in ("seconds", "lr")}
        trained = bool(progress["trained"])
        labels = {name: integer(tally[name], name, at_least=0) for name in ("examples", "correct", "labels")}
        new_tally = Tally(loss_sum=float(tally["loss_sum"]), **labels)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"the checkpoint's part 'progress' or 'tally' is damaged: {error}") from error
    history = History.from_records(document.get("history"))
    identity = None if document.get("data") is None else _part(document, "data", dict)
    state = _part(_part(document, "rng", dict), "trainer", dict)
    _rng_state.check(state, trainer.rng.bit_generator.state, "the random state of the trainer")

    def apply() -> None:
        trainer.__dict__.update(counts, **times, trained=trained, tally=new_tally)
        trainer.history = history
        trainer.data_identity = identity
        trainer.rng.bit_generator.state = state

    return apply


def _check_like(name: str, array: np.ndarray, own: np.ndarray) -> None:
    if array.shape != own.shape or array.dtype != own.dtype:
        raise ValueError(
            f"tensor {name!r}: expects shape {own.shape} of {own.dtype}, got {array.shape} of {array.dtype}"
        )


def _check_owners(prefix: str, arrays: Arrays, owners: Mapping[str, np.ndarray]) -> None:
    """Compare arrays named ``0.weight.velocity`` or ``weights.0.weight`` with the model's ``0.weight``."""
    for name, array in arrays.items():
        possible = [own for own in owners if name.startswith(f"{own}.") or name.endswith(f".{own}")]
        if not possible:
            raise ValueError(f"tensor {prefix + name!r} belongs to no tensor of this model")
        _check_like(prefix + name, array, owners[max(possible, key=len)])


def _try_on_a_copy(what: str, owner: Any, state: Any) -> None:
    """Load into a copy first: what fails there has changed nothing."""
    try:
        copy.deepcopy(owner).load_state_dict(state)
    except Exception as error:  # optimizers and callbacks may be anybody's, with errors of their own
        raise ValueError(f"the state of the {what} does not fit: {error}") from error
