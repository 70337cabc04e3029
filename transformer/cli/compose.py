"""From configs/ and the overrides of the command line to the settings of a command."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from omegaconf import MISSING, DictConfig, OmegaConf

import transformer
from transformer.cli.failures import readable_failures, unknown_setting
from transformer.cli.overrides import check, key_of, names_options, quote
from transformer.config import from_mapping
from transformer.config.data import DATA_CLASSES
from transformer.errors import InputError, require


@dataclass(frozen=True)
class Composed:
    """A composed configuration, and the option chosen of each group (None: none)."""

    config: DictConfig
    groups: Mapping[str, str | None]

    @property
    def yaml(self) -> str:
        """The configuration as YAML, defaults included."""
        return OmegaConf.to_yaml(self.config).rstrip("\n")


class Composer:
    """Composes the configuration of one command from configs/ and the user's own folder."""

    def __init__(self, name: str, cls: type[Any], own_folder: str | None = None) -> None:
        self.cls = cls
        self.name = name
        self._folders = [config_folder()]
        self._search_path: list[str] = []
        if own_folder is not None:
            self._add(Path(own_folder))
        _store_schemas(name, cls)

    def compose(self, texts: Sequence[str]) -> Composed:
        """The configuration with the overrides `texts`; InputError for what is wrong in them.

        Composes first with the groups alone, since they decide which keys there are.
        """
        overrides = check(texts, self.cls)
        with readable_failures(self.cls):
            known = _groups(self._plain)
            chosen = [text for text in overrides if key_of(text) in known]
            for text in chosen:
                self._check_option(text)
            base = self._compose(chosen) if chosen else self._plain
            for text in overrides:
                reason = unknown_setting(key_of(text), self.cls, known, _kind(base))
                require(reason is None, reason or "")
            config = self._compose(overrides) if overrides != chosen else base
        _check_kind(config)
        settings = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
        return Composed(settings, _groups(config))

    def settings(self, texts: Sequence[str]) -> Any:
        """The settings with the overrides `texts`, checked."""
        config = self.compose(texts).config
        with readable_failures(self.cls):
            values = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
        return from_mapping(self.cls, values)  # type: ignore[arg-type]

    def launcher(self, texts: Sequence[str]) -> dict[str, Any]:
        """The parameters of Hydra's launcher with the overrides `texts`, which are not checked."""
        config = self._compose(texts).hydra.launcher
        values: Any = OmegaConf.to_container(config, resolve=True)
        return {key: value for key, value in values.items() if key != "_target_"}

    def options(self, group: str) -> list[str]:
        """The options of a group, sorted."""
        return sorted(
            {file.stem for root in self._folders for file in root.glob(f"{group}/*.yaml")}
        )

    @cached_property
    def _plain(self) -> DictConfig:
        """The configuration without overrides."""
        return self._compose([])

    def _check_option(self, text: str) -> None:
        group = key_of(text)
        require(
            names_options(text),
            f"{text}: there is no such {group}; there are {', '.join(self.options(group))}",
        )

    def _add(self, folder: Path) -> None:
        """Let Hydra find the user's own groups; none may bear the name of a built-in one."""
        require(folder.is_dir(), f"--config-dir {folder} is not a folder")
        for file in sorted(folder.rglob("*.yaml")):
            name = file.relative_to(folder)
            require(
                not (config_folder() / name).exists(),
                f"{file} has the name of the built-in {name}, which would be taken; rename it",
            )
        self._folders.append(folder)
        self._search_path = [f"hydra.searchpath=[{quote(f'file://{folder.resolve()}')}]"]

    def _compose(self, overrides: Sequence[str]) -> DictConfig:
        with hydra.initialize_config_dir(str(config_folder()), version_base="1.3"):
            config = hydra.compose(
                self.name, [*self._search_path, *overrides], return_hydra_config=True
            )
        OmegaConf.set_readonly(config, False)
        OmegaConf.set_struct(config, False)
        return config


def config_folder() -> Path:
    """The folder configs/: inside an installed package, beside the package in a checkout."""
    package = Path(transformer.__file__).resolve().parent
    for folder in (package / "configs", package.parent / "configs"):
        if folder.is_dir():
            return folder
    raise FileNotFoundError(f"{package} comes without its folder configs/")


def _store_schemas(name: str, cls: type[Any]) -> None:
    schema = OmegaConf.structured(cls)
    if "data" in schema:
        # The group chooses the class; a default here would leave its keys behind.
        schema.data = MISSING
    store = ConfigStore.instance()
    store.store(name, schema, group="schema", package="_global_")
    for kind, data_class in DATA_CLASSES.items():
        store.store(kind, data_class, group="schema/data")


def _groups(config: DictConfig) -> dict[str, str | None]:
    choices: dict[str, str | None] = dict(config.hydra.runtime.choices)
    return {group: option for group, option in choices.items() if not group.startswith("hydra/")}


def _kind(config: DictConfig) -> str | None:
    """The kind of data that the group `data=` chose; None for a command without data."""
    if "data" not in config:
        return None
    chosen = OmegaConf.get_type(config, "data")
    return next((kind for kind, cls in DATA_CLASSES.items() if cls is chosen), None)


def _check_kind(config: DictConfig) -> None:
    """InputError where a file sets `data.kind` against the group that it chose."""
    kind = _kind(config)
    if kind is not None and config.data.kind.name != kind:
        given = config.data.kind.name
        raise InputError(f"data.kind={given} with data={kind}; choose the group data={given}")
