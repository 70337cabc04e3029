"""The evaluate command."""

import os
from collections.abc import Sequence

from transformer.config import DataConfig, EvaluateSettings, SearchConfig
from transformer.errors import require
from transformer.evaluation.report import Evaluation, Report, evaluation_of
from transformer.evaluation.sets import EvaluationSet, own_sets, read_aligned, set_of_files
from transformer.metrics import require_tokenizer
from transformer.translation import (
    Translator,
    open_output,
    require_other_file,
    start,
    with_progress,
)
from transformer.translation.sets import requests_of


def evaluate(settings: EvaluateSettings) -> Report:
    """The scores of a checkpoint's translations, or of a file of translations."""
    if settings.hypothesis is not None:
        return Report([_evaluate_file(settings, settings.hypothesis)])
    for key, file in (("source", settings.source), ("reference", settings.reference)):
        require_other_file(key, file, settings.output)
    with open_output(settings.output or os.devnull) as output:
        translator = start(settings)
        sets = _sets(settings, translator.settings.data)
        system = ", ".join(settings.checkpoints)
        report = score_sets(translator, sets, settings.search, system)
        if settings.output is not None:
            output.writelines(text + "\n" for text in report.sets[0].translations)
    return report


def score_sets(
    translator: Translator, sets: Sequence[EvaluationSet], search: SearchConfig, system: str
) -> Report:
    """The scores of what `translator`, which people know as `system`, makes of each of `sets`."""
    data = translator.settings.data
    # What is wrong with one of them shows before hours are spent on the others.
    for each in sets:
        require_tokenizer(each.language)
    requests = [requests_of(each.rows, each.language, data) for each in sets]
    found = []
    for each, asked in zip(sets, requests, strict=True):
        texts = [t.text for t in with_progress(translator.translate(asked, search))]
        found.append(scored(system, each, texts))
    return Report(found, directed=len(data.directions) > 1)


def scored(system: str, each: EvaluationSet, translations: Sequence[str]) -> Evaluation:
    """The scores of `translations` of a set."""
    return evaluation_of(
        system,
        each.language,
        each.sources,
        translations,
        each.references,
        name=each.name,
        direction=each.direction,
    )


def _evaluate_file(settings: EvaluateSettings, hypothesis: str) -> Evaluation:
    assert settings.reference is not None
    assert settings.target_language is not None
    translations, references = read_aligned(hypothesis, settings.reference)
    return evaluation_of(hypothesis, settings.target_language, None, translations, references)


def _sets(settings: EvaluateSettings, data: DataConfig) -> list[EvaluationSet]:
    """What is to be translated: two files, or the run's test sets."""
    language = settings.target_language
    if settings.source is not None and settings.reference is not None:
        return [set_of_files(settings.source, settings.reference, language, data)]
    sets = own_sets(data, language)
    require(
        bool(sets),
        "the run was trained without a test split; give source=FILE and reference=FILE",
    )
    names = ", ".join(str(each.name) for each in sets)
    require(
        settings.output is None or len(sets) == 1,
        f"output={settings.output} is one file, but the run has the test sets {names}; give one "
        "as source=FILE and reference=FILE",
    )
    return sets
