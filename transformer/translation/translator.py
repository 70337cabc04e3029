"""Lines to lines: sort, batch, search, restore the order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from transformer.checkpoint import Checkpoint, find_checkpoint
from transformer.config import Precision, SearchConfig, TrainSettings
from transformer.device import autocast, choose_device, choose_precision
from transformer.model import Transformer
from transformer.search import Hypothesis, search
from transformer.text.batching import pad
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, Tokenizers

# Lines that are sorted by length together; so many are read before the first comes out.
WINDOW = 4096


@dataclass(frozen=True)
class Translation:
    """The hypotheses of one line, best first; a blank line has a single empty one."""

    texts: list[str]
    scores: list[float]  # log-probability over the normaliser of search.normalization

    @property
    def text(self) -> str:
        """The best hypothesis."""
        return self.texts[0]


BLANK = Translation([""], [0.0])


class Translator:
    """A model with its tokenizers, ready to translate."""

    def __init__(
        self,
        model: Transformer,
        settings: TrainSettings,
        tokenizers: Tokenizers,
        device: torch.device,
        precision: Precision,
    ) -> None:
        self.model = model
        self.settings = settings  # that the model was trained with
        self.tokenizers = tokenizers
        self.device = device
        self.precision = precision

    @classmethod
    def load(
        cls, checkpoint: str, device: str = "auto", precision: Precision = Precision.auto
    ) -> "Translator":
        """The translator of a run's folder or a checkpoint's; InputError where there is none."""
        place = choose_device(device)
        loaded = Checkpoint(find_checkpoint(checkpoint))
        arithmetic = choose_precision(precision, place)
        return cls(loaded.model(place), loaded.settings, loaded.tokenizers, place, arithmetic)

    def translate(self, lines: Iterable[str], config: SearchConfig) -> Iterator[Translation]:
        """The translation of each line, in order; reads WINDOW lines ahead."""
        lines = iter(lines)
        while window := list(islice(lines, WINDOW)):
            yield from self._translate_window(window, config)

    def _translate_window(
        self, lines: Sequence[str], config: SearchConfig
    ) -> Iterator[Translation]:
        sources = self.tokenizers.source.encode(lines)
        translations = [BLANK] * len(lines)
        for rows in plan([len(source) for source in sources], config):
            found = self._search([sources[row] for row in rows], config)
            for row, hypotheses in zip(rows, found, strict=True):
                translations[row] = self._to_text(hypotheses)
        yield from translations

    def _search(self, sources: list[list[int]], config: SearchConfig) -> list[list[Hypothesis]]:
        length = max(map(len, sources)) + 1
        source = pad([[*ids, EOS_ID] for ids in sources], length)
        with autocast(self.precision, self.device):
            return search(
                self.model,
                source.to(self.device),
                max_lengths([len(ids) for ids in sources], config).to(self.device),
                config,
                bos_id=BOS_ID,
                eos_id=EOS_ID,
                pad_id=PAD_ID,
            )

    def _to_text(self, hypotheses: list[Hypothesis]) -> Translation:
        texts = self.tokenizers.target.decode([hypothesis.tokens for hypothesis in hypotheses])
        return Translation(texts, [hypothesis.score for hypothesis in hypotheses])


def max_lengths(lengths: Sequence[int], config: SearchConfig) -> Tensor:
    """The most tokens [B] of each output, EOS counted, for sources of `lengths` pieces."""
    longest = [int(config.max_length_ratio * n) + config.max_length_offset for n in lengths]
    return torch.tensor(longest)


def plan(lengths: Sequence[int], config: SearchConfig) -> Iterator[list[int]]:
    """Batches of row numbers, longest first, each within `config.batch_tokens`.

    Blank lines, of length 0, are in none.
    """
    rows = sorted((row for row, n in enumerate(lengths) if n), key=lambda row: -lengths[row])
    batch: list[int] = []
    for row in rows:
        longest = lengths[batch[0] if batch else row] + 1
        if batch and (len(batch) + 1) * longest * config.beam_size > config.batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
