"""Checkpoints on the Hugging Face Hub, through its own library.

What goes there is staged first: the files of :data:`SHARED` alone, with a card that the Hub can
read. Neither histories nor anything that names people goes there: ``people.json`` holds user ids,
and ``python -m fame survey`` makes it again for whoever has the data.
"""

from __future__ import annotations

import importlib
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from fame.checkpoint import (
    CARD,
    CHOICE,
    CONFIG,
    ITEMS,
    METRICS,
    START,
    VALUES,
    WEIGHTS,
    Checkpoint,
    load_checkpoint,
    read_choice,
    read_start,
)
from fame.data.registry import SETS
from fame.errors import FameError
from fame.files import disk_is_full, telling_of
from fame.head_names import NAMES, read_head_names
from fame.metrics import FIGURES
from fame.models.registry import spec_of
from fame.opening import OPENING
from fame.projection import PROJECTION
from fame.survey import FACETS, FAITHFULNESS

SCHEME = "hf://"
SHARED = (
    CARD, CONFIG, WEIGHTS, ITEMS, VALUES, METRICS, CHOICE, PROJECTION, FACETS, FAITHFULNESS, NAMES,
    OPENING, START,
)  # fmt: skip
LIBRARY = "fame-lens"
TAGS = ("recommender-systems", "sequential-recommendation")


@dataclass(frozen=True)
class Pushed:
    """What went to the Hub.

    Attributes:
        url: Of the commit.
        files: The names of the files in it.
        left_out: The names of what else lies in the checkpoint's folder.
    """

    repo_id: str
    url: str
    files: list[str]
    left_out: list[str]


def push(checkpoint: Checkpoint, repo_id: str, *, private: bool, message: str | None) -> Pushed:
    """Puts a checkpoint on the Hub, in place of what was there of a former one.

    Args:
        repo_id: ``owner/name``; the repository is made where there is none.
        private: Whether only its owner may see it. An existing one that others see is refused.
        message: Of the commit.

    Raises:
        FameError: where the library is missing, the Hub refuses it or cannot be reached, or a file
            of the folder is of no use.
    """
    hub = _library()
    _check_repo_id(hub, repo_id)
    with tempfile.TemporaryDirectory(prefix="fame-push-") as staged:
        stage(checkpoint, repo_id, Path(staged))
        with _asking(hub, repo_id), warnings.catch_warnings():
            # A catalogue belongs to its model; it is no data set that went to the wrong place.
            warnings.filterwarnings("ignore", message=".*commit a data file")
            api = hub.HfApi(library_name=LIBRARY)
            api.create_repo(repo_id, private=private or None, exist_ok=True)
            if private and not api.model_info(repo_id).private:
                raise FameError(
                    f"{repo_id} is on the Hub already and everybody can see it; make it private "
                    "there first, or push to another name."
                )
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=staged,
                commit_message=message or f"Push {checkpoint.name}",
                delete_patterns=list(SHARED),  # names of heads of former weights, say
            )
        files = sorted(path.name for path in Path(staged).iterdir())
    left_out = sorted({path.name for path in checkpoint.path.iterdir()} - set(SHARED))
    return Pushed(repo_id, str(commit.commit_url), files, left_out)


def stage(checkpoint: Checkpoint, repo_id: str, folder: Path) -> None:
    """Copies what goes to the Hub into an empty folder, and opens it there to see that it is whole.

    The checkpoint's own card stays as it is; the copy's has what the Hub reads at its head.

    Raises:
        FameError: where a file is of no use, or the disk takes none.
    """
    with telling_of(folder):
        for name in SHARED:
            if (checkpoint.path / name).is_file():
                shutil.copyfile(checkpoint.path / name, folder / name)
        (folder / CARD).write_text(hub_card(checkpoint, repo_id), encoding="utf-8")
    copied = load_checkpoint(folder)
    read_choice(folder)
    read_start(folder)
    if problems := read_head_names(copied).problems:
        raise FameError(f"{checkpoint.path} cannot be pushed: {problems[0]}")


