"""Properties of the scores of a model under training."""

import math
from collections.abc import Callable

import pytest
import torch

from transformer.config import Metric, Precision, SearchConfig, TrainSettings
from transformer.errors import InputError
from transformer.metrics import bleu, chrf
from transformer.model import Transformer
from transformer.text.dataset import PreparedData, prepare_data
from transformer.text.tokenizer import BOS_ID, EOS_ID
from transformer.training.distributed import Processes
from transformer.training.validation import Validation, Validator, is_better
from transformer.translation import Translator
from transformer.translation.jobs import Job

Build = Callable[..., Transformer]


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
    data = prepare_data(settings.data, settings.tokenizer)
    model = build_model(torch.float32, data.tokenizers.target.vocab_size, dropout=0.3).train()
    found = validator_of(data, settings).validate(model, Precision.fp32, lambda: False)
    assert found is not None
    assert model.training
    model.eval()
    nll, n_labels = 0.0, 0
    for source, target in data.raw_pairs("valid"):
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
    references = [target for _, target in data.raw_pairs("valid")]
    assert found.bleu == bleu(found.translations, references, "yy").value
    assert found.chrf == chrf(found.translations, references).value
    assert found.metrics() == {
        "loss": found.loss,
        "perplexity": found.perplexity,
        "bleu": found.bleu,
        "chrf": found.chrf,
        "signature": found.signature,
    }


def test_validation_leaves_the_generator_of_the_dropout_alone(
    settings: TrainSettings, build_model: Build
) -> None:
    data = prepare_data(settings.data, settings.tokenizer)
    validator = validator_of(data, settings)
    model = build_model(torch.float32, data.tokenizers.target.vocab_size, dropout=0.3)
    before = torch.get_rng_state()
    validator.validate(model, Precision.fp32, lambda: False)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_perplexity_beyond_all_numbers_is_infinite() -> None:
    assert Validation(1e4, 0.0, 0.0, "", []).perplexity == math.inf


def test_a_validation_that_is_given_up_gives_nothing(
    settings: TrainSettings, build_model: Build
) -> None:
    data = prepare_data(settings.data, settings.tokenizer)
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
    data = prepare_data(settings.data, settings.tokenizer)
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

    data = prepare_data(settings.data, settings.tokenizer)
    model = build_model(torch.float32, data.tokenizers.target.vocab_size)
    monkeypatch.setattr(Translator, "search_jobs", full)
    with pytest.raises(InputError, match="out of memory in a validation"):
        validator_of(data, settings).validate(model, Precision.fp32, lambda: False)
