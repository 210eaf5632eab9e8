"""One training run from a data set to a finished checkpoint folder."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from fame import CODE_VERSION
from fame.baselines import baseline_ranks
from fame.checkpoint import (
    CARD,
    CONFIG,
    START,
    Checkpoint,
    DataInfo,
    load_checkpoint,
    read_description,
    write_metrics,
    write_weights,
)
from fame.config import ModelConfig, TrainConfig
from fame.data import Dataset
from fame.data.attributes import ItemAttributes
from fame.data.head_values import head_values
from fame.data.repeats import repeated_share
from fame.data.sequences import Interactions, held_out
from fame.errors import FameError
from fame.evaluate import (
    Reader,
    counting,
    evaluate,
    head_report,
    model_ranks,
    protocol,
    summarise_targets,
)
from fame.facets.forming import FORMING, RECORD
from fame.files import telling_of, write_text
from fame.models.item_values import ValueIndex
from fame.models.registry import check_loss_shares, made_of_values
from fame.models.sequence_model import SequenceModel
from fame.opening import write_opening
from fame.projection import project, write_projection
from fame.survey import sasrec_beside, survey_facets
from fame.survey import survey as look_at_everybody
from fame.training.event_files import check_tensorboard
from fame.training.item_start import catalogue_vectors
from fame.training.loop import (
    SELECTION,
    Progress,
    Ranked,
    TrainState,
    copy_of_weights,
    fit,
    ignore,
    new_state,
    resolve_device,
    resolve_precision,
    training_samples,
    validate,
)
from fame.training.memory import check_memory, memory_need
from fame.training.record import Record, recorded
from fame.training.runs import Phase, RunFolder
from fame.training.warm_start import Start, TakenOver, check_start, take_over
from fame.training.workers import Workers, join

logger = logging.getLogger(__name__)

# Settings that may differ between a run and its resumption: they do not change what an epoch does.
_MAY_CHANGE = {"epochs", "patience", "device", "compile"}
# People whose explanations are tested after training: enough for an interval, in a tenth of the
# time that `python -m fame survey` takes.
_SURVEYED = 50
_RELAY_SECONDS = 1.0  # within which a launcher passes a signal on


def stored_settings(out: Path) -> tuple[ModelConfig, TrainConfig] | None:
    """The configurations of the run in ``out``, to resume it with.

    ``None`` where it was stopped before it had written them down.
    """
    run = RunFolder(out)
    run.check(resume=True)
    if run.is_beginning() and not (out / CONFIG).exists():
        return None
    stored = read_description(out)
    return stored.model_config, stored.train_config


def train(
    dataset: Dataset,
    model_config: ModelConfig,
    train_config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    projection: bool = True,
    facets: bool = True,
    survey: bool = False,
    tensorboard: bool = False,
    card: Callable[[Checkpoint], str] | None = None,
    choice: Mapping[str, Any] | None = None,
    start: Start | None = None,
    on_step: Callable[[Progress], None] = ignore,
    on_ranked: Callable[[Ranked], None] = ignore,
    on_phase: Callable[[str], None] = ignore,
) -> bool:
    """Trains a model and leaves a checkpoint folder.

    Under ``accelerate launch`` every process calls this, all of them train, and only the first one
    writes, reports progress and goes on after training.

    After every epoch the run can be resumed, and whenever the validation figure improves the
    folder holds a checkpoint that opens. SIGINT and SIGTERM end the run after the step it is in,
    with the best epoch so far as its checkpoint.

    Args:
        dataset: Histories and catalogue.
        out: The run's folder; it must be new or empty, or an interrupted run of these settings
            with ``resume``. One of which no epoch had ended begins again, with or without it.
        projection: Whether to make the UMAP projection at the end.
        facets: Whether to look at the end which heads are facets, and name them. Where that fails
            the run has finished all the same, and its status says what failed.
        survey: Whether to look at everybody at the end, for people to show and tested explanations;
            where that fails it is as with ``facets``.
        tensorboard: Whether to write event files for TensorBoard into the run's folder.
        card: Writes the model card, in Markdown, of the finished checkpoint; without it there is
            none.
        choice: What was chosen for a data set without a recipe, and why, to be kept beside the
            checkpoint (:func:`fame.checkpoint.write_choice`); a resumed run has it already.
        start: A checkpoint whose weights are where training starts. It is validated before the
            first epoch, and stays the best model where no epoch is better.

    Returns:
        Whether the run came to its end; ``False`` where it was interrupted.
    """
    data = dataset.interactions
    check_loss_shares(model_config, train_config)
    if tensorboard:
        check_tensorboard()
    run = RunFolder(out)
    with telling_of(out):
        beginning = run.is_beginning()
    begins_again = beginning and (resume or run.status() is not None)
    if resume and beginning and start is None and (out / START).is_file():
        raise FameError(
            f"The run in {out} started from another checkpoint, and none of its epochs had ended: "
            "say with --from which one, and it begins again."
        )
    resume = resume and not beginning
    if start is not None:
        if resume:
            raise FameError(f"The run in {out} goes on with its own weights; leave --from away.")
        check_start(start.checkpoint, model_config, out)
    item_vectors = None
    if train_config.item_start == "catalogue" and not resume:  # what is resumed has its items
        # New items of a model that has learned start among its own, where those had started.
        items, placed = dataset.items, None
        if start is not None:
            items, placed = start.checkpoint.items, dataset.items
        item_vectors = catalogue_vectors(
            items,
            model_config.width,
            model_config.heads,
            train_config.start_facets,
            placed=placed,
        )
    attributes, values = ItemAttributes.of(dataset.items), None
    value_names: tuple[tuple[str, ...], ...] = ()
    if made_of_values(model_config):
        made = head_values(attributes, model_config.facet_shares, data.num_items)
        values, value_names = ValueIndex.of(made.counts, made.value, made.start), made.names
    taken_over: list[TakenOver] = []

    def from_start(model: SequenceModel, checkpoint: Checkpoint) -> None:
        taken_over.append(take_over(model, checkpoint, data.item_ids[1:].tolist(), value_names))

    workers = join(resolve_device(train_config.device))
    with ExitStack() as stack:
        # From here on, so that a stop while the data and the model are made ready is heard as well.
        stop = stack.enter_context(_stop_signals(relayed=workers.count > 1))

        def begin() -> Record:
            _check(run, dataset, model_config, train_config, workers, values, resume=resume)
            stack.enter_context(run.taken(resume=resume))
            if begins_again:
                logger.warning("No epoch of the run in %s had ended: it begins again.", out)
            return stack.enter_context(
                recorded(
                    run,
                    dataset,
                    model_config,
                    train_config,
                    workers,
                    on_step,
                    on_ranked,
                    on_phase,
                    values,
                    choice,
                    tensorboard=tensorboard,
                )
            )

        record = workers.on_first(begin)
        state = new_state(
            model_config,
            train_config,
            data.num_items,
            workers.device,
            item_vectors=item_vectors,
            values=values,
            take_over=None if start is None else partial(from_start, checkpoint=start.checkpoint),
        )
        if resume:
            run.load_state(state)
            logger.info("resumed after epoch %d", state.epoch)
        if start is not None:
            figures = validate(state.ranking_model, data, workers)
            state.best_score = figures[SELECTION]
            state.best_weights = copy_of_weights(state.ranking_model)
            if record:
                record.started(state, _start_document(start, taken_over[0], figures))
        if record:
            record.enter("training")
        finished = fit(
            state,
            data,
            train_config,
            attributes=attributes,
            workers=workers,
            on_step=record.step if record else ignore,
            on_ranked=record.ranked if record else None,
            on_epoch=record.epoch if record else ignore,
            should_stop=stop.is_set,
        )
        workers.leave()
        if not record:  # the first process does the rest alone
            return finished
        return _finish(
            record,
            state,
            dataset,
            finished=finished,
            projection=projection,
            facets=facets,
            survey=survey,
            card=card,
            should_stop=stop.is_set,
        )


def _finish(
    record: Record,
    state: TrainState,
    dataset: Dataset,
    *,
    finished: bool,
    projection: bool,
    facets: bool,
    survey: bool,
    card: Callable[[Checkpoint], str] | None,
    should_stop: Callable[[], bool],
) -> bool:
    """Makes a checkpoint of the best epoch, with its figures; whether nothing is left to do.

    A stop while it ranks leaves the projection for when the run goes on.
    """
    out = record.run.path
    if not state.epoch:
        # Stopped within the first epoch: there is no model yet, and nothing to resume.
        record.status.message = "Stopped before the first epoch ended: there is nothing to keep."
        record.enter("stopped")
        return False
    record.enter("evaluating")
    state.model.load_state_dict(state.best_weights)
    write_weights(out, state.best_weights)
    reader = _told_by(record, state, dataset.interactions)
    ranks = model_ranks(state.model, dataset.interactions, "test", on_read=reader)
    record.run.write_ranks(ranks)
    metrics = _final_metrics(state, dataset, record.status.device, ranks, reader)
    write_metrics(out, metrics)
    if card is not None:
        write_text(out / CARD, card(load_checkpoint(out)))
    test = metrics["test"]
    logger.info("test: HR@10 %.4f, NDCG@10 %.4f", test["HR@10"], test["NDCG@10"])
    if not finished or (projection and should_stop()):
        record.enter("stopped")
        return False
    if projection:
        record.enter("projecting")
        checkpoint = load_checkpoint(out)
        drawn = project(checkpoint.model, checkpoint.items["item_id"].tolist())
        write_projection(out, drawn, checkpoint.weights_hash)
    record.run.drop_state()  # from here on nothing can be lost
    looks: list[tuple[bool, Phase, Look, str, str]] = [
        (
            facets and state.model.heads > 1,
            "naming",
            _name_heads,
            "The heads were not named",
            "facets",
        ),
        (survey, "surveying", _survey, "Nobody was looked at", "survey"),
    ]
    said = []
    for wanted, phase, look, failed, command in looks:
        if wanted and not should_stop():
            record.enter(phase)
            said.append(_looked(record, dataset, should_stop, look, failed, command))
            logger.info("%s", said[-1])
    record.status.message = " ".join(filter(None, said))
    record.enter("finished")
    return True


def _start_document(start: Start, taken: TakenOver, figures: Mapping[str, float]) -> dict[str, Any]:
    """What is kept of the checkpoint that a training started from."""
    checkpoint = start.checkpoint
    return {
        "name": checkpoint.name,
        "weights": checkpoint.weights_hash,
        "data": checkpoint.data.fingerprint,
        "given": dict(start.given),
        "taken_over": asdict(taken),
        "valid": dict(figures),
    }


Look = Callable[[Checkpoint, Dataset, Callable[[str, float | None], None]], str]


def _looked(
    record: Record,
    dataset: Dataset,
    should_stop: Callable[[], bool],
    look: Look,
    failed: str,
    command: str,
) -> str:
    """Looks at the finished model, and says what came of it; nothing that fails here ends a run.

    A stop leaves it for ``python -m fame`` and the command.
    """

    told = ""

    def go_on(text: str, share: float | None) -> None:
        nonlocal told
        if should_stop():
            raise FameError("It was stopped.")
        if text != told:  # some say it at every batch of people
            logger.info("%s ...", text)
        told = text

    try:
        return look(load_checkpoint(record.run.path), dataset, go_on)
    except (Exception, KeyboardInterrupt) as error:
        reason = str(error) if isinstance(error, FameError) else repr(error)
        return (
            f"{failed}. {reason} It can be done later: python -m fame {command} {record.run.path}"
        )


def _name_heads(
    checkpoint: Checkpoint, dataset: Dataset, go_on: Callable[[str, float | None], None]
) -> str:
    """Looks which heads are facets."""
    sasrec = sasrec_beside(checkpoint)
    found = survey_facets(checkpoint, dataset.interactions, sasrec=sasrec, on_progress=go_on)
    write_opening(checkpoint)
    told = [head.name for head in found.heads if head.name]
    nameless = [str(head.head + 1) for head in found.heads if not head.name]
    if nameless:
        told.append(f"no name for Head{'s' * (len(nameless) > 1)} {', '.join(nameless)}")
    return f"Heads by evidence: {', '.join(told)}."


def _survey(
    checkpoint: Checkpoint, dataset: Dataset, go_on: Callable[[str, float | None], None]
) -> str:
    """Looks at everybody once."""
    people, _ = look_at_everybody(
        checkpoint, dataset.interactions, sample=_SURVEYED, on_progress=go_on
    )
    return f"{people.looked_at:,} people were looked at."


def _told_by(record: Record, state: TrainState, data: Interactions) -> Reader:
    """A reader for all rankings after training, one after another, that tells how far they are.

    Not how long they take: heads' own lists take several times as long as the fused ones.
    """
    test, valid = len(held_out(data, "test")), len(held_out(data, "valid"))
    people = test + valid + (test if state.model.experts else 0)

    return counting(lambda done, _: record.ranked(Ranked(None, state.epoch, done, people, None)))


def _final_metrics(
    state: TrainState, dataset: Dataset, device: str, ranks: np.ndarray, reader: Reader
) -> dict[str, Any]:
    """What ``metrics.json`` says, given the ranks of the test split; the reader reads the rest."""
    data = dataset.interactions
    return {
        "protocol": protocol(data.repeats),
        "repeats": data.repeats,
        "repeated_targets": repeated_share(data),
        "selection": f"best validation {SELECTION}",
        "best_epoch": state.best_epoch,
        "epochs": state.epoch,
        "parameters": state.model.parameter_count,
        "train_seconds": sum(row["train_seconds"] for row in state.history),
        "device": device,
        "valid": evaluate(state.model, data, "valid", on_read=reader),
        "test": {"users": len(ranks), **summarise_targets(ranks, data, "test")},
        "baselines": {
            name: summarise_targets(ranks, data, "test")
            for name, ranks in baseline_ranks(data, "test").items()
        },
        "heads": head_report(state.model, data, "test", on_read=reader),
        FORMING: [
            {"epoch": row["epoch"], RECORD: row[RECORD]}
            for row in state.history
            if row.get(RECORD) is not None
        ],
    }


def _check(
    run: RunFolder,
    dataset: Dataset,
    model_config: ModelConfig,
    train_config: TrainConfig,
    workers: Workers,
    values: ValueIndex | None,
    *,
    resume: bool,
) -> None:
    """``FameError`` for a run that cannot work, before anything is touched."""
    if not run.is_held():  # else it is said where it is to be held
        run.check(resume=resume)
    if resume:
        _check_resumable(run.path, dataset, model_config, train_config)
    need = memory_need(
        model_config,
        train_config,
        dataset.interactions.num_items,
        training_samples(dataset.interactions, model_config, train_config),
        device=workers.device,
        precision=resolve_precision(train_config.precision, workers.device),
        processes=workers.count,
        values=values,
    )
    check_memory(need, workers.device, sharing=workers.sharing)


def _check_resumable(
    out: Path, dataset: Dataset, model_config: ModelConfig, train_config: TrainConfig
) -> None:
    description = read_description(out)
    stored = {**description.model_config.to_dict(), **description.train_config.to_dict()}
    wanted = {**model_config.to_dict(), **train_config.to_dict()}
    for key, value in wanted.items():
        if key not in _MAY_CHANGE and value != stored[key]:
            raise FameError(
                f"The run in {out} was started with {key}={stored[key]} and cannot be resumed with "
                f"{key}={value}; leave the setting away, or start a new run."
            )
    info, now = description.data, DataInfo.of(dataset.interactions, dataset.items)
    for name in ("fingerprint", "catalogue"):
        former, present = getattr(info, name), getattr(now, name)
        if former != present:
            raise FameError(
                f"The run in {out} was started on other data ({info.name}, {name} {former[:12]}, "
                f"now {present[:12]}); start a new run."
            )
    if info.repeats != now.repeats:
        raise FameError(
            f"The run in {out} was started with repeats={info.repeats} and {info.name} has now "
            f"repeats={now.repeats}; import the data set with --repeats {info.repeats} again, or "
            "start a new run."
        )
    if description.code != CODE_VERSION:
        raise FameError(
            f"The run in {out} was started by version {description.code} of the code and this is "
            f"version {CODE_VERSION}, which trains otherwise; start a new run."
        )


@contextmanager
def _stop_signals(*, relayed: bool) -> Iterator[threading.Event]:
    """An event that SIGINT or SIGTERM sets; a second signal acts as it always did.

    Args:
        relayed: Whether a launcher may pass a signal on that this process had already, as where a
            cluster stops a job. What comes within a second is then no second signal.
    """
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop  # only the main thread may handle signals
        return
    before: dict[int, Any] = {}
    asked = 0.0

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if not stop.is_set():
            asked = time.monotonic()
            stop.set()
        elif not relayed or time.monotonic() - asked > _RELAY_SECONDS:
            signal.signal(number, before[number])
            signal.raise_signal(number)

    for number in (int(signal.SIGINT), int(signal.SIGTERM)):
        before[number] = signal.signal(number, handle)
    try:
        yield stop
    finally:
        if relayed and stop.is_set():
            time.sleep(max(0.0, asked + _RELAY_SECONDS - time.monotonic()))
        for number, handler in before.items():
            signal.signal(number, handler)
