"""What training minimises: the label loss, alone or beside R-Drop's and a teacher's."""

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from transformer.checkpoint import MANIFEST, SETTINGS, Checkpoint, find_checkpoint
from transformer.config import (
    DataConfig,
    DistillationConfig,
    Precision,
    TrainingConfig,
    TrainSettings,
    load_settings,
)
from transformer.device import autocast
from transformer.errors import InputError, require
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.text.dataset import PreparedData
from transformer.text.tokenizer import Tokenizers
from transformer.training.alignment import GuidedAlignment, check_alignment_settings
from transformer.training.objective import (
    DerivedCriterion,
    Objective,
    TokenLoss,
    chunked_loss,
    label_objective,
)

# Log-probabilities [n, passes, V] of the labels `part` of a batch to their loss, summed over the
# labels and averaged over the passes.
Term = Callable[[Tensor, slice], Tensor]


def build_objective(
    settings: TrainSettings, data: PreparedData, device: torch.device, precision: Precision
) -> Objective:
    """What `settings.training` asks to minimise; to be called under autocast of `precision`.

    InputError where the teacher cannot be read or has another vocabulary, or where guided
    alignment lacks what it needs.
    """
    config = settings.training
    objective = build_token_objective(config, data.tokenizers, device, precision)
    if config.alignment.weight > 0:
        check_alignment_settings(settings, data)
        objective = GuidedAlignment(objective, config.alignment)
    return objective


def build_token_objective(
    config: TrainingConfig, tokenizers: Tokenizers, device: torch.device, precision: Precision
) -> Objective:
    """The label loss, alone where neither R-Drop nor a teacher is asked for."""
    terms: list[tuple[float, Callable[[Batch], Term]]] = []
    label_weight, n_passes = 1.0, 1
    if config.distillation.teacher is not None:
        teacher = load_teacher(config.distillation.teacher, tokenizers, device)
        distillation = Distillation(teacher, config.distillation, device, precision)
        label_weight = 1 - config.distillation.weight
        terms.append((config.distillation.weight, distillation.term))
    if config.rdrop > 0:
        n_passes = 2
        terms.append((config.rdrop, lambda _: inconsistency))
    if not terms:
        return label_objective(
            config.label_smoothing, packing=config.packing, compiled=config.compile
        )
    return MixedObjective(
        smoothing=config.label_smoothing,
        label_weight=label_weight,
        terms=terms,
        n_passes=n_passes,
    )


class MixedObjective:
    """The label loss and other terms, each with its weight, over several dropouts of a batch.

    The rows of all passes go through the model together: first those of the first pass.
    """

    def __init__(
        self,
        *,
        smoothing: float,
        label_weight: float,
        terms: Sequence[tuple[float, Callable[[Batch], Term]]],
        n_passes: int,
    ) -> None:
        self.smoothing = smoothing
        self.label_weight = label_weight
        self.terms = terms
        self.n_passes = n_passes

    def __call__(self, model: Transformer, batch: Batch) -> TokenLoss:
        """The loss of `batch` on the model's device; NLL is the mean of the passes."""
        source, target = (ids.repeat(self.n_passes, 1) for ids in (batch.source, batch.target))
        hidden = model.hidden(target, model.start(source))
        labels = batch.labels.flatten().index_select(0, batch.label_positions)
        terms = [(weight, prepare(batch)) for weight, prepare in self.terms]

        def loss(logits: Tensor, part: slice) -> TokenLoss:
            log_p = logits.log_softmax(-1)
            smoothed, nll = label_loss(log_p, labels[part], self.smoothing)
            others = [weight * term(log_p, part) for weight, term in terms]
            return TokenLoss(sum(others, self.label_weight * smoothed), nll)

        hidden = at_labels(hidden, batch, self.n_passes)
        return chunked_loss(hidden, model.output.weight, DerivedCriterion(loss))


def at_labels(hidden: Tensor, batch: Batch, n_passes: int) -> Tensor:
    """`hidden` [passes * B, T, D] at the N labels of `batch`: [N, passes, D]."""
    starts = torch.arange(n_passes, device=hidden.device) * batch.labels.numel()
    positions = batch.label_positions[:, None] + starts  # [N, passes]
    found = hidden.flatten(0, 1).index_select(0, positions.flatten())
    return found.view(*positions.shape, -1)


def label_loss(log_p: Tensor, labels: Tensor, smoothing: float) -> TokenLoss:
    """Cross-entropy of log-probabilities [n, passes, V] with smoothed `labels` [n].

    Summed over the labels and averaged over the passes.
    """
    n, n_passes, _ = log_p.shape
    nll = -log_p.gather(-1, labels[:, None, None].expand(n, n_passes, 1)).sum() / n_passes
    uniform = -log_p.mean(-1).sum() / n_passes
    return TokenLoss((1 - smoothing) * nll + smoothing * uniform, nll)


