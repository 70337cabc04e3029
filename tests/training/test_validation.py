"""Properties of the scores of a model under training."""

import json
import math
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import torch

from transformer.config import ContextConfig, Metric, Precision, SearchConfig, TrainSettings
from transformer.errors import InputError
from transformer.metrics import bleu, chrf
from transformer.model import Transformer
from transformer.text.dataset import PreparedData, prepare_data
from transformer.text.tokenizer import BOS_ID, EOS_ID
from transformer.training.distributed import Processes
from transformer.training.validation import LEGIBLE, Validation, Validator, is_better
from transformer.translation import Member, Translator
from transformer.translation.jobs import Job
from transformer.translation.looking import fits

Build = Callable[..., Transformer]


Several = tuple[PreparedData, TrainSettings]


@pytest.fixture
def several(
    settings: TrainSettings,
    change: Callable[..., TrainSettings],
    tmp_path: Path,
    corpus: Path,
) -> Several:
    """Data with a second validation set, which is said to be Chinese."""
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    for side, letter in (("xx", "a"), ("yy", "u")):
        text = (corpus / f"valid.{side}").read_text(encoding="utf-8")
        lines = [f"{letter}{line}" for line in text.splitlines()[:-1]]
        (tmp_path / f"other.{side}").write_text("\n".join(lines) + "\n", encoding="utf-8")
    second = change(settings, data__valid=str(tmp_path / "other"))
    (other,) = prepare_data(second.data, second.tokenizer, second.cleaning).valid
    other = replace(other, corpus=replace(other.corpus, target="zh"))
    return replace(data, valid=[*data.valid, other]), settings


class Meeting:
    """Where threads that play processes leave things for each other."""

    def __init__(self, count: int) -> None:
        self.barrier = Barrier(count)
        self.left: dict[int, Any] = {}

    def exchange(self, rank: int, value: Any) -> list[Any]:
        """What each has left."""
        self.left[rank] = value
        self.barrier.wait()
        found = [self.left[other] for other in sorted(self.left)]
        self.barrier.wait()
        return found


