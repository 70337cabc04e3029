"""The evaluate command."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from transformer.checkpoint import find_checkpoint
from transformer.config import (
    DataConfig,
    EnsembleConfig,
    EvaluateSettings,
    MetricsConfig,
    SearchConfig,
)
from transformer.errors import require
from transformer.evaluation.examine import Examiner, data_of
from transformer.evaluation.results import Evaluation, Results
from transformer.evaluation.sets import (
    EvaluationSet,
    aligned,
    own_sets,
    require_language,
    set_of_files,
)
from transformer.evaluation.testsets import named_set
from transformer.metrics import Paired, compare, primary_language, require_metrics, score_corpus
from transformer.text.files import naming
from transformer.translation import (
    Translator,
    open_output,
    require_other_file,
    start,
    with_progress,
)
from transformer.translation.sets import requests_of

Texts = list[list[str]]  # a system's translations of each set


def evaluate(settings: EvaluateSettings) -> Results:
    """The scores of systems: of a checkpoint's translations, of files of translations."""
    files = {"source": settings.source} | {f"reference={f}": f for f in settings.references}
    files |= {f"against={f}": f for f in settings.others if not Path(f).is_dir()}
    for key, file in files.items():
        require_other_file(key.partition("=")[0], file, settings.output)
    trained_on = None if settings.trained_on is None else data_of(settings.trained_on)
    data = None
    if settings.hypotheses:
        sets, found = _written(settings)
    else:
        sets, found, data = _translated(settings)
    for name in settings.others:
        found[name] = _texts_of(name, sets, settings)
    examiner = Examiner.of(settings, sets, trained_on or data)
    evaluations = [
        examiner.examined(evaluation, each)
        for i, each in enumerate(sets)
        for evaluation in _compared(
            each, {name: texts[i] for name, texts in found.items()}, settings
        )
    ]
    directed = data is not None and len(data.directions) > 1
    return Results(evaluations, directed, settings.compared_with, level=settings.significance.level)


def _compared(
    each: EvaluationSet, texts: Mapping[str, list[str]], settings: EvaluateSettings
) -> list[Evaluation]:
    """The scores of every system on a set, beside those of the baseline where there is one."""
    if settings.compared_with is None:
        return [scored(name, each, lines, settings.metrics) for name, lines in texts.items()]
    found = compare(
        texts,
        settings.compared_with,
        each.references,
        each.language,
        settings.metrics,
        settings.significance,
        sources=each.sources,
    )
    return [_evaluation(name, each, texts[name], pairs) for name, pairs in found.items()]


def scored(
    system: str, each: EvaluationSet, translations: Sequence[str], metrics: MetricsConfig
) -> Evaluation:
    """The scores of `translations` of a set."""
    scores = score_corpus(
        translations, each.references, each.language, metrics, sources=each.sources
    )
    return _evaluation(system, each, translations, [Paired(score, {}) for score in scores])


def _evaluation(
    system: str, each: EvaluationSet, translations: Sequence[str], found: Sequence[Paired]
) -> Evaluation:
    return Evaluation(
        system=system,
        language=each.language,
        scores=[pair.score for pair in found],
        sources=each.sources,
        translations=list(translations),
        references=each.references,
        name=each.name,
        direction=each.direction,
        p=[pair.p for pair in found],
    )


def _written(settings: EvaluateSettings) -> tuple[list[EvaluationSet], dict[str, Texts]]:
    """What files of translations are compared with, and what is in them."""
    files = settings.hypotheses
    if settings.test_sets:
        each = named_set(settings.test_sets[0], settings.direction or "")
        if settings.target_language is not None:
            each = replace(each, language=settings.target_language)
    else:
        assert settings.target_language is not None
        each = set_of_files(
            settings.source, settings.references, settings.target_language, first=files[0]
        )
    require_metrics(each.language, settings.metrics, has_sources=each.sources is not None)
    return [each], {file: [aligned(*_named_count(each), file)] for file in files}


def _named_count(each: EvaluationSet) -> tuple[str, int]:
    """A set's name for people, and its number of sentences."""
    return each.name or "the reference", len(each.references[0])