def inconsistency(log_p: Tensor, _: slice) -> Tensor:
    """Mean of the two Kullback-Leibler divergences between the two passes of `log_p` [n, 2, V].

    R-Drop (Wu et al., 2021, equation 2). Equations 3 and 4 add it, times alpha, to the sum of
    both passes' label losses; here stands their mean, so training.rdrop is alpha / 2.
    """
    first, second = log_p.unbind(1)
    return 0.5 * ((first.exp() - second.exp()) * (first - second)).sum()


class Distillation:
    """A teacher, whose distribution at each label the student is to learn."""

    def __init__(
        self,
        teacher: Transformer,
        config: DistillationConfig,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.teacher = teacher
        self.temperature = config.temperature
        self.device = device
        self.precision = precision

    def term(self, batch: Batch) -> Term:
        """Cross-entropy of the student with the teacher at the labels of `batch`.

        Kim and Rush, 2016, section 3.1. With a temperature, it divides the logits of both, and
        the loss is multiplied by its square (Hinton et al., 2015, section 2). It exceeds the
        divergence from the teacher by the teacher's entropy, and has the same gradient.
        """
        with torch.no_grad(), autocast(self.precision, self.device):
            hidden = self.teacher.hidden(batch.target, self.teacher.start(batch.source))
            hidden = at_labels(hidden, batch, 1)

        def cross_entropy(log_p: Tensor, part: slice) -> Tensor:
            expected = self._probabilities(hidden[part], log_p.dtype)  # [n, 1, V]
            found = (log_p / self.temperature).log_softmax(-1)
            return -(self.temperature**2) * (expected * found).sum() / log_p.shape[1]

        return cross_entropy

    @torch.no_grad()
    def _probabilities(self, hidden: Tensor, dtype: torch.dtype) -> Tensor:
        with autocast(self.precision, self.device):
            logits = self.teacher.logits(hidden).to(dtype)
        return (logits / self.temperature).softmax(-1)


def find_teacher(settings: TrainSettings) -> Path | None:
    """The checkpoint to learn from.

    InputError where there is none at the place given, or it reads other sources than the student.
    """
    path = settings.training.distillation.teacher
    if path is None:
        return None
    try:
        folder = find_checkpoint(path)
        _check_reading(load_settings(TrainSettings, folder / SETTINGS).data, settings.data)
    except InputError as error:
        raise InputError(f"training.distillation.teacher={path}: {error}") from error
    return folder


def _check_reading(teacher: DataConfig, student: DataConfig) -> None:
    """Raise InputError where a teacher would meet tags or sentences that it does not know."""
    theirs, ours = teacher.tagged_languages, student.tagged_languages
    require(
        bool(theirs) == bool(ours) and {*ours} <= {*theirs},
        f"the teacher translates into {_into(teacher)}, this run into {_into(student)}; it needs "
        "the tags of the same languages before its sources",
    )
    require(
        teacher.context == student.context,
        f"the teacher was trained with data.context {_counts(teacher)}, this run has "
        f"{_counts(student)} (source, target); they must be the same",
    )


def _into(data: DataConfig) -> str:
    return ", ".join(data.tagged_languages) or f"{data.directions[0][1]} alone"


def _counts(data: DataConfig) -> str:
    return f"{data.context.source}, {data.context.target}"


def digest_of(teacher: Path) -> str:
    """The SHA-256 of a checkpoint's manifest, which has those of all its files."""
    return hashlib.sha256((teacher / MANIFEST).read_bytes()).hexdigest()


def load_teacher(path: str, tokenizers: Tokenizers, device: torch.device) -> Transformer:
    """The model of the run or checkpoint `path`, in evaluation mode.

    InputError where it cannot be read or its vocabulary is not that of `tokenizers`.
    """
    name = f"training.distillation.teacher={path}"
    try:
        folder = find_checkpoint(path)
        found, model = _load(folder, digest_of(folder), device)
    except InputError as error:
        raise InputError(f"{name}: {error}") from error
    same = (found.source.model, found.target.model) == (
        tokenizers.source.model,
        tokenizers.target.model,
    )
    require(
        same, f"{name}: the teacher has another vocabulary; train with tokenizer.init_from={path}"
    )
    return model


def forget_teacher() -> None:
    """Give back the memory that the teacher takes."""
    _load.cache_clear()


@functools.lru_cache(maxsize=1)
def _load(folder: Path, _: str, device: torch.device) -> tuple[Tokenizers, Transformer]:
    """A checkpoint's tokenizers and model, read once however often the objective is built.

    By folder and digest, since another run may have taken its place.
    """
    checkpoint = Checkpoint(folder)
    return checkpoint.tokenizers, checkpoint.model(device).requires_grad_(False)
