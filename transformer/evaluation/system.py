"""The evaluate command."""

import os
from pathlib import Path

from transformer.config import DataConfig, EvaluateSettings, SearchConfig
from transformer.errors import require
from transformer.evaluation.report import Evaluation, evaluation_of
from transformer.metrics import require_tokenizer
from transformer.text.corpus import open_corpus
from transformer.text.files import read_lines
from transformer.translation import (
    Translator,
    open_output,
    require_other_file,
    start,
    with_progress,
)


def evaluate(settings: EvaluateSettings) -> Evaluation:
    """The scores of a checkpoint's translations, or of a file of translations."""
    if settings.hypothesis is not None:
        return _evaluate_file(settings, settings.hypothesis)
    for key, file in (("source", settings.source), ("reference", settings.reference)):
        require_other_file(key, file, settings.output)
    with open_output(settings.output or os.devnull) as output:
        translator = start(settings)
        data = translator.settings.data
        language = settings.target_language or data.target
        require_tokenizer(language)
        sources, references = _read_pairs(settings, data)
        translations = translate_all(translator, sources, settings.search)
        output.writelines(text + "\n" for text in translations)
    system = ", ".join(settings.checkpoints)
    return evaluation_of(system, language, sources, translations, references)


def translate_all(translator: Translator, sources: list[str], search: SearchConfig) -> list[str]:
    """The best translation of each of `sources`."""
    return [found.text for found in with_progress(translator.translate(sources, search))]


def _evaluate_file(settings: EvaluateSettings, hypothesis: str) -> Evaluation:
    assert settings.reference is not None
    assert settings.target_language is not None
    translations, references = _read_aligned(hypothesis, settings.reference)
    return evaluation_of(hypothesis, settings.target_language, None, translations, references)


def _read_pairs(settings: EvaluateSettings, data: DataConfig) -> tuple[list[str], list[str]]:
    """The sources to translate and their references, of files or of the run's test split."""
    if settings.source is None or settings.reference is None:
        return test_pairs(data)
    return _read_aligned(settings.source, settings.reference)


def _read_aligned(first: str, second: str) -> tuple[list[str], list[str]]:
    """The lines of two files; InputError where one has more."""
    lines = list(read_lines(Path(first))), list(read_lines(Path(second)))
    n, m = map(len, lines)
    require(
        n == m,
        f"{first} has {n} lines but {second} has {m}; parallel files hold one sentence a line",
    )
    return lines


def test_pairs(data: DataConfig) -> tuple[list[str], list[str]]:
    """The sources and the references of a run's test split; InputError if it has none."""
    corpus = open_corpus(data)
    require(
        corpus.has_split("test"),
        "the run was trained without a test split; give source=FILE and reference=FILE",
    )
    pairs = list(corpus.pairs("test"))
    return [source for source, _ in pairs], [target for _, target in pairs]
