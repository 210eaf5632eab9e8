"""Train: how well does a model learn this data?"""

import streamlit as st

import components
import state
from train_parts import compare, ended, form, own_log, watch

QUESTION = "How well does a model learn this data?"
LEDE = (
    "Training is a process of its own: it goes on when you close this page or the app, and this "
    "page finds it again. One run at a time has a device; others wait in a queue."
)
OWN = ("run", "runs", "present")  # what this page keeps in its address


def main() -> None:
    state.begin("train", OWN)
    place = components.page_head(QUESTION, LEDE)
    asked, live = st.columns([2, 3], gap="large")
    with asked:
        form.new_run()
    with live:
        watch.chosen_run()
    own_log.own_log()
    components.tell(place)
    compare.past_runs()
    ended.trash()
    state.publish(OWN)


main()
