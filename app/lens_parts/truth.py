"""Is the explanation true? The deletion test, for this list and for the checkpoint."""

from __future__ import annotations

import streamlit as st

import charts
import components
import resources
import tables
from fame.errors import CheckpointError
from fame.lens.faithfulness import DRAWS, MEASURES, Measure
from fame.presentation import sentences
from lens_parts.scene import Scene

_PATIENCE = 0.8  # seconds that the page waits before it shows that it is waiting


def truth(scene: Scene) -> None:
    components.section("Is the explanation true?", "Deletion test", "Influence")
    components.quiet(
        "The explanation names the clicks that the list hangs on. Its first one was found by "
        "taking clicks away, so that one proves nothing, and every order here begins with it. If "
        "the explanation is true beyond it, taking away those it names next changes more than "
        "taking away as many others at random."
    )
    measure = st.segmented_control(
        "Measured by",
        list(MEASURES),
        default="list",
        format_func=lambda name: MEASURES[name].capitalize(),
        required=True,
        key="truth-measure",
        label_visibility="collapsed",
    )
    left, right = st.columns(2, gap="large")
    with left:
        components.part("For this list")
        _of_this_list(scene, measure)
    with right:
        components.part("For the checkpoint as a whole")
        _of_the_checkpoint(scene, measure)


def _of_this_list(scene: Scene, measure: Measure) -> None:
    test = resources.deletion(scene.opened, scene.history, scene.k, scene.desk)
    if test.thread is not None:
        test.thread.join(_PATIENCE)
        if test.thread.is_alive():
            _wait(test)
            return
    if test.curves is None:
        components.quiet("The test failed for a reason of ours; the app's log has it.")
        return
    curve = test.curves.get(measure)
    components.words(sentences.faithfulness_sentence(curve))
    if curve is not None:
        table = tables.deletion_table(curve)
        figure = charts.deletion_curves(table, _axis(measure), share=measure == "list")
        components.chart(figure, "deletion")
        components.quiet(
            f"The grey band holds 95 % of {len(curve.random)} random orders. The explanation holds "
            "where at most 2.5 % of the orders do as much, so an order drawn at random hardly ever "
            "would; it fails where at most 2.5 % do as little."
        )


@st.fragment(run_every=0.7)
def _wait(test: resources.DeletionTest) -> None:
    """Says that the test is under way; the page is drawn anew when it has ended."""
    if test.thread is not None and test.thread.is_alive():
        components.quiet(
            f"Running the model on the history with clicks taken away in {DRAWS} random orders; "
            "that takes a few seconds where the history is long …"
        )
    else:
        st.rerun()


def _axis(measure: Measure) -> str:
    return MEASURES[measure].capitalize()


def _of_the_checkpoint(scene: Scene, measure: Measure) -> None:
    try:
        tested = resources.faithfulness(scene.opened)
    except CheckpointError as error:
        components.quiet(str(error))
        return
    if tested is None:
        components.quiet("The explanations of this checkpoint have not been tested. In a terminal:")
        st.code(
            components.command_about(scene.opened.path, "survey"), language="bash", wrap_lines=True
        )
        return
    measured = tested.measures.get(measure)
    if measured is None:
        components.quiet("Nobody in the sample had a history that is long enough to test.")
        return
    components.words(sentences.checkpoint_sentence(measure, measured))
    table = tables.measured_table(measured)
    figure = charts.deletion_curves(table, _axis(measure), share=measure == "list")
    components.chart(figure, "deletion-all")
    components.quiet(
        f"Mean over {measured.people:,} people drawn with seed {tested.seed}, lists of "
        f"{tested.list_length}, {tested.draws} random orders each, which begin with the same "
        "click as the explanation. Further to the right there are fewer people, because not "
        "everybody has that many clicks."
    )
