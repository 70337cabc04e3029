"""A translator that needs no model, and settings for it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from transformer.config import DataConfig, PhrasebookConfig, SearchConfig, TranslateSettings
from transformer.translation import files, processes
from transformer.translation.request import Output, Request, Translation


class FakeTranslator:
    """Writes each line backwards; what it is told to do `before` a window comes first."""

    def __init__(self) -> None:
        self.windows: list[list[Request]] = []
        self.keep = True  # the requests, in `windows`
        self.before: Callable[[int], None] = lambda first: None

    def translate_together(
        self,
        requests: Sequence[Request],
        config: SearchConfig,
        *,
        first: int = 0,
        alignment: bool = False,
        attention: bool = False,
    ) -> list[Translation]:
        self.before(first)
        if self.keep:
            self.windows.append(list(requests))
        return [
            translation(request.source, first + i, config.n_best, alignment, attention)
            for i, request in enumerate(requests)
        ]


def translation(
    source: str, number: int, n_best: int, alignment: bool = False, attention: bool = False
) -> Translation:
    """The one of line `number`, of which the scores tell."""
    outputs = [
        Output(
            text=source[::-1] + "'" * n,
            score=-number - n / 8,
            log_probability=-1.0 - n / 3,
            tokens=source[::-1].split(),
            token_log_probabilities=[-0.1] * (len(source.split()) + 1),
            alignment=[(0, 0), (1, 2)] if alignment else None,
            attention=[[0.25, 0.75]] if attention else None,
            finished=n == 0,
        )
        for n in range(n_best)
    ]
    return Translation(source=source, outputs=outputs)


class Command:
    """Settings for a folder that holds the files in and out, and a checkpoint without a model."""

    def __init__(self, folder: Path, translator: FakeTranslator) -> None:
        self.folder = folder
        self.translator = translator
        self.input, self.output = folder / "in", folder / "out"
        self.part = folder / ".out.part"
        self.note = folder / ".out.part.json"
        checkpoint = folder / "model"
        checkpoint.mkdir(exist_ok=True)
        (checkpoint / "manifest.json").write_text("{}")

    def settings(self, **changes: Any) -> TranslateSettings:
        values = {
            "checkpoint": str(self.folder / "model"),
            "input": str(self.input),
            "output": str(self.output),
            **changes,
        }
        return TranslateSettings(**values)

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name != "model")


def fake_command(
    folder: Path, patch: pytest.MonkeyPatch, data: DataConfig | None = None
) -> Command:
    """A command whose translator is a fake, as if trained on `data`."""
    translator, trained_on = FakeTranslator(), data or PhrasebookConfig()
    patch.setattr(processes, "start", lambda settings: translator)
    patch.setattr(files, "data_of", lambda settings: trained_on)
    return Command(folder, translator)
