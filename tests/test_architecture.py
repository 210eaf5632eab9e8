"""Which way imports go, read from the sources with ``ast``: nothing is imported or run here."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

from fame.models.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
# ``streamlit run app/main.py`` puts app/ itself on the path, so its modules have names without app.
FOLDERS = {"fame": ROOT, "app": ROOT / "app"}


def module_name(file: Path, root: Path) -> str:
    parts = file.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules(package: str) -> dict[str, Path]:
    """Every module of ``fame`` or ``app`` by its importable name."""
    return {
        module_name(file, FOLDERS[package]): file for file in sorted((ROOT / package).rglob("*.py"))
    }


def imported(source: str, module: str, *, is_package: bool = False) -> Iterator[str]:
    """Dotted names that a source imports anywhere in it, relative ones made absolute.

    ``from a import b`` gives both ``a`` and ``a.b``, since b may be a module.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")
                above = above[: len(above) - node.level + is_package]
                base = ".".join([*above, *base.split(".")]).strip(".")
            yield base
            for alias in node.names:
                yield f"{base}.{alias.name}"


@cache
def imports_of(package: str, module: str) -> frozenset[str]:
    file = modules(package)[module]
    source = file.read_text(encoding="utf-8")
    return frozenset(imported(source, module, is_package=file.name == "__init__.py"))


