"""What a model is worth on the validation split."""

import math
from dataclasses import dataclass
from typing import Any

import torch

from transformer.config import Metric, Precision, SearchConfig, TrainSettings
from transformer.device import autocast
from transformer.metrics import bleu
from transformer.model import Transformer
from transformer.text.batching import make_loader, plan_in_order
from transformer.text.dataset import PreparedData
from transformer.training.update import batch_loss
from transformer.translation import Translator


@dataclass(frozen=True)
class Validation:
    """Scores and translations of the validation split."""

    loss: float  # mean negative log-likelihood of a token, in nats, without smoothing
    bleu: float
    signature: str
    translations: list[str]

    @property
    def perplexity(self) -> float:
        """The exponential of the loss; infinite where that overflows."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    def metrics(self) -> dict[str, Any]:
        """The scores by name."""
        return {
            "loss": self.loss,
            "perplexity": self.perplexity,
            "bleu": self.bleu,
            "signature": self.signature,
        }


def is_better(metric: Metric, value: float, than: float) -> bool:
    """Whether `value` of `metric` beats another; every number beats NaN."""
    if math.isnan(than):
        return not math.isnan(value)
    return value > than if metric is Metric.bleu else value < than


class Validator:
    """The validation split, ready to score the model under training."""

    def __init__(
        self,
        data: PreparedData,
        settings: TrainSettings,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.data = data
        self.settings = settings
        self.device = device
        self.precision = precision
        self.language = settings.data.target
        self.search = SearchConfig(beam_size=settings.training.validation_beam_size)
        lengths = data.valid.source_lengths, data.valid.target_lengths
        self.plan = plan_in_order(*lengths, settings.data.batch_tokens)
        pairs = data.raw_pairs("valid")
        self.sources = [source for source, _ in pairs]
        self.references = [target for _, target in pairs]

    def validate(self, model: Transformer) -> Validation:
        """Score `model`, which is in training mode again afterwards."""
        model.eval()
        translator = Translator(
            model, self.settings, self.data.tokenizers, self.device, self.precision
        )
        texts = [t.text for t in translator.translate(self.sources, self.search)]
        score = bleu(texts, self.references, self.language)
        result = Validation(self._loss(model), score.value, score.signature, texts)
        model.train()
        return result

    @torch.no_grad()
    def _loss(self, model: Transformer) -> float:
        total = torch.zeros((), device=self.device)
        n_labels = 0
        for batch in make_loader(self.data.valid, self.plan):
            n_labels += batch.n_target_tokens
            with autocast(self.precision, self.device):
                total += batch_loss(model, batch.to(self.device), smoothing=0.0).nll
        return float(total) / n_labels