class Among(Processes):
    """One of several threads that play processes; `control` is their Meeting."""

    def agree(self, *flags: float) -> list[float]:
        return list(map(max, *self.control.exchange(self.rank, flags)))

    def gather(self, items: Sequence[Any]) -> list[Any]:
        shares = self.control.exchange(self.rank, list(items))
        n = sum(map(len, shares))
        return [shares[i % self.count][i // self.count] for i in range(n)]


def validator_of(data: PreparedData, settings: TrainSettings) -> Validator:
    return Validator(data, settings, 100, torch.device("cpu"), Processes())


@pytest.mark.parametrize("smoothing", [0.0, 0.5])
def test_scores_equal_those_computed_one_sentence_at_a_time(
    settings: TrainSettings,
    change: Callable[..., TrainSettings],
    build_model: Build,
    smoothing: float,
) -> None:
    settings = change(settings, training__label_smoothing=smoothing)
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    model = build_model(torch.float32, data.tokenizers.target.vocab_size, dropout=0.3).train()
    found = validator_of(data, settings).validate(model, Precision.fp32, lambda: False)
    assert found is not None
    assert model.training
    model.eval()
    nll, n_labels = 0.0, 0
    for source, target in data.valid[0].pairs():
        (source_ids,) = data.tokenizers.source.encode([source])
        (target_ids,) = data.tokenizers.target.encode([target])
        with torch.no_grad():
            state = model.start(torch.tensor([[*source_ids, EOS_ID]]))
            logits = model.step(torch.tensor([[BOS_ID, *target_ids]]), state)[0]
        labels = torch.tensor([*target_ids, EOS_ID])
        nll += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        n_labels += len(labels)
    assert found.loss == pytest.approx(nll / n_labels, rel=1e-5)
    assert found.perplexity == pytest.approx(math.exp(nll / n_labels), rel=1e-5)
    references = [target for _, target in data.valid[0].pairs()]
    translations = found.sets["valid"].translations
    assert found.bleu == bleu(translations, references, "yy").value
    assert found.chrf == chrf(translations, references).value
    assert found.metrics() == {
        "loss": found.loss,
        "perplexity": found.perplexity,
        "bleu": found.bleu,
        "chrf": found.chrf,
        "signature": found.signature,
    }


def test_several_sets_have_the_scores_of_each_alone(several: Several, build_model: Build) -> None:
    data, settings = several
    model = build_model(vocab_size=data.tokenizers.target.vocab_size)
    found = validator_of(data, settings).validate(model, Precision.fp32, lambda: False)
    assert found is not None
    assert list(found.sets) == ["valid", "other"]
    for each in data.valid:
        alone = validator_of(replace(data, valid=[each]), settings)
        expected = alone.validate(model, Precision.fp32, lambda: False)
        assert expected is not None
        assert found.sets[each.name] == expected.sets[each.name]
        assert expected.parts == {}
    one, two = found.sets.values()
    assert (found.bleu, found.chrf) == ((one.bleu + two.bleu) / 2, (one.chrf + two.chrf) / 2)
    n_labels = [int(each.encoded.target_lengths.sum()) for each in data.valid]
    assert len(set(n_labels)) == 2
    total = one.loss * n_labels[0] + two.loss * n_labels[1]
    assert found.loss == pytest.approx(total / sum(n_labels), rel=1e-12)


def test_each_set_is_scored_in_its_own_language(several: Several, build_model: Build) -> None:
    data, settings = several
    model = build_model(vocab_size=data.tokenizers.target.vocab_size)
    found = validator_of(data, settings).validate(model, Precision.fp32, lambda: False)
    assert found is not None
    assert "tok:13a" in found.sets["valid"].signature
    assert "tok:zh" in found.sets["other"].signature
    metrics = json.loads(json.dumps(found.metrics()))
    assert metrics["sets"] == {name: each.metrics() for name, each in found.sets.items()}
    assert metrics["bleu"] == found.bleu
    assert metrics["signature"].count("tok:") == 2


@pytest.mark.parametrize("count", [2, 3])
def test_processes_that_share_several_sets_find_what_one_does(
    several: Several, build_model: Build, count: int
) -> None:
    data, settings = several
    models = [build_model(vocab_size=data.tokenizers.target.vocab_size) for _ in range(count)]
    expected = validator_of(data, settings).validate(models[0], Precision.fp32, lambda: False)
    meeting = Meeting(count)
    cpu = torch.device("cpu")

    def part(rank: int) -> Validation | None:
        validator = Validator(data, settings, 15, cpu, Among(rank, count, control=meeting))
        assert len(validator.batches) < n_batches
        return validator.validate(models[rank], Precision.fp32, lambda: False)

    n_batches = len(Validator(data, settings, 15, cpu, Processes()).batches)
    with ThreadPoolExecutor(count) as pool:
        parts = list(pool.map(part, range(count)))
    assert expected is not None
    for found in parts:
        assert found is not None
        assert found.loss == pytest.approx(expected.loss, rel=1e-12)
        assert found.bleu == expected.bleu
        for name, scores in expected.sets.items():
            assert found.sets[name].translations == scores.translations
            assert found.sets[name].loss == pytest.approx(scores.loss, rel=1e-12)


def test_a_model_of_several_languages_is_asked_for_that_of_each_set(
    several: Several, change: Callable[..., TrainSettings]
) -> None:
    data, settings = several
    train = [{"path": "a"}, {"path": "b", "target": "zh"}]
    validator = validator_of(data, change(settings, data__train=train))
    asked = [request.target_language for request in validator.requests]
    sizes = [len(each.encoded) for each in data.valid]
    assert asked == ["yy"] * sizes[0] + ["zh"] * sizes[1]


def test_sentences_of_a_document_are_given_with_those_before(
    several: Several, change: Callable[..., TrainSettings]
) -> None:
    data, settings = several
    validator = validator_of(data, change(settings, data__context=ContextConfig(source=1)))
    for each, prepared in zip(validator.sets, data.valid, strict=True):
        sources = [source for source, _ in prepared.pairs()]
        contexts = [list(request.context or ()) for request in each.requests]
        assert contexts == [[], *([source] for source in sources[:-1])]


def test_validation_leaves_the_generator_of_the_dropout_alone(
    settings: TrainSettings, build_model: Build
) -> None:
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    validator = validator_of(data, settings)
    model = build_model(torch.float32, data.tokenizers.target.vocab_size, dropout=0.3)
    before = torch.get_rng_state()
    validator.validate(model, Precision.fp32, lambda: False)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_first_sentences_that_can_be_are_looked_at(
    settings: TrainSettings, change: Callable[..., TrainSettings], build_model: Build
) -> None:
    settings = change(settings, training__attention_samples=2)
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    model = build_model(torch.float32, data.tokenizers.target.vocab_size, dropout=0.3).train()
    validator = validator_of(data, settings)
    blank = replace(validator.requests[0], source=" ")
    long = replace(blank, source="a " * (2 * LEGIBLE))
    validator.requests[:0] = [blank, long]
    looked = validator._look(
        Translator(
            [Member(model.eval(), settings)], data.tokenizers, torch.device("cpu"), Precision.fp32
        )
    )
    words = [each.source[:-1] for each in looked]
    assert words == [request.source.split() for request in validator.requests[2:4]]
    validator.requests = [blank, replace(blank, source="a " * (LEGIBLE // 4)), long]
    looking = Translator(
        [Member(model, settings)], data.tokenizers, validator.device, Precision.fp32
    )
    assert len(validator._look(looking)) == 1
    validator.requests = [blank, long]
    assert fits(looking, long.source)
    assert len(validator._look(looking)) == 1
    validator.processes = Processes(rank=1, count=2)
    found = Translator([Member(model, settings)], data.tokenizers, validator.device, Precision.fp32)
    assert validator._look(found) == []


def test_a_perplexity_beyond_all_numbers_is_infinite() -> None:
    assert Validation(1e4, 0.0, 0.0, "", {}).perplexity == math.inf


def test_a_validation_that_is_given_up_gives_nothing(
    settings: TrainSettings, build_model: Build
) -> None:
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    model = build_model(torch.float32, data.tokenizers.target.vocab_size)
    assert validator_of(data, settings).validate(model, Precision.fp32, lambda: True) is None
    assert model.training


def test_higher_bleu_and_lower_loss_are_better() -> None:
    assert is_better(Metric.bleu, 2.0, 1.0)
    assert is_better(Metric.chrf, 2.0, 1.0)
    assert is_better(Metric.loss, 1.0, 2.0)
    for metric in Metric:
        assert not is_better(metric, 1.0, 1.0)


def test_a_search_that_runs_out_of_memory_goes_on_in_smaller_batches(
    settings: TrainSettings, build_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    model = build_model(torch.float32, data.tokenizers.target.vocab_size)
    expected = validator_of(data, settings).validate(model, Precision.fp32, lambda: False)
    search = Translator.search_jobs

    def small(self: Translator, sources: list[Job], config: SearchConfig) -> object:
        if config.batch_tokens > 1000:
            raise torch.OutOfMemoryError
        return search(self, sources, config)

    monkeypatch.setattr(Translator, "search_jobs", small)
    validator = validator_of(data, settings)
    assert validator.validate(model, Precision.fp32, lambda: False) == expected
    assert validator.search.batch_tokens <= 1000


def test_a_validation_that_never_fits_in_memory_is_an_input_error(
    settings: TrainSettings, build_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError

    data = prepare_data(settings.data, settings.tokenizer, settings.cleaning)
    model = build_model(torch.float32, data.tokenizers.target.vocab_size)
    monkeypatch.setattr(Translator, "search_jobs", full)
    with pytest.raises(InputError, match="out of memory in a validation"):
        validator_of(data, settings).validate(model, Precision.fp32, lambda: False)
