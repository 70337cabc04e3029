"""What a model is worth on the validation sets."""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from statistics import fmean
from typing import Any, Self

import torch

from transformer.config import DataConfig, Metric, Precision, SearchConfig, TrainSettings, Unit
from transformer.device import autocast
from transformer.errors import require
from transformer.metrics import bleu, chrf
from transformer.model import Transformer
from transformer.pictures.attention import Looks
from transformer.text.batching import Rows, make_loader, plan_in_order
from transformer.text.dataset import EncodedSplit, PreparedData, PreparedSet
from transformer.training.distributed import Processes
from transformer.training.objective import batch_loss
from transformer.translation import Member, Request, Translator
from transformer.translation.looking import fits, look
from transformer.translation.sets import requests_of

logger = logging.getLogger(__name__)

CHUNK = 1024  # sentences translated between two looks at whether to give up
LEGIBLE = 40  # pieces of a sentence whose attention is drawn
SMALLEST_BATCH = 256  # tokens; where not even that fits, smaller ones are not tried


@dataclass(frozen=True)
class Scores:
    """What a model is worth on some text."""

    loss: float  # mean negative log-likelihood of a token, in nats, without smoothing
    bleu: float
    chrf: float
    signature: str  # of BLEU

    @property
    def perplexity(self) -> float:
        """The exponential of the loss; infinite where that overflows."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    def numbers(self) -> dict[str, float]:
        """The scores by name."""
        return {
            "loss": self.loss,
            "perplexity": self.perplexity,
            "bleu": self.bleu,
            "chrf": self.chrf,
        }

    def metrics(self) -> dict[str, Any]:
        """The scores by name, and how to compute BLEU again."""
        return {**self.numbers(), "signature": self.signature}


@dataclass(frozen=True)
class SetScores(Scores):
    """Scores and translations of one validation set."""

    translations: list[str]


@dataclass(frozen=True)
class Validation(Scores):
    """Scores over all validation sets: the loss of all their tokens, else the sets' mean."""

    sets: dict[str, SetScores]  # by name
    # At some sentences, for the first process to show; no part of what the model is worth.
    looks: Sequence[Looks] = field(default=(), compare=False)

    @classmethod
    def of(cls, sets: dict[str, SetScores], loss: float, looks: Sequence[Looks] = ()) -> Self:
        """The scores over `sets`, whose tokens have the mean `loss`."""
        found = list(sets.values())
        return cls(
            loss=loss,
            bleu=fmean(each.bleu for each in found),
            chrf=fmean(each.chrf for each in found),
            signature=", ".join(dict.fromkeys(each.signature for each in found)),
            sets=sets,
            looks=looks,
        )

    @property
    def parts(self) -> dict[str, SetScores]:
        """The sets where there are several, else none: one has the scores of the whole."""
        return self.sets if len(self.sets) > 1 else {}

    def metrics(self) -> dict[str, Any]:
        """As of all scores, and those of each of the `parts`."""
        parts = {name: scores.metrics() for name, scores in self.parts.items()}
        return super().metrics() | ({"sets": parts} if parts else {})


def is_better(metric: Metric, value: float, than: float) -> bool:
    """Whether `value` of `metric` beats another; every number beats NaN."""
    if math.isnan(than):
        return not math.isnan(value)
    return value < than if metric is Metric.loss else value > than


@dataclass(frozen=True)
class ValidationSet:
    """A set, ready to score a model."""

    name: str
    language: str  # of the references
    requests: list[Request]
    references: list[str]
    encoded: EncodedSplit

    @classmethod
    def of(cls, prepared: PreparedSet, data: DataConfig) -> Self:
        """The text and the ids of a `prepared` set of `data`."""
        rows = prepared.rows()
        requests = requests_of(rows, prepared.language, data)
        references = [target for _, target, *_ in rows]
        return cls(prepared.name, prepared.language, requests, references, prepared.encoded)

    @property
    def n_labels(self) -> int:
        return int(self.encoded.target_lengths.sum())

    def plan(self, batch_tokens: int) -> list[Rows]:
        """The rows of each batch."""
        return plan_in_order(self.encoded.source_lengths, self.encoded.target_lengths, batch_tokens)

    def scores(self, translations: list[str], nll: float) -> SetScores:
        """The scores of `translations`, where the references cost `nll` nats."""
        score = bleu(translations, self.references, self.language)
        return SetScores(
            loss=nll / self.n_labels,
            bleu=score.value,
            chrf=chrf(translations, self.references).value,
            signature=score.signature,
            translations=translations,
        )

    def samples(self, translations: list[str], n: int) -> list[str]:
        """The first `n` sentences with translation and reference, in Markdown."""
        triples = zip(self.requests, translations, self.references, strict=True)
        return [
            f"source: {request.source}\n\ntranslation: {translation}\n\n"
            f"reference: {reference}\n\n---"
            for request, translation, reference in islice(triples, n)
        ]


class Validator:
    """The validation sets, ready to score the model under training.

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
        self.search = SearchConfig(beam_size=settings.training.validation_beam_size)
        self.sets = [ValidationSet.of(each, settings.data) for each in data.valid]
        # All sets one after another are shared out, so that small ones too are for all processes.
        self.requests = [request for each in self.sets for request in each.requests]
        self.batches = [
            (i, rows) for i, each in enumerate(self.sets) for rows in each.plan(batch_tokens)
        ][processes.rank :: processes.count]

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
        looks: list[Looks] = []
        losses, failure, full = [0.0] * len(self.sets), "", False
        try:
            texts = self._translate(translator, give_up)
            if not give_up():
                losses = self._losses(model, precision)
                looks = self._look(translator)
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
        shares = zip(*self.processes.gather([losses]), strict=True)
        return self._result(self.processes.gather(texts), [sum(share) for share in shares], looks)

    def _look(self, translator: Translator) -> list[Looks]:
        """The attention in the first sentences that make legible pictures, in the first process.

        Where there are none, in the first that the model takes.
        """
        n = self.settings.training.attention_samples
        if not (n and self.processes.is_first):
            return []
        found: list[Request] = []
        for longest in (LEGIBLE, None):
            fitting = (r for r in self.requests if fits(translator, r.source, longest=longest))
            found = found or list(islice(fitting, n))
        return look(translator, found, None, Unit.words, self.search)

    def _translate(self, translator: Translator, give_up: Callable[[], bool]) -> list[str]:
        """The translations of this process's share, or the first of them."""
        own = self.requests[self.processes.rank :: self.processes.count]
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

    def _result(self, texts: list[str], losses: list[float], looks: list[Looks]) -> Validation:
        """The scores of the translations of all sets, whose references cost `losses` nats."""
        remaining = iter(texts)
        found = {
            each.name: each.scores(list(islice(remaining, len(each.references))), nll)
            for each, nll in zip(self.sets, losses, strict=True)
        }
        loss = sum(losses) / sum(each.n_labels for each in self.sets)
        return Validation.of(found, loss, looks)

    @torch.no_grad()
    def _losses(self, model: Transformer, precision: Precision) -> list[float]:
        """The negative log-likelihood of this process's share of each set, in nats."""
        totals = torch.zeros(len(self.sets), dtype=torch.float64, device=self.device)
        for i, each in enumerate(self.sets):
            own = [rows for number, rows in self.batches if number == i]
            for batch in make_loader(each.encoded, own):
                with autocast(precision, self.device):
                    totals[i] += batch_loss(model, batch.to(self.device), smoothing=0.0).nll
        found: list[float] = totals.tolist()
        return found
