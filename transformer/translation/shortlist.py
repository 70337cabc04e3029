"""The shortlist command: what the source pieces of a run's training pairs may become."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from transformer.checkpoint import Checkpoint, find_checkpoint
from transformer.config import ShortlistSettings
from transformer.errors import require
from transformer.text.dataset import PreparedData, prepare_data
from transformer.text.encoded import EncodedSplit
from transformer.text.lexicon import Lexicon, learn_lexicon
from transformer.text.tokenizer import EOS_ID, PAD_ID

__all__ = ["make_shortlist", "training_data"]

logger = logging.getLogger(__name__)

ROWS = 1024  # validation pairs handled at once


def make_shortlist(settings: ShortlistSettings) -> None:
    """Learn a shortlist from the training pairs of a run and write it to `settings.output`.

    Logs how much of the vocabulary validation sentences may use, and what share of their
    references that covers.
    """
    output = Path(settings.output)
    require(
        output.parent.is_dir() and not output.is_dir(),
        f"output={output} cannot be written: "
        + ("it is a folder" if output.is_dir() else f"there is no folder {output.parent}"),
    )
    checkpoint = Checkpoint(find_checkpoint(settings.checkpoint))
    data = training_data(checkpoint)
    logger.info("learning what pieces become from %s sentence pairs", f"{len(data.train):,}")
    lexicon = learn_lexicon(
        data.train,
        data.tokenizers,
        size=settings.size,
        frequent=settings.frequent,
        iterations=settings.iterations,
    )
    lexicon.save(output, data.tokenizers)
    n_candidates, covered = coverage(lexicon, [each.encoded for each in data.valid])
    logger.info(
        "a validation sentence may use %.0f of %s target pieces, on average",
        *(n_candidates, f"{data.tokenizers.target.vocab_size:,}"),
    )
    logger.info("%.2f %% of the pieces of the references are among them", 100 * covered)


def training_data(checkpoint: Checkpoint) -> PreparedData:
    """The data that the model was trained on, in its own pieces, from the cache if it is there.

    Pieces that were learnt are learnt again where the cache is lost; others are taken from the
    checkpoint, as they are also where those learnt differ.
    """
    settings = checkpoint.settings
    config = settings.tokenizer
    learnt = config.init_from is None and (
        settings.training.init_from is None or settings.training.new_vocabulary
    )
    if learnt:
        data = prepare_data(settings.data, config, settings.cleaning)
        if data.tokenizers.digests() == checkpoint.tokenizers.digests():
            return data
    taken = replace(config, init_from=str(checkpoint.folder), extra_pieces=0)
    return prepare_data(settings.data, taken, settings.cleaning)


def coverage(lexicon: Lexicon, splits: Sequence[EncodedSplit]) -> tuple[float, float]:
    """How many target pieces a sentence may use on average, and their share of the references."""
    n_candidates = n_covered = n_pieces = 0
    for split in splits:
        for start in range(0, len(split), ROWS):
            batch = split.batch(np.arange(start, min(start + ROWS, len(split))))
            for source, labels in zip(batch.source.numpy(), batch.labels.numpy(), strict=True):
                candidates = np.unique(lexicon.candidates(source[source != PAD_ID]))
                pieces = labels[(labels != PAD_ID) & (labels != EOS_ID)]
                n_candidates += len(candidates)
                n_covered += int(np.isin(pieces, candidates).sum())
                n_pieces += len(pieces)
    n_sentences = sum(map(len, splits))
    return n_candidates / max(n_sentences, 1), n_covered / max(n_pieces, 1)
