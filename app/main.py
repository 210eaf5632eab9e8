"""The app's frame: page settings and navigation."""

from pathlib import Path

import streamlit as st

import components
import resources
import state

ASSETS = Path(__file__).parent / "assets"
SCRIPTS = ("history.js", "help.js")  # what they mend of Streamlit's they say themselves
st.set_page_config(page_title="FAME Lens", page_icon=str(ASSETS / "icon.png"), layout="wide")

PAGES = {
    "views/lens.py": ("Lens", ":material/center_focus_strong:"),
    "views/facets.py": ("Facets", ":material/category:"),
    "views/atlas.py": ("Atlas", ":material/scatter_plot:"),
    "views/train.py": ("Train", ":material/model_training:"),
}
page = st.navigation(
    [
        st.Page(file, title=title, icon=icon, default=title == "Lens")
        for file, (title, icon) in PAGES.items()
    ],
    position="top" if state.presenting() else "sidebar",  # on a stage there is no sidebar
)
scripts = "".join((ASSETS / name).read_text(encoding="utf-8") for name in SCRIPTS)
st.html(f"<script>{scripts}</script>", unsafe_allow_javascript=True)
resources.upload_limit()  # before any page, so that a demonstration takes no file
with components.guard():
    page.run()
if not state.presenting():
    with st.sidebar:
        components.presenter_toggle()
        components.glossary()