def within(name: str, packages: Iterable[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def third_party(names: Iterable[str]) -> set[str]:
    """Top-level packages that are neither the standard library's nor ours."""
    tops = {name.partition(".")[0] for name in names}
    return tops - sys.stdlib_module_names - {"fame"} - set(modules("app"))


def reached_from(package: str, module: str) -> set[str]:
    """The module and everything of its own package that it imports, directly or not."""
    reached, waiting = set(), [module]
    while waiting:
        current = waiting.pop()
        if current not in reached:
            reached.add(current)
            waiting += [name for name in imports_of(package, current) if name in modules(package)]
    return reached


def all_imports(package: str, names: Iterable[str]) -> set[str]:
    return {name for module in names for name in imports_of(package, module)}


# --- the reader itself ------------------------------------------------------------------------


def test_imports_are_read_wherever_they_stand():
    source = "import a.b\nfrom c import d\ndef f():\n    from . import e\n    from .g import h\n"
    assert set(imported(source, "p.q")) == {"a.b", "c", "c.d", "p", "p.e", "p.g", "p.g.h"}
    assert set(imported("from .x import y", "p", is_package=True)) == {"p.x", "p.x.y"}


def test_there_is_something_to_read():
    assert {"fame.models.registry", "fame.losses", "fame.lens.trace"} <= set(modules("fame"))


# --- the library ------------------------------------------------------------------------------


@pytest.mark.parametrize("module", modules("fame"))
def test_the_library_knows_no_app_and_draws_nothing(module):
    names = imports_of("fame", module)
    assert not any(within(name, ("app", "streamlit", "plotly")) for name in names)
    assert not {name.partition(".")[0] for name in names} & set(modules("app"))


def test_the_model_sees_no_data_no_paths_no_pandas_and_no_optimizer():
    models = [module for module in modules("fame") if within(module, ("fame.models",))]
    reached = set().union(*(reached_from("fame", module) for module in models))
    assert reached <= {*models, "fame.config", "fame.errors", "fame"}
    names = all_imports("fame", reached - {"fame"})
    assert third_party(names) == {"torch"}
    assert not any(within(name, ("pathlib", "os", "io", "json", "torch.optim")) for name in names)


@pytest.mark.parametrize(
    ("module", "allowed"),
    [("fame.models.layers", ()), ("fame.models.moe_attention", ("fame.models.layers",))],
)
def test_layers_know_one_another_at_most(module, allowed):
    names = [name for name in imports_of("fame", module) if within(name, ("fame",))]
    assert all(within(name, allowed) for name in names)


@pytest.mark.parametrize("module", ["fame.losses", "fame.metrics"])
def test_losses_and_metrics_import_torch_and_numpy_only(module):
    names = imports_of("fame", module)
    assert third_party(names) <= {"torch", "numpy"}
    assert not any(within(name, ("fame",)) for name in names)


def test_configuration_needs_no_third_party():
    assert not third_party(all_imports("fame", reached_from("fame", "fame.config")))


def test_the_table_of_models_loads_no_third_party():
    """Names, shapes and settings are told without torch; the models are imported when built."""
    program = (
        "import sys; before = set(sys.modules); import fame.models.registry; "
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert set(done.stdout.split()) <= sys.stdlib_module_names | {"fame"}


def test_only_the_table_of_models_and_their_own_files_know_one_by_its_name():
    """What differs from model to model stands in the table, so a further one needs no branch."""
    names = "|".join(MODELS)
    branch = re.compile(rf"""[!=]= ["']({names})["']|\bin \(["']({names})["']""")
    for package in ("fame", "app"):
        for module, file in modules(package).items():
            found = branch.search(file.read_text(encoding="utf-8"))
            assert found is None, f"{module}: {found}"


def is_of_a_model(name: str) -> bool:
    """Whether what is imported is a model or builds one; the table alone says names and shapes."""
    table = within(name, ("fame.models.registry",)) or name == "fame.models"
    return name == "fame.models.registry.build_model" or (
        within(name, ("fame.models",)) and not table
    )


def test_data_meets_the_model_only_where_it_is_trained_and_evaluated():
    """Besides: a checkpoint names the data it was made of, one is brought to a set that has grown
    since, and the command line wires."""
    places = {"fame.evaluate", "fame.checkpoint", "fame.grown", "fame.cli"}
    meeting = {
        module
        for module in modules("fame")
        if any(within(name, ("fame.data",)) for name in imports_of("fame", module))
        and any(is_of_a_model(name) for name in imports_of("fame", module))
    }
    assert {
        name
        for name in meeting
        if not within(name, ("fame.training", "fame.experiments", "fame.bench"))
    } <= places


@pytest.mark.parametrize(
    "module", [name for name in modules("fame") if within(name, ("fame.lens", "fame.facets"))]
)
def test_lens_and_facets_work_on_ids_and_tensors(module):
    """They see no data set and train nothing; titles are joined at the edge."""
    far = ("fame.data", "fame.training", "fame.cli", "fame.bench", "fame.experiments")
    assert not any(within(name, far) for name in imports_of("fame", module))


def test_data_knows_no_model():
    for module in modules("fame"):
        if within(module, ("fame.data",)):
            names = imports_of("fame", module)
            assert "torch" not in third_party(names), module
            ours = {name for name in names if within(name, ("fame",))}
            allowed = ("fame.data", "fame.errors", "fame.files")
            assert all(name == "fame" or within(name, allowed) for name in ours), module


def test_the_command_line_is_the_outermost_layer():
    importers = {
        module
        for module in modules("fame")
        if any(within(name, ("fame.cli",)) for name in imports_of("fame", module))
    }
    assert importers <= {"fame.__main__"}


def rooms_of(package: str) -> dict[str, set[str]]:
    """Every room (a folder, or a module outside one) and the rooms that it imports from."""
    rooms: dict[str, set[str]] = {}
    for module in modules(package):
        room = module.split(".")[1] if "." in module else module
        names = {name for name in imports_of(package, module) if within(name, (package,))}
        others = {name.split(".")[1] for name in names if "." in name}
        rooms.setdefault(room, set()).update(others - {room})
    return rooms


def cycle_in(rooms: dict[str, set[str]]) -> list[str]:
    """One way round among rooms that import one another; empty where there is none."""
    finished: set[str] = set()

    def visit(room: str, above: list[str]) -> list[str]:
        if room in above:
            return above[above.index(room) :]
        if room in finished or room not in rooms:
            return []
        for other in sorted(rooms[room]):
            if found := visit(other, [*above, room]):
                return found
        finished.add(room)
        return []

    return next((found for room in rooms if (found := visit(room, []))), [])


def test_a_cycle_is_found():
    assert cycle_in({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c"]
    assert not cycle_in({"a": {"b", "c"}, "b": {"c"}, "c": set()})


def test_no_two_rooms_of_the_library_need_each_other():
    assert not cycle_in(rooms_of("fame"))


# --- the app ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module", [name for name in modules("app") if within(name, ("views",)) and name != "views"]
)
def test_views_do_not_import_one_another(module):
    assert not any(within(name, ("views", "app.views")) for name in imports_of("app", module))


def test_charts_take_tables_only():
    """Neither they nor what they import know the page, or ask the library for figures."""
    if "charts" not in modules("app"):
        pytest.skip("there is no app/charts.py yet")
    ours = {name for name in imports_of("app", "charts") if within(name, ("fame",))}
    assert all(within(name, ("fame.presentation",)) for name in ours)  # colours, names, text
    reached = reached_from("app", "charts")
    assert not reached & {"resources", "state", "components"}
    assert third_party(all_imports("app", reached)) <= {"plotly", "pandas", "numpy"}


@pytest.mark.parametrize("module", modules("app"))
def test_the_app_has_no_file_named_after_a_module_of_the_standard_library(module):
    assert module.rpartition(".")[2] not in sys.stdlib_module_names - {"__init__"}


@pytest.mark.parametrize("module", modules("app"))
def test_the_app_does_not_train_in_its_own_process(module):
    """Training is a process of its own; the app reads its folder and launches it."""
    names = imports_of("app", module)
    assert not any(within(name, ("fame.training.loop", "fame.training.train")) for name in names)


# What may stand in a tooltip as it is: text that we wrote ourselves, by file.
OUR_OWN_WORDS = {
    ("components", "explain(*terms)"),
    ("pickers", "label"),  # of the buttons beside a click
    ("train_parts.fields", "does"),
    ("train_parts.fields", "name"),
    ("train_parts.own_log", "does"),
    ("train_parts.own_log", "option"),
    ("train_parts.own_log", "role"),
    ("train_parts.form", "' '.join((spec.about for spec in MODELS.values()))"),
}


def unescaped(value: ast.expr, module: str) -> Iterator[str]:
    """The parts of an expression that Streamlit would read as Markdown, whatever they hold."""
    if isinstance(value, ast.JoinedStr):
        for part in value.values:
            yield from unescaped(part, module)
    elif isinstance(value, ast.FormattedValue):
        yield from unescaped(value.value, module)
    elif isinstance(value, ast.IfExp):
        yield from unescaped(value.body, module)
        yield from unescaped(value.orelse, module)
    elif not (
        isinstance(value, ast.Constant)
        or (isinstance(value, ast.Call) and ast.unparse(value.func) == "for_markdown")
        or (isinstance(value, ast.Name) and value.id.lstrip("_").isupper())
        or (module, ast.unparse(value)) in OUR_OWN_WORDS
    ):
        yield ast.unparse(value)


def tooltips(source: str) -> Iterator[ast.expr]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "help")


@pytest.mark.parametrize("module", modules("app"))
def test_tooltips_hold_no_markdown_out_of_data(module):
    """A tooltip is Markdown: a name out of the data could draw a picture from elsewhere."""
    for value in tooltips(modules("app")[module].read_text(encoding="utf-8")):
        assert not list(unescaped(value, module)), ast.unparse(value)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('f"In {data.name}, {len(data):,} people"', ["data.name", "len(data)"]),
        ('for_markdown(f"In {data.name}")', []),
        ('f"In {for_markdown(name)} and {_FEW}" if wide else title', ["title"]),
        ("label", ["label"]),
        ('"Plain" + name', ["'Plain' + name"]),
    ],
)
def test_unescaped_tooltips_are_found(value, found):
    (tooltip,) = tooltips(f'st.button("x", help={value})')
    assert list(unescaped(tooltip, "views.lens")) == found


# --- both -------------------------------------------------------------------------------------


def test_every_thing_lives_in_the_room_named_after_it():
    heaps = {"utils", "util", "helpers", "helper", "common", "misc", "scripts"}
    for folder in ("fame", "app", "tests"):
        for file in (ROOT / folder).rglob("*.py"):
            parts = set(file.relative_to(ROOT).with_suffix("").parts)
            assert not parts & heaps, file


def test_the_app_caches_in_one_file_only():
    """Cache decorators stand together in resources.py, so that their keys can be compared."""
    for module, file in modules("app").items():
        if module != "resources":
            text = file.read_text(encoding="utf-8")
            assert "cache_resource" not in text and "cache_data" not in text, module


# --- the README -------------------------------------------------------------------------------


def test_the_readme_shows_the_files_as_they_are():
    """Whatever its tree names exists, and no module of the library or the app is missing in it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    tree = readme.split("## Files", 1)[1].split("```")[1]
    named, folder = set(), ""
    for line in tree.strip().splitlines():
        names = line[:24].split()
        if not line.startswith(" "):
            folder = names[0]
        named |= {folder if not line.startswith(" ") else folder + name for name in names}
    for name in named:
        assert (ROOT / name).exists(), f"the README's tree names {name}, which is not there"
    for room in ("app", "fame"):
        for path in (ROOT / room).iterdir():
            if path.suffix == ".py" and not path.name.startswith("__"):
                assert f"{room}/{path.name}" in named, f"{room}/{path.name} is not in the tree"
