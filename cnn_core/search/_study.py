"""The study that holds a search: where it is stored, and whether it is the one that was asked for."""

import contextlib
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from cnn_core.search.space import Parameter

if TYPE_CHECKING:
    import optuna

_IDENTITY = "cnn_core.search"  # of a search, among the study's attributes
_LOCK_SECONDS = 60  # for which a process waits while others write to an SQLite file


def import_optuna() -> ModuleType:
    """Import Optuna.

    Raises
    ------
    ImportError
        If it is not installed, with the command that installs it.
    """
    try:
        import optuna
    except ImportError as error:
        raise ImportError("Optuna is needed to search: pip install 'cnn_core[search]'") from error
    return optuna


@dataclass(frozen=True)
class Plan:
    """What is searched and where it is kept; the same in all processes and machines that take part."""

    space: dict[str, Parameter]
    trials: int
    seed: int
    direction: str
    name: str
    storage: Any  # None, a URL, the path of a journal, or an Optuna storage
    sampler: Any  # None, or an Optuna sampler
    pruner: Any  # an Optuna pruner

    def identity(self) -> dict[str, Any]:
        """What must not change from one call to the next."""
        return {
            "space": {name: parameter.to_dict() for name, parameter in self.space.items()},
            "seed": self.seed,
            "sampler": "random" if self.sampler is None else type(self.sampler).__name__,
        }


@contextlib.contextmanager
def with_storage(plan: Plan, workers: int) -> Iterator[Plan]:
    """The plan, with a temporary storage if it has none and worker processes must share one."""
    if plan.storage is not None or workers == 1:
        yield plan
        return
    # In memory where that can be: a journal is flushed to its disk at every word.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="cnn_core-search-", dir=memory) as folder:
        yield replace(plan, storage=str(Path(folder) / "search.log"))


@contextlib.contextmanager
def open_study(plan: Plan) -> Iterator["optuna.Study"]:
    """Open the study of a search, or make it; its connections are closed at the end.

    Raises
    ------
    ValueError
        If the storage has a study of this name that is not of this search.
    """
    optuna = import_optuna()
    with _quiet():
        storage = _open_storage(plan.storage)
    try:
        with _quiet():
            study = _find_study(plan, storage)
        yield study
    finally:
        if isinstance(storage, optuna.storages.RDBStorage) and isinstance(plan.storage, str):
            storage.remove_session()
            storage.engine.dispose()


def _open_storage(storage: Any) -> Any:
    optuna = import_optuna()
    if storage is None:
        return optuna.storages.InMemoryStorage()
    if not isinstance(storage, str):
        return storage
    if "://" in storage:
        return _open_database(storage)
    path = Path(storage)
    path.parent.mkdir(parents=True, exist_ok=True)
    journal = optuna.storages.journal
    lock = journal.JournalFileOpenLock(str(path)) if os.name == "nt" else None  # links need a privilege there
    return optuna.storages.JournalStorage(journal.JournalFileBackend(str(path), lock_obj=lock))


def _open_database(url: str) -> Any:
    """Connect to a database; the first one to come makes the tables, while others may be at it, too."""
    from sqlalchemy.exc import DatabaseError

    optuna = import_optuna()
    options = {"connect_args": {"timeout": _LOCK_SECONDS}} if url.startswith("sqlite") else {}
    for attempt in range(10):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=options)
        except (DatabaseError, AssertionError, optuna.exceptions.StorageInternalError):
            if attempt == 9:
                raise
            time.sleep(0.1 * (attempt + 1))
    raise AssertionError("unreachable")


def _find_study(plan: Plan, storage: Any) -> "optuna.Study":
    optuna = import_optuna()
    sampler = plan.sampler or optuna.samplers.RandomSampler()
    options = {"storage": storage, "study_name": plan.name, "sampler": sampler, "pruner": plan.pruner}
    try:
        study = optuna.create_study(direction=plan.direction, **options)
        study.set_user_attr(_IDENTITY, plan.identity())
        return study
    except optuna.exceptions.DuplicatedStudyError:
        study = optuna.load_study(**options)
    _check_identity(study, plan)
    return study


def _check_identity(study: "optuna.Study", plan: Plan) -> None:
    """Raise ValueError unless the stored study is that of the plan."""
    stored = study.user_attrs.get(_IDENTITY)
    for _ in range(50):  # whoever made the study says next what it is for
        if stored is not None or study.get_trials(deepcopy=False):
            break
        time.sleep(0.1)
        stored = study.user_attrs.get(_IDENTITY)
    where = f"storage: the study {plan.name!r}"
    if stored is None:
        if study.get_trials(deepcopy=False):
            raise ValueError(f"{where} was not made by cnn_core.search; give this search another name")
        stored = plan.identity()  # its maker was killed before saying so
        study.set_user_attr(_IDENTITY, stored)
    asked = {**plan.identity(), "direction": plan.direction}
    found = {**stored, "direction": study.direction.name.lower()}
    for part, value in asked.items():
        if found.get(part) != value:
            raise ValueError(
                f"{where} has another {part}: {found.get(part)!r}, this search has {value!r}; "
                "give this search another name, or the other its settings"
            )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing each study, and leave its verbosity as it was."""
    import_optuna()
    logger = logging.getLogger("optuna")
    level = logger.level
    logger.setLevel(max(level, logging.WARNING))
    try:
        yield
    finally:
        logger.setLevel(level)
