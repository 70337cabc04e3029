"""Scores of checkpoints and files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from transformer.checkpoint import Checkpoint, find_checkpoint
from transformer.config import (
    EnsembleConfig,
    EvaluateSettings,
    FilesConfig,
    MetricsConfig,
    Protected,
    TrainSettings,
)
from transformer.errors import InputError
from transformer.evaluation import Evaluation, Results, evaluate, evaluate_run
from transformer.evaluation import run as run_module
from transformer.metrics import score_corpus
from transformer.text.lexicon import Lexicon
from transformer.translation import Translator, start

Pairs = list[tuple[str, str]]
Write = Callable[..., None]


def one(results: Results) -> Evaluation:
    """The only evaluation of a results."""
    (found,) = results.evaluations
    return found


def test_a_checkpoint_is_scored_on_its_own_test_split(
    settings: TrainSettings, pairs: Pairs
) -> None:
    found = one(evaluate(EvaluateSettings(checkpoint=settings.run_dir, search=settings.search)))
    translator = Translator.load(settings.run_dir)
    sources = [source for source, _ in pairs]
    expected = [t.text for t in translator.translate(sources, settings.search)]
    assert found.translations == expected
    assert found.references == [[target for _, target in pairs]]
    assert found.scores == score_corpus(expected, found.references, "de", MetricsConfig())


def test_other_files_are_scored_where_they_are_named(
    settings: TrainSettings, tmp_path: Path, write: Write, pairs: Pairs
) -> None:
    write(tmp_path / "other", pairs[:3])
    asked = EvaluateSettings(
        checkpoint=settings.run_dir,
        source=str(tmp_path / "other.en"),
        reference=str(tmp_path / "other.de"),
        output=str(tmp_path / "out.txt"),
        search=settings.search,
    )
    found = one(evaluate(asked))
    assert found.sources == [source for source, _ in pairs[:3]]
    assert (tmp_path / "out.txt").read_text("utf-8").split("\n") == [*found.translations, ""]


def test_the_table_and_the_json_hold_every_score_with_its_signature(
    tmp_path: Path, write: Write, pairs: Pairs
) -> None:
    write(tmp_path / "x", pairs)
    found = evaluate(
        EvaluateSettings(
            hypothesis=str(tmp_path / "x.de"),
            reference=str(tmp_path / "x.de"),
            target_language="de",
        )
    )
    values = {score["name"]: score for score in json.loads(found.json())["scores"]}
    assert set(values) == {"BLEU", "chrF2", "TER"}
    assert values["BLEU"]["value"] == pytest.approx(100)
    for score in values.values():
        assert score["signature"] in found.table()


def test_unequal_line_counts_are_named(tmp_path: Path, write: Write, pairs: Pairs) -> None:
    write(tmp_path / "x", pairs)
    write(tmp_path / "y", pairs[:-1])
    settings = EvaluateSettings(
        hypothesis=str(tmp_path / "x.de"), reference=str(tmp_path / "y.de"), target_language="de"
    )
    with pytest.raises(InputError, match=r"x\.de has 18 lines but .*y\.de has 17"):
        evaluate(settings)


def test_a_run_without_a_test_split_says_so(settings: TrainSettings) -> None:
    assert isinstance(settings.data, FilesConfig)
    settings.data.test = None
    assert evaluate_run(settings) is None


def test_the_test_of_a_run_is_translated_once_for_the_same_checkpoint_and_search(
    settings: TrainSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = evaluate_run(settings)
    calls: list[EvaluateSettings] = []

    def counted(settings: EvaluateSettings) -> Translator:
        calls.append(settings)
        return start(settings)

    monkeypatch.setattr(run_module, "start", counted)
    assert evaluate_run(settings) == first
    assert calls == []
    settings.search.beam_size = 1
    assert evaluate_run(settings) is not None
    assert len(calls) == 1


@pytest.mark.parametrize("damaged", [b"", b"one line\n", b"\xff\n"])
def test_damaged_translations_of_a_run_are_made_again(
    settings: TrainSettings, damaged: bytes
) -> None:
    first = evaluate_run(settings)
    (output,) = (Path(settings.run_dir) / "translations").glob("test.*")
    written = output.read_bytes()
    output.write_bytes(damaged)
    assert evaluate_run(settings) == first
    assert output.read_bytes() == written


def test_all_that_is_asked_of_a_translation_holds_for_an_evaluation(
    settings: TrainSettings, tmp_path: Path, pairs: Pairs
) -> None:
    checkpoint = Checkpoint(find_checkpoint(settings.run_dir))
    tokenizers = checkpoint.tokenizers
    common = np.arange(140, dtype=np.int32)
    shortlist = tmp_path / "shortlist"
    Lexicon(common, np.zeros((tokenizers.source.vocab_size, 1), np.int32)).save(
        shortlist, tokenizers
    )
    (tmp_path / "terms.tsv").write_text("old\talt\n", encoding="utf-8")
    plain = one(evaluate(EvaluateSettings(checkpoint=settings.run_dir, search=settings.search)))
    asked: list[dict[str, Any]] = [
        {"terminology": str(tmp_path / "terms.tsv")},
        {"exclude": [plain.translations[0].split()[0]]},
        {"protect": [Protected.variables], "max_source_pieces": 3},
        {"shortlist": str(shortlist)},
    ]
    for changes in asked:
        wanted = EvaluateSettings(
            checkpoint=[settings.run_dir] * 2,
            ensemble=EnsembleConfig(weights=[1, 2]),
            search=settings.search,
            **changes,
        )
        translator = Translator.of(wanted)
        found = one(evaluate(wanted))
        sources = [source for source, _ in pairs]
        expected = [each.text for each in translator.translate(sources, settings.search)]
        assert found.translations == expected
        assert found.translations != plain.translations, changes
        assert found.system == f"{settings.run_dir}, {settings.run_dir}"


@pytest.mark.parametrize(
    "changes", [{"terminology": "x"}, {"exclude": ["x"]}, {"protect": [Protected.urls]}]
)
def test_what_only_a_translation_takes_is_refused_without_one(changes: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(changes))} goes with checkpoint="):
        EvaluateSettings(hypothesis="x", reference="y", target_language="de", **changes)
