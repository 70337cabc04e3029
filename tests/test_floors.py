"""The house of the design: imports go down the floors only, and few rooms know each other."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

FLOORS = {
    "transformer": 0,
    "errors": 0,
    "config": 0,
    "device": 0,
    "signals": 0,
    "tables": 0,
    "text": 1,
    "model": 1,
    "search": 1,
    "metrics": 1,
    "pictures": 1,
    "checkpoint": 2,
    "translation": 3,
    "training": 4,
    "evaluation": 4,
    "interop": 4,
    "serving": 4,
    "cli": 5,
    "__main__": 6,
}

STRANGERS = {"text", "model", "search", "metrics", "pictures"}

MODULES = sorted((ROOT / "transformer").rglob("*.py"))


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def room_of(file: Path) -> str:
    parts = file.relative_to(ROOT / "transformer").with_suffix("").parts
    return "transformer" if parts == ("__init__",) else parts[0]


def imports_of(file: Path) -> Iterator[str]:
    """The dotted names that `file` imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(file)} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported(file: Path) -> set[str]:
    rooms = set()
    for name in imports_of(file):
        first, *rest = name.split(".")
        if first == "transformer":
            rooms.add(rest[0] if rest and rest[0] in FLOORS else "transformer")
    return rooms - {room_of(file)}


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_a_module_imports_lower_floors_only(file: Path) -> None:
    room = room_of(file)
    assert room in FLOORS, f"{name_of(file)} stands on no floor"
    for other in rooms_imported(file):
        same_ground = FLOORS[room] == FLOORS[other] == 0
        assert same_ground or FLOORS[other] < FLOORS[room], f"{room} imports {other}"


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_text_model_search_and_metrics_do_not_know_each_other(file: Path) -> None:
    if room_of(file) in STRANGERS:
        assert not rooms_imported(file) & STRANGERS


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_only_the_command_line_knows_hydra(file: Path) -> None:
    libraries = {name.partition(".")[0] for name in imports_of(file)}
    if room_of(file) != "cli":
        assert not libraries & {"hydra", "omegaconf"}


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_nothing_imports_from_the_tests_or_the_scripts(file: Path) -> None:
    libraries = {name.partition(".")[0] for name in imports_of(file)}
    assert not libraries & {"tests", "scripts", "pytest", "hypothesis"}


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_a_file_but_for_its_tables_is_about_300_lines_at_most(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    tables = [
        (node.end_lineno or 0) - node.lineno
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    assert len(text.splitlines()) - sum(tables) <= 330


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_a_function_fits_on_a_screen(file: Path) -> None:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 50, f"{node.name} is too long"
