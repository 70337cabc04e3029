"""What lies in configs/: it composes, it repeats no default, and the code reads every setting."""

import ast
import shlex
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import yaml
from omegaconf import OmegaConf

from transformer import config
from transformer.cli.compose import Composer
from transformer.cli.main import COMMANDS, parser
from transformer.cli.sweeping.runs import plan
from transformer.cli.sweeping.sweep import single
from transformer.config.data import DATA_CLASSES, DataConfig

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
GROUP_FILES = sorted(CONFIGS.glob("*/*.yaml"))

# What the settings of a group lack of themselves.
COMPLETION = {
    "data/files": ["data.source=en", "data.target=de", "data.train=a", "data.valid=b"],
    "data/hub": ["data.source=en", "data.target=de", "data.path=a"],
    **{
        f"data/{name}": ["data.source=en", "data.target=de", "data.train=a", "data.valid=b"]
        for name in ("tsv", "csv", "jsonl", "parquet", "tmx", "xliff", "po", "moses")
    },
    "translate": ["checkpoint=a"],
    "score": ["checkpoint=a", "source=b", "target=c"],
    "evaluate": ["checkpoint=a"],
    "attention": ["checkpoint=a", "output=b.html"],
    "report": ["run_dir=a"],
    "average": ["checkpoint=a", "output=b"],
    "shortlist": ["checkpoint=a", "output=b"],
}


def name_of(file: Path) -> str:
    return str(file.relative_to(CONFIGS).with_suffix(""))


def content(file: Path) -> dict[str, Any]:
    values = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    assert isinstance(values, dict)
    return values


def data_chosen(file: Path) -> str:
    """The group of data that an experiment chooses; the default one where it chooses none."""
    for entry in content(file).get("defaults", []):
        if isinstance(entry, dict) and "override /data" in entry:
            return str(entry["override /data"])
    return "phrasebook"


@cache
def composer_of(name: str) -> Composer:
    """That of a command, which keeps what it has composed without overrides."""
    return Composer(name, COMMANDS[name].settings)


@cache
def groups_of(name: str) -> frozenset[str]:
    """The groups of a command."""
    return frozenset(composer_of(name).compose([]).groups)


def test_each_command_has_its_file_and_each_file_its_command() -> None:
    assert {file.stem for file in CONFIGS.glob("*.yaml")} == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_composes(name: str) -> None:
    settings = composer_of(name).settings(COMPLETION.get(name, []))
    assert type(settings) is COMMANDS[name].settings


@pytest.mark.parametrize("file", GROUP_FILES, ids=name_of)
def test_a_group_composes_with_every_command_that_has_it(file: Path) -> None:
    group, option = name_of(file).split("/")
    data = data_chosen(file) if group == "experiment" else option
    completion = COMPLETION.get(f"data/{data}", [])
    users = [composer_of(name) for name in COMMANDS if group in groups_of(name)]
    assert users
    for composer in users:
        of_command = COMPLETION.get(composer.name, [])
        composer.settings([f"{group}={option}", *completion, *of_command])


def documented() -> list[str]:
    """The command lines in the documentation and in --help, placeholders included."""
    texts = [file.read_text("utf-8") for file in [ROOT / "README.md", *ROOT.glob("docs/*.md")]]
    joined = [text.replace("\\\n", " ") for text in texts]
    lines = [line.strip() for text in joined for line in text.splitlines()]
    found = [line for line in lines if line.startswith("transformer ")]
    return found + [text for command in COMMANDS.values() for text in command.examples]


@pytest.mark.parametrize("line", documented())
def test_a_documented_command_composes(line: str) -> None:
    words = shlex.split(line.rpartition("| ")[2], comments=True)
    arguments = parser().parse_intermixed_args(words[1:])
    command = COMMANDS[arguments.command]
    folder = arguments.config_dir
    own = Composer(command.name, command.settings, folder) if folder else None
    composer = own or composer_of(command.name)
    assert (plan if arguments.multirun else single)(composer, arguments.overrides)


def without_it(file: Path) -> dict[str, Any]:
    """The settings as they would be if `file` held nothing but its choice of groups."""
    group = file.parent.name
    if group == "experiment":
        entries = [each for each in content(file).get("defaults", []) if isinstance(each, dict)]
        chosen = [
            f"{key.removeprefix('override /')}={value}"
            for each in entries
            for key, value in each.items()
        ]
        settings = Composer("train", config.TrainSettings).compose(chosen).config
    else:
        settings = OmegaConf.structured(config.TrainSettings)
        kind = "hub"
        if group == "data":  # which the schema among its defaults names: /schema/data/hub@_here_
            (schema,) = content(file)["defaults"]
            kind = schema.rpartition("/")[2].partition("@")[0]
        settings.data = OmegaConf.structured(DATA_CLASSES[kind])
    values: Any = OmegaConf.to_container(settings, enum_to_str=True)
    assert isinstance(values, dict)
    return values


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


@pytest.mark.parametrize("file", GROUP_FILES, ids=name_of)
def test_yaml_repeats_no_default(file: Path) -> None:
    values = {key: value for key, value in content(file).items() if key != "defaults"}
    if "@package _global_" not in file.read_text(encoding="utf-8"):
        values = {file.parent.name: values}
    defaults = dict(leaves(without_it(file)))
    assert [key for key, value in leaves(values) if defaults[key] == value] == []


def test_yaml_of_a_command_holds_its_defaults_list_only() -> None:
    for name in COMMANDS:
        assert list(content(CONFIGS / f"{name}.yaml")) == ["defaults"]


@cache
def attributes_read() -> frozenset[str]:
    """The names of all attributes that the code reads, checks of settings left out."""
    return frozenset(
        node.attr
        for file in (ROOT / "transformer").rglob("*.py")
        for node in nodes_but_checks(
            ast.parse(file.read_text(encoding="utf-8")), is_config="config" in file.parts
        )
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def nodes_but_checks(node: ast.AST, *, is_config: bool) -> Iterator[ast.AST]:
    yield node
    for child in ast.iter_child_nodes(node):
        checks = isinstance(child, ast.FunctionDef) and child.name == "__post_init__"
        if not (is_config and checks):
            yield from nodes_but_checks(child, is_config=is_config)


def config_classes() -> list[type[Any]]:
    return [each for each in vars(config).values() if isinstance(each, type) and is_dataclass(each)]


@pytest.mark.parametrize("cls", config_classes(), ids=lambda cls: cls.__name__)
def test_every_setting_is_read_by_the_code(cls: type[Any]) -> None:
    assert {field.name for field in fields(cls)} - attributes_read() == set()


def test_every_config_class_is_part_of_a_command() -> None:
    def within(cls: Any) -> set[Any]:
        kinds = DATA_CLASSES.values() if cls is DataConfig else ()
        inner = [hint for hint in get_type_hints(cls).values() if is_dataclass(hint)]
        bases = [base for base in cls.__mro__ if is_dataclass(base)]
        return set(bases).union(*(within(each) for each in [*inner, *kinds]))

    reached = set().union(*(within(command.settings) for command in COMMANDS.values()))
    # An entry of data.train, whose type cannot be said in a schema.
    assert set(config_classes()) == reached | {config.CorpusConfig, config.StudyConfig}
