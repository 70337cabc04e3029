"""What a model is worth on the validation split."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from transformer.config import Metric, Precision, SearchConfig, TrainSettings
from transformer.device import autocast
from transformer.errors import require
from transformer.metrics import bleu, chrf
from transformer.model import Transformer
from transformer.text.batching import make_loader, plan_in_order
from transformer.text.dataset import PreparedData
from transformer.training.distributed import Processes
from transformer.training.objective import batch_loss
from transformer.translation import Member, Translator

logger = logging.getLogger(__name__)

CHUNK = 1024  # sentences translated between two looks at whether to give up
SMALLEST_BATCH = 256  # tokens; where not even that fits, smaller ones are not tried


@dataclass(frozen=True)
class Validation:
    """Scores and translations of the validation split."""

    loss: float  # mean negative log-likelihood of a token, in nats, without smoothing
    bleu: float
    chrf: float
    signature: str  # of BLEU
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
            "chrf": self.chrf,
            "signature": self.signature,
        }


def is_better(metric: Metric, value: float, than: float) -> bool:
    """Whether `value` of `metric` beats another; every number beats NaN."""
    if math.isnan(than):
        return not math.isnan(value)
    return value < than if metric is Metric.loss else value > than


class Validator:
    """The validation split, ready to score the model under training.

    Each process takes its share of the sentences.
    """

    def __init__(
        self,
        data: PreparedData,
        settings: TrainSettings,
        batch_tokens: int,
        device: torch.device,
        processes: Processes,
    ) -> None:
        self.data = data
        self.settings = settings
        self.device = device
        self.processes = processes
        self.language = settings.data.target
        self.search = SearchConfig(beam_size=settings.training.validation_beam_size)
        lengths = data.valid.source_lengths, data.valid.target_lengths
        self.plan = plan_in_order(*lengths, batch_tokens)[processes.rank :: processes.count]
        pairs = data.raw_pairs("valid")
        self.sources = [source for source, _ in pairs]
        self.references = [target for _, target in pairs]

    def validate(
        self, model: Transformer, precision: Precision, give_up: Callable[[], bool]
    ) -> Validation | None:
        """Scores of `model`, which is in training mode again afterwards.

        None where `give_up`, asked now and then, says so in any process. FloatingPointError, in all
        of them, where the model gives no finite numbers.
        """
        model.eval()
        translator = Translator(
            [Member(model, self.settings)], self.data.tokenizers, self.device, precision
        )
        texts: list[str] = []
        loss, failure, full = 0.0, "", False
        try:
            texts = self._translate(translator, give_up)
            loss = 0.0 if give_up() else self._loss(model, precision)
        except FloatingPointError as error:
            failure = str(error)
        except torch.OutOfMemoryError:
            full = True
        model.train()
        failed, is_full, given_up = self.processes.agree(
            float(bool(failure)), float(full), float(give_up())
        )
        require(not is_full, "out of memory in a validation; lower data.batch_tokens")
        if failed:
            raise FloatingPointError(failure or "another process found numbers that are not finite")
        if given_up:
            return None
        return self._result(self.processes.gather(texts), sum(self.processes.gather([loss])))

    def _translate(self, translator: Translator, give_up: Callable[[], bool]) -> list[str]:
        """The translations of this process's share, or the first of them."""
        own = self.sources[self.processes.rank :: self.processes.count]
        texts: list[str] = []
        while len(texts) < len(own) and not give_up():
            chunk = own[len(texts) : len(texts) + CHUNK]
            try:
                texts += [found.text for found in translator.translate(chunk, self.search)]
            except torch.OutOfMemoryError:
                if self.search.batch_tokens < SMALLEST_BATCH:
                    raise
                self._halve_batches()
        return texts

    def _halve_batches(self) -> None:
        """Search in smaller batches from here on; what is translated does not depend on them."""
        self.search = replace(self.search, batch_tokens=self.search.batch_tokens // 2)
        logger.warning(
            "out of memory in a validation: going on with batches of %d", self.search.batch_tokens
        )

    def _result(self, texts: list[str], nll: float) -> Validation:
        score = bleu(texts, self.references, self.language)
        return Validation(
            loss=nll / int(self.data.valid.target_lengths.sum()),
            bleu=score.value,
            chrf=chrf(texts, self.references).value,
            signature=score.signature,
            translations=texts,
        )

    @torch.no_grad()
    def _loss(self, model: Transformer, precision: Precision) -> float:
        """The negative log-likelihood of this process's share, in nats."""
        total = torch.zeros((), dtype=torch.float64, device=self.device)
        for batch in make_loader(self.data.valid, self.plan):
            with autocast(precision, self.device):
                total += batch_loss(model, batch.to(self.device), smoothing=0.0).nll
        return float(total)