def _translated(
    settings: EvaluateSettings,
) -> tuple[list[EvaluationSet], dict[str, Texts], DataConfig]:
    """What a checkpoint is to translate, its translations, and what it was trained on.

    The translations are kept where they are wanted.
    """
    with open_output(settings.output or os.devnull) as output:
        translator = start(settings)
        sets = _sets(settings, translator.settings.data)
        _require_others(sets, settings)
        texts = translated(translator, sets, settings.search, settings.metrics)
        if settings.output is not None:
            output.writelines(text + "\n" for text in texts[0])
    return sets, {", ".join(settings.checkpoints): texts}, translator.settings.data


def translated(
    translator: Translator,
    sets: Sequence[EvaluationSet],
    search: SearchConfig,
    metrics: MetricsConfig,
) -> Texts:
    """What `translator` makes of each of `sets`."""
    data = translator.settings.data
    # What is wrong with one of them shows before hours are spent on the others.
    for each in sets:
        require_metrics(each.language, metrics, has_sources=True)
    requests = [requests_of(each.rows, each.language, data) for each in sets]
    return [
        [found.text for found in with_progress(translator.translate(asked, search))]
        for asked in requests
    ]


def _texts_of(name: str, sets: Sequence[EvaluationSet], settings: EvaluateSettings) -> Texts:
    """The translations of the system `name`, which is a folder to translate with, or a file."""
    if not Path(name).is_dir():
        return [_lines_of(name, sets)]
    require(
        all(each.sources is not None for each in sets),
        f"against={name} is to translate, for which there must be a source; give source=FILE",
    )
    asked = replace(
        settings,
        checkpoint=name,
        ensemble=EnsembleConfig(),
        against=None,
        baseline=None,
        output=None,
    )
    translator = start(asked)
    _require_same_direction(name, sets, translator.settings.data, settings.target_language)
    return translated(translator, sets, settings.search, settings.metrics)


def _lines_of(name: str, sets: Sequence[EvaluationSet]) -> list[str]:
    """The translations in the file `name`, which is one of `against`."""
    names = ", ".join(str(each.name) for each in sets)
    require(
        len(sets) == 1,
        f"against={name} is one file, but there are the test sets {names}; give one as "
        "source=FILE and reference=FILE",
    )
    with naming("against"):
        return aligned(*_named_count(sets[0]), name)


def _require_others(sets: Sequence[EvaluationSet], settings: EvaluateSettings) -> None:
    """Raise InputError for what is wrong with other systems, before hours are spent on the first.

    What a model translates into shows when it is read.
    """
    for name in settings.others:
        if Path(name).is_dir():
            find_checkpoint(Path(name))
        else:
            _lines_of(name, sets)


def _require_same_direction(
    name: str, sets: Sequence[EvaluationSet], data: DataConfig, chosen: str | None
) -> None:
    """Raise InputError where the model `name` translates into another language than the sets'."""
    own = {primary_language(language) for _, language in data.directions}
    for each in sets:
        require(
            chosen is not None or primary_language(each.language) in own,
            f"against={name} translates into {', '.join(sorted(own))}, but the references are in "
            f"{each.language}",
        )


def _sets(settings: EvaluateSettings, data: DataConfig) -> list[EvaluationSet]:
    """What is to be translated: files, sets that sacreBLEU knows, or the run's test sets."""
    language = settings.target_language
    if settings.source is not None:
        wanted = require_language(language, data)
        sets = [set_of_files(settings.source, settings.references, wanted)]
    elif settings.test_sets:
        sets = [
            replace(found, language=language or found.language)
            for found in _named(settings.test_sets, settings.direction, language, data)
        ]
    else:
        sets = own_sets(data, language)
    require(
        bool(sets),
        "the run was trained without a test split; give source=FILE and reference=FILE",
    )
    names = ", ".join(str(each.name) for each in sets)
    require(
        settings.output is None or len(sets) == 1,
        f"output={settings.output} is one file, but there are the test sets {names}; give one as "
        "source=FILE and reference=FILE",
    )
    return sets


def _named(
    names: Sequence[str], direction: str | None, language: str | None, data: DataConfig
) -> list[EvaluationSet]:
    """SacreBLEU's sets of these names, in a `direction` or in those of the model."""
    if direction is not None:
        return [named_set(name, direction) for name in names]
    wanted = require_language(language, data) if data.tagged_languages else None
    directions = [
        "-".join(map(primary_language, each))
        for each in data.directions
        if wanted is None or each[1] == wanted
    ]
    return list(chain(*([named_set(name, each) for each in directions] for name in names)))
