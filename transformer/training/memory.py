"""How large a batch may be."""

import logging
from collections.abc import Callable

import numpy as np
import torch

from transformer.config import AUTO, TrainSettings
from transformer.device import autocast
from transformer.errors import require
from transformer.text.batching import Batch, Lengths
from transformer.text.dataset import PreparedData
from transformer.text.tokenizer import BOS_ID, EOS_ID
from transformer.training.distributed import Processes
from transformer.training.update import Updater

logger = logging.getLogger(__name__)

WITHOUT_GPU = 4096  # the CPU does not tell when its memory runs out
FIRST = 4096
FEWEST_BATCHES = 50  # of an epoch and a process
N_BISECTIONS = 3
SPARE = 0.9  # share of the largest that fitted which is used: shapes differ, memory fragments


def largest_fitting(fits: Callable[[int], bool], most: int) -> int | None:
    """About the largest budget of tokens that `fits`; None where FIRST does not fit.

    Doubles it until it does not fit or `most` is reached, then halves the gap N_BISECTIONS times.
    """
    if not fits(FIRST):
        return None
    good = FIRST
    while 2 * good <= most and fits(2 * good):
        good *= 2
    if 2 * good > most:
        return good
    bad = 2 * good
    for _ in range(N_BISECTIONS):
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def find_batch_tokens(
    settings: TrainSettings, data: PreparedData, updater: Updater, processes: Processes
) -> int:
    """The budget of data.batch_tokens; with `auto`, the most that every process has memory for."""
    if settings.data.batch_tokens != AUTO:
        return int(settings.data.batch_tokens)
    if updater.device.type != "cuda":
        logger.info("data.batch_tokens=auto without a GPU: %d", WITHOUT_GPU)
        return WITHOUT_GPU
    require(
        not updater.sharded,
        "data.batch_tokens=auto does not go with training.parallel.shard=true; give a number",
    )
    lengths = typical_lengths(data.train.source_lengths, data.train.target_lengths)
    sides = data.tokenizers.source, data.tokenizers.target
    vocab_size = min(side.vocab_size for side in sides)

    def fits(batch_tokens: int) -> bool:
        batches = [full_batch(batch_tokens, n, vocab_size, data.train.aligned) for n in lengths]
        own = all(computes(updater, batch) for batch in batches)
        return not processes.agree(float(not own))[0]

    # More than that, and an epoch would have too few updates to learn from.
    n_tokens = int(np.maximum(data.train.source_lengths, data.train.target_lengths).sum())
    found = largest_fitting(fits, n_tokens // (FEWEST_BATCHES * processes.count))
    torch.cuda.reset_peak_memory_stats()
    if found is None:
        logger.warning("data.batch_tokens=auto: not even %d fit in memory; trying it", FIRST)
        return FIRST
    found = int(SPARE * found) // 256 * 256
    logger.info("data.batch_tokens=auto: %d fit in memory", found)
    return found


def typical_lengths(source: Lengths, target: Lengths) -> list[int]:
    """The lengths of a short, a middling and the longest pair: which of them needs most differs."""
    longest = np.maximum(source, target)
    found = np.quantile(longest[:: max(1, len(longest) // 100_000)], [0.05, 0.5])
    return sorted({*map(int, found), int(longest.max())})


def full_batch(batch_tokens: int, length: int, vocab_size: int, aligned: bool = False) -> Batch:
    """A batch of `length` tokens a sentence without padding, as large as the budget allows.

    Where it is `aligned`, each piece has one link.
    """
    n_rows = max(1, batch_tokens // length)
    ids = torch.arange(n_rows * length).view(n_rows, length) % (vocab_size - EOS_ID - 1)
    ids = ids + EOS_ID + 1
    rows, positions = (n.flatten() for n in torch.where(ids >= 0))
    target = torch.cat([torch.full((n_rows, 1), BOS_ID), ids[:, :-1]], dim=1)
    return Batch(
        source=ids,
        target=target,
        labels=ids,
        label_positions=torch.arange(ids.numel()),
        n_source_tokens=ids.numel(),
        n_target_tokens=ids.numel(),
        links=torch.stack([rows, positions, positions], dim=1) if aligned else None,
    )


def computes(updater: Updater, batch: Batch) -> bool:
    """Whether an update by `batch` fits in memory; no weight changes."""
    updater.model.train()
    fitted = _computes(updater, batch)
    # What did not fit is given back when the function has returned.
    updater.model.zero_grad(set_to_none=True)
    torch.cuda.empty_cache()
    return fitted


def _computes(updater: Updater, batch: Batch) -> bool:
    try:
        # What else there will be: the optimizer's two moments of each weight and, where it is not
        # there already, the sum of the gradients of earlier batches.
        n = 3 if updater.processes.count == 1 else 2
        ballast = [torch.empty_like(p) for p in updater.parameters for _ in range(n)]
        with autocast(updater.precision, updater.device):
            loss = updater.objective(updater.model, batch.to(updater.device))
        loss.smoothed.backward()  # type: ignore[no-untyped-call]
    except torch.OutOfMemoryError:
        return False
    return bool(ballast)
