"""What a training leaves in its folder, and how the network comes back from it."""

import inspect
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from cnn_core import data
from cnn_core._checks import integer, one_of
from cnn_core._version import __version__
from cnn_core.cli._settings import Settings
from cnn_core.files import load_tensors, write_atomically
from cnn_core.layers import Sequential
from cnn_core.models import MODELS

CONFIG = "config.json"
MODEL = "model.safetensors"
CHECKPOINT = "checkpoint.safetensors"

METADATA_KEY = "cnn_core.run"  # of the configuration within the model's file
_VERSION = 1


@dataclass(frozen=True)
class RunConfig:
    """All that is needed to build the network again, to prepare images for it, and to repeat the training.

    It is written as ``config.json`` and, so that a model's file is enough, into the metadata of that file.

    Parameters
    ----------
    dataset : str
        One of `cnn_core.data.DATASETS`.
    model : str
        One of `cnn_core.models.MODELS`.
    options : dict
        Further arguments of the model's function.
    input_shape : (int, int, int)
        Channels, height and width of an image.
    class_names : tuple of str
    normalize : Normalize
        What is done to pixels in 0 ... 1.
    settings : Settings
    """

    dataset: str
    model: str
    options: dict[str, Any]
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    normalize: data.Normalize
    settings: Settings

    def build(self, rng: np.random.Generator | int | None = None) -> Sequential:
        """A network with fresh weights."""
        return build_model(self.model, self.input_shape, len(self.class_names), self.options, rng)

    def to_json(self) -> str:
        """The configuration as text."""
        document = {
            "version": _VERSION,
            "cnn_core": __version__,
            "dataset": self.dataset,
            "model": {"name": self.model, "input_shape": self.input_shape, "options": self.options},
            "class_names": self.class_names,
            "normalize": {"mean": self.normalize.mean.tolist(), "std": self.normalize.std.tolist()},
            "training": self.settings.to_dict(),
        }
        return json.dumps(document, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Self:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            If it is something else; ``where`` precedes the message.
        """
        try:
            document = json.loads(text)
            if document["version"] != _VERSION:
                raise ValueError(f"has version {document['version']!r}, this cnn_core reads {_VERSION}")
            model, normalize, names = document["model"], document["normalize"], document["class_names"]
            channels, height, width = (integer(n, "input_shape", at_least=1) for n in model["input_shape"])
            if not names or not all(isinstance(name, str) for name in names):
                raise ValueError(f"class_names: expects strings, got {names!r}")
            config = cls(
                dataset=one_of(document["dataset"], "dataset", tuple(data.DATASETS)),
                model=one_of(model["name"], "model", tuple(MODELS)),
                options=dict(model["options"]),
                input_shape=(channels, height, width),
                class_names=tuple(names),
                normalize=data.Normalize(normalize["mean"], normalize["std"]),
                settings=Settings.from_dict(document["training"]),
            )
            if len(config.normalize.mean) != channels:
                raise ValueError(f"normalize: expects {channels} channels, got {len(config.normalize.mean)}")
        except KeyError as error:
            raise ValueError(f"{where}: is not a configuration of cnn-core train: lacks {error}") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{where}: is not a configuration of cnn-core train: {error}") from error
        return config


def build_model(
    name: str,
    input_shape: tuple[int, ...],
    classes: int,
    options: dict[str, Any],
    rng: np.random.Generator | int | None = None,
) -> Sequential:
    """Build a network of `cnn_core.models.MODELS` by name.

    Raises
    ------
    ValueError
        If an option is unknown, or the images are too small for the network.
    """
    known = model_options(MODELS[name])
    for option in options:
        one_of(option, f"options of the {name} network", known)
    return MODELS[name](input_shape, classes, rng=rng, **options)


def model_options(function: Callable[..., Sequential]) -> tuple[str, ...]:
    """The arguments of a model's function that are its own."""
    shared = {"input_shape", "classes", "rng", "dtype"}
    return tuple(name for name in inspect.signature(function).parameters if name not in shared)


def read_config(folder: Path) -> RunConfig:
    """Read the configuration of a run.

    Raises
    ------
    FileNotFoundError
        If the folder is not one of a run.
    ValueError
        If the file is damaged.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise FileNotFoundError(f"{folder}: is not the folder of a run: it has no {CONFIG}")
    return RunConfig.from_json(path.read_bytes(), str(path))


def load_model(path: Path) -> tuple[Sequential, RunConfig]:
    """Load a trained network from the folder of a run, or from the model's file alone.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If a file is damaged, or does not say which network it belongs to.
    """
    if path.is_dir():
        config = read_config(path)
        if not (path / MODEL).is_file():
            raise FileNotFoundError(
                f"{path}: has no {MODEL}: finish the training with cnn-core train --resume {path}"
            )
        path = path / MODEL
    elif not path.exists():
        raise FileNotFoundError(f"{path}: no such run or model file")
    tensors, metadata = load_tensors(path)
    if METADATA_KEY in metadata:
        config = RunConfig.from_json(metadata[METADATA_KEY], str(path))
    elif (path.parent / CONFIG).is_file():
        config = read_config(path.parent)
    else:
        raise ValueError(f"{path}: does not say which network it is of, and has no {CONFIG} beside it")
    model = config.build(rng=0)
    try:
        model.load_state_dict(tensors)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return model, config


def find_model(
    name: str, input_shape: tuple[int, ...] | None, classes: int | None
) -> tuple[Sequential, tuple[int, ...]]:
    """A fresh network by its name, or a trained one by its path; and the shape of its images.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is none, a file is damaged, or ``classes`` are asked of a trained network.
    """
    if name in MODELS:
        shape = input_shape or inspect.signature(MODELS[name]).parameters["input_shape"].default
        return build_model(name, shape, classes or 10, {}, rng=0), shape
    path = Path(name)
    if not path.exists():
        raise FileNotFoundError(f"{path}: neither a run or model file, nor one of {', '.join(MODELS)}")
    if classes is not None:
        raise ValueError(f"--classes: {path} is trained, and its classes are fixed")
    model, config = load_model(path)
    return model, input_shape or config.input_shape


def create_folder(asked: Path | None, name: str) -> Path:
    """Make the folder of a new run: the one asked for, or ``runs/<name>-<time>``.

    Raises
    ------
    FileExistsError
        If the folder asked for exists and is not empty.
    """
    if asked is not None:
        asked.mkdir(parents=True, exist_ok=True)
        if any(asked.iterdir()):
            raise FileExistsError(
                f"{asked}: exists and is not empty; give --out another folder, or --resume this one"
            )
        return asked
    stem = Path("runs") / f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for i in range(1000):  # several trainings may begin in one second
        folder = stem if i == 0 else stem.with_name(f"{stem.name}-{i + 1}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            continue
        return folder
    raise FileExistsError(f"{stem}: exists a thousand times")


def write_config(folder: Path, config: RunConfig) -> None:
    """Write ``config.json``."""
    write_atomically(folder / CONFIG, config.to_json().encode())
