"""What ``cnn-core search`` looks for, and the short training that judges it."""

import json
import zlib
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import numpy as np

from cnn_core import data, search
from cnn_core._checks import integer, one_of
from cnn_core._version import __version__
from cnn_core.cli import train
from cnn_core.cli._recipes import recommended
from cnn_core.cli._run import RunConfig
from cnn_core.cli._settings import Settings
from cnn_core.models import MODELS

CONFIG = "search.json"
JOURNAL = "search.log"
TRIALS = "trials.csv"

PRUNERS = ("median", "none")

_VERSION = 1
_WEIGHTS, _EXAMPLES = 0, 3  # streams of random numbers, beside those of `cnn_core.cli.train`


@dataclass(frozen=True)
class SearchConfig:
    """A search; with the data it determines all trials and, unless some are pruned, all results.

    Parameters
    ----------
    dataset, model : str
        Names in `cnn_core.data.DATASETS` and `cnn_core.models.MODELS`.
    options : dict
        Further arguments of the model's function.
    settings : Settings
        Of a short training; its ``lr`` and ``weight_decay`` are replaced.
    lr, weight_decay : (float, float)
        Ends of the ranges.
    examples : int or None
        How many of the training images are used, validation included: all of them if None.
    trials, rounds : int
    keep : int or None
        How many trials of a round count as the best.
    pruner : {"median", "none"}
    storage : str or None
        Where other machines find the search; None for a file in its folder.

    Raises
    ------
    ValueError, TypeError
        If something is out of its range.
    """

    dataset: str
    model: str
    options: dict[str, Any]
    settings: Settings
    lr: tuple[float, float]
    weight_decay: tuple[float, float]
    examples: int | None
    trials: int
    rounds: int
    keep: int | None
    pruner: str
    storage: str | None

    def __post_init__(self) -> None:
        one_of(self.dataset, "dataset", tuple(data.DATASETS))
        one_of(self.model, "model", tuple(MODELS))
        one_of(self.pruner, "pruner", PRUNERS)
        for name, at_least in (("examples", 2), ("trials", 2), ("rounds", 1), ("keep", 2)):
            value = getattr(self, name)
            if value is not None or name in ("trials", "rounds"):
                integer(value, name, at_least=at_least)
        if not self.settings.validation:
            raise ValueError("validation: a search judges by validation images; expects a share above 0")
        self.space()

    def space(self) -> dict[str, search.Parameter]:
        """The ranges that the first round searches."""
        return {"lr": search.LogUniform(*self.lr), "weight_decay": search.LogUniform(*self.weight_decay)}

    def name(self) -> str:
        """What the search is called in a storage: the same for all who search the same, for them alone."""
        rest = (self.options, self.settings.to_dict(), self.lr, self.weight_decay, self.examples, self.keep)
        checksum = zlib.crc32(json.dumps([rest, self.pruner], sort_keys=True).encode())
        return f"{self.dataset}-{self.model}-{checksum:08x}"

    def run_config(self, parts: train.Parts, class_names: tuple[str, ...]) -> RunConfig:
        """The run that each trial is, but for what is searched."""
        return RunConfig(
            dataset=self.dataset,
            model=self.model,
            options=self.options,
            input_shape=parts.train.x.shape[1:],
            class_names=class_names,
            normalize=parts.normalize,
            settings=self.settings,
        )

    def train_options(self) -> list[str]:
        """What ``cnn-core train`` must be told, besides what was found, to train in the same way."""
        usual = recommended(self.dataset, self.model)
        words = [self.dataset, "--model", self.model]
        for name, value in self.options.items():
            words += ["--model-option", f"{name}={value if isinstance(value, str) else json.dumps(value)}"]
        for name in (
            "batch_size",
            "optimizer",
            "schedule",
            "warmup",
            "augment",
            "label_smoothing",
            "clip_norm",
        ):
            if (value := getattr(self.settings, name)) != getattr(usual, name):
                words += [
                    f"--{name.replace('_', '-')}",
                    f"{value:g}" if isinstance(value, float) else f"{value}",
                ]
        return words

    def to_json(self) -> str:
        """The search as text."""
        return json.dumps({"version": _VERSION, "cnn_core": __version__, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, where: str) -> Self:
        """Read what `to_json` wrote; ValueError, beginning with ``where``, if it is something else."""
        try:
            values = json.loads(text)
            if values.pop("version") != _VERSION:
                raise ValueError(f"is of another version than {_VERSION}, which this cnn_core reads")
            values.pop("cnn_core")
            values["settings"] = Settings.from_dict(values["settings"])
            for name in ("lr", "weight_decay"):
                low, high = values[name]
                values[name] = low, high
            return cls(**values)
        except (KeyError, AttributeError) as error:
            raise ValueError(f"{where}: is not a search of cnn-core search: lacks {error}") from error
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{where}: is not a search of cnn-core search: {error}") from error


@dataclass(frozen=True)
class ShortTraining:
    """The function under search: worker processes get it as it is, and load the data themselves.

    Parameters
    ----------
    config : SearchConfig
    root : Path or None
        Folder of data sets.
    """

    config: SearchConfig
    root: Path | None

    def __call__(self, params: dict[str, Any], trial: search.Trial) -> float:
        """Train with the parameters, and return the accuracy on the validation images."""
        parts, run = self.prepare()
        settings = replace(run.settings, **params)
        run = replace(run, settings=settings)
        model = run.build(np.random.default_rng([settings.seed, _WEIGHTS]))
        trainer = train.make_trainer(model, run, len(parts.train), [trial.callback()])
        history = trainer.fit(
            parts.train, parts.validation, epochs=settings.epochs, batch_size=settings.batch_size
        )
        accuracy: float = history[-1].val_acc
        return accuracy

    def prepare(self) -> tuple[train.Parts, RunConfig]:
        """The images, and the run but for what is searched; made once in each process."""
        return _prepare(self.config.to_json(), self.root)


@cache
def _prepare(config_json: str, root: Path | None) -> tuple[train.Parts, RunConfig]:
    config = SearchConfig.from_json(config_json, CONFIG)
    dataset = data.DATASETS[config.dataset](root=root, download=False)
    if config.examples is not None and config.examples < len(dataset.train):
        counts = [config.examples, len(dataset.train) - config.examples]
        rng = np.random.default_rng([config.settings.seed, _EXAMPLES])
        some, _ = data.split(dataset.train, counts, stratify=True, rng=rng)
        dataset = replace(dataset, train=some)
    parts = train.prepare(dataset, config.settings)
    return parts, config.run_config(parts, dataset.class_names)