def hub_card(checkpoint: Checkpoint, repo_id: str) -> str:
    """The model card below what the Hub reads, in YAML: library, tags, and figures of the test.

    No licence is claimed, because weights and titles may have one that nobody told us: what a
    person wrote at the head of the checkpoint's own card, such as ``license:``, is kept and wins.

    Raises:
        FameError: where the head of the checkpoint's own card is no YAML that the Hub reads.
    """
    hub = _library()
    title, data = spec_of(checkpoint.model_config).title, checkpoint.data
    own = checkpoint.path / CARD
    with telling_of(own):
        text = own.read_text("utf-8") if own.is_file() else f"# {title} on {data.name}\n"
    results = []
    if checkpoint.metrics is not None:
        results = [
            hub.EvalResult(
                task_type="sequential-recommendation",
                dataset_type=data.name,
                dataset_name=SETS[data.name].title if data.name in SETS else data.name,
                dataset_split="test",
                dataset_args={"protocol": checkpoint.metrics["protocol"]},
                metric_type=figure.lower(),
                metric_name=figure,
                metric_value=checkpoint.metrics["test"][figure],
            )
            for figure in FIGURES
        ]
    ours = hub.ModelCardData(
        library_name=LIBRARY,
        tags=[*TAGS, checkpoint.model_config.model],
        model_name=repo_id.partition("/")[2],
        eval_results=results or None,
    )
    try:
        theirs = hub.ModelCard(text if text.startswith("---") else f"---\n{{}}\n---\n{text}")
        head = hub.ModelCardData(**{**ours.to_dict(), **theirs.data.to_dict()})
        front = head.to_yaml()
    except Exception as error:  # of YAML, or of what the Hub's library makes of it
        raise FameError(
            f"The head of {own} is nothing that the Hub reads ({error}); mend it, or remove it."
        ) from None
    use = f'\n## Open it\n\n```python\nimport fame\n\nmodel = fame.load("{SCHEME}{repo_id}")\n```\n'
    return f"---\n{front.rstrip()}\n---\n\n{theirs.text.strip()}\n{use}"


def load_from_hub(
    address: str, device: torch.device | str = "cpu", revision: str | None = None
) -> Checkpoint:
    """Opens a checkpoint of the Hub, as strictly as a folder; it stays in the Hub's own cache.

    Args:
        address: ``hf://owner/name``, or ``hf://owner/name@revision``.
        device: Where the model goes.
        revision: A branch, a tag or a commit; by default the newest of ``main``.

    Raises:
        CheckpointError: where what lies there is no whole checkpoint.
        FameError: where the library is missing, the address is none, or it cannot be had.
    """
    hub = _library()
    repo_id, at, named = address.removeprefix(SCHEME).partition("@")
    if at and (not named or revision not in (None, named)):
        raise FameError(f"{address} names the revision {named!r}, and {revision!r} is asked for.")
    _check_repo_id(hub, repo_id)
    with _asking(hub, repo_id):
        folder = hub.snapshot_download(
            repo_id,
            revision=named or revision,
            allow_patterns=list(SHARED),
            library_name=LIBRARY,
        )
    return replace(load_checkpoint(folder, device), known_as=repo_id)


def _library() -> Any:
    try:
        for part in ("errors", "utils"):  # they are not there before they are imported
            importlib.import_module(f"huggingface_hub.{part}")
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise FameError(
            "The Hub needs the package huggingface_hub; install it (pip install huggingface_hub)."
        ) from None


def _check_repo_id(hub: Any, repo_id: str) -> None:
    try:
        hub.utils.validate_repo_id(repo_id)
        known = repo_id.count("/") == 1
    except hub.errors.HFValidationError:
        known = False
    if not known:
        raise FameError(f"{repo_id!r} is no name of a model on the Hub; write owner/name.")


@contextmanager
def _asking(hub: Any, repo_id: str) -> Iterator[None]:
    """What the Hub or the way there refuses in the block becomes one sentence."""
    errors = hub.errors
    try:
        yield
    except FameError:
        raise
    except errors.RevisionNotFoundError:
        raise FameError(
            f"{repo_id} on the Hub has no such revision; name a branch, a tag or a commit of it."
        ) from None
    except (errors.RepositoryNotFoundError, errors.LocalTokenNotFoundError):
        raise FameError(
            f"There is no model {repo_id} on the Hub, or you may not use it; check the name, and "
            "log in with `hf auth login`."
        ) from None
    except (OSError, RuntimeError, ValueError, errors.HTTPError) as error:
        if disk_is_full(error):
            raise
        raise FameError(
            f"The Hub did not do it for {repo_id} ({error}); check the network and that you are "
            "logged in (`hf auth login`), and try again."
        ) from error
