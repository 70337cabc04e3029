"""Subword regularisation: sentences that are stored as ids, cut otherwise in each epoch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count, groupby, pairwise
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sentencepiece import sentencepiece_model_pb2

from transformer.config import TokenizerConfig
from transformer.errors import InputError, require
from transformer.text.batching import Batch, Rows, grid_length
from transformer.text.cutting import Cutter, Draws, MergeCutter, Scored, UnigramCutter
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, Tokenizer, Tokenizers

SOURCE, TARGET = 0, 1  # sides
SPACE = "\u2581"  # SentencePiece's mark of it
DRAWS = 24  # made at once for a row
GAMMA = np.uint64(0x9E3779B97F4A7C15)  # of splitmix64 (Steele et al., 2014), as the two below
MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))

Seeds = NDArray[np.uint64]
proto: Any = sentencepiece_model_pb2  # its classes are made when it is imported
NORMAL = proto.ModelProto.SentencePiece.NORMAL
CUTTERS: dict[int, type[UnigramCutter] | type[MergeCutter]] = {
    proto.TrainerSpec.UNIGRAM: UnigramCutter,
    proto.TrainerSpec.BPE: MergeCutter,
}


class Resampler:
    """Draws another cut of a row of ids; the row decodes to the same text as before.

    Unigram: from all cuts, by their probabilities to the power of `alpha` (Kudo, 2018, section
    3.2). BPE: each merge is left out with the probability `alpha` (Provilkov et al., 2020, section
    3). Pieces that do not stand for letters (tags, bytes, unknown) stay, as do user's symbols, and
    so does what lies between two of them where no pieces spell it otherwise.

    SentencePiece itself draws as well, but of one seed each process makes other cuts, for its
    generator takes up a salt of the process (measured with 0.2.3). InputError where the model is
    neither unigram nor BPE.
    """

    def __init__(self, tokenizer: Tokenizer, alpha: float) -> None:
        self.tokenizer = tokenizer
        self.alpha = alpha
        model = proto.ModelProto.FromString(tokenizer.model)
        kind = model.trainer_spec.model_type
        require(
            kind in CUTTERS,
            "tokenizer.source_sampling and tokenizer.target_sampling need pieces of kind unigram "
            f"or bpe, not {proto.TrainerSpec.ModelType.Name(kind).lower()}",
        )
        self._surfaces = [piece.piece for piece in model.pieces]
        self._kept = {id_ for id_, piece in enumerate(model.pieces) if piece.type != NORMAL}
        pieces = {
            piece.piece: Scored(id_, piece.score)
            for id_, piece in enumerate(model.pieces)
            if id_ not in self._kept
        }
        self._cutter: Cutter = CUTTERS[kind](pieces, alpha)
        self._beyond_words = any(SPACE in piece[1:] for piece in pieces)

    def __reduce__(self) -> tuple[type[Self], tuple[Tokenizer, float]]:
        return type(self), (self.tokenizer, self.alpha)

    def resample(self, ids: Sequence[int], seed: int) -> list[int]:
        """Another cut of `ids`, which have no EOS; it depends on them and the seed alone.

        Seeds lie in [0, 2**64).
        """
        return self.resample_rows([ids], np.array([seed], np.uint64))[0]

    def resample_rows(self, rows: Sequence[Sequence[int]], seeds: Seeds) -> list[list[int]]:
        """What `resample` gives of each row with its seed, in less time."""
        first = self._cutter.numbers(_uniform(seeds, 0).ravel())
        return [
            self._row(
                ids, chain(first[i * DRAWS : (i + 1) * DRAWS], self._further(seeds[i : i + 1]))
            )
            for i, ids in enumerate(rows)
        ]

    def _further(self, seed: Seeds) -> Iterator[float]:
        """The draws of a row behind the first."""
        for start in count(DRAWS, DRAWS):
            yield from self._cutter.numbers(_uniform(seed, start).ravel())

    def _row(self, ids: Sequence[int], draws: Iterator[float]) -> list[int]:
        if self._kept.isdisjoint(ids):
            return self._run(ids, draws)
        found: list[int] = []
        for is_kept, part in groupby(ids, self._kept.__contains__):
            run = list(part)
            found += run if is_kept else self._run(run, draws)
        return found

    def _run(self, ids: Sequence[int], draws: Iterator[float]) -> list[int]:
        found: list[int] = []
        for word in self._words("".join([self._surfaces[id_] for id_ in ids])):
            cut = self._cutter.cut(word, draws)
            if cut is None:
                return list(ids)
            found += cut
        return found

    def _words(self, surface: str) -> Iterable[str]:
        """The parts of `surface` beyond which no piece goes."""
        if self._beyond_words:
            return [surface]
        first, *others = surface.split(SPACE)
        words = [SPACE + other for other in others]
        return [first, *words] if first else words


@dataclass(frozen=True)
class Sampling:
    """How training pairs are cut anew; a side without a resampler stays as it is stored."""

    source: Resampler | None
    target: Resampler | None
    seed: int  # of the run

    def cut(
        self, source: list[list[int]], target: list[list[int]], rows: Rows, epoch: int
    ) -> tuple[list[list[int]], list[list[int]]]:
        """Both sides of the pairs numbered `rows` as `epoch` sees them."""
        if self.source is not None:
            seeds = sampling_seeds(self.seed, epoch, rows, SOURCE)
            source = self.source.resample_rows(source, seeds)
        if self.target is not None:
            seeds = sampling_seeds(self.seed, epoch, rows, TARGET)
            target = self.target.resample_rows(target, seeds)
        return source, target


def build_sampling(
    config: TokenizerConfig, tokenizers: Tokenizers, *, seed: int, aligned: bool
) -> Sampling | None:
    """The sampling that `config` asks for; None where all sentences keep their cut.

    InputError as `check_sampling`.
    """
    check_sampling(config, tokenizers, aligned=aligned)
    alphas = config.source_sampling, config.target_sampling
    if alphas == (None, None):
        return None
    source, target = (
        None if alpha is None else Resampler(tokenizer, alpha)
        for tokenizer, alpha in zip((tokenizers.source, tokenizers.target), alphas, strict=True)
    )
    return Sampling(source, target, seed)


def check_sampling(config: TokenizerConfig, tokenizers: Tokenizers, *, aligned: bool) -> None:
    """Raise InputError where cuts are to be drawn of pieces or of a corpus that forbid it."""
    for side in ("source", "target"):
        alpha = getattr(config, f"{side}_sampling")
        if alpha is None:
            continue
        key = f"tokenizer.{side}_sampling={alpha}"
        require(
            not aligned,
            f"{key} does not go with alignments (data.alignment), which link pieces as they are "
            "stored; leave one of them out",
        )
        model = proto.ModelProto.FromString(getattr(tokenizers, side).model)
        kind = model.trainer_spec.model_type
        if kind not in CUTTERS:
            name = proto.TrainerSpec.ModelType.Name(kind).lower()
            taken = (
                "" if config.init_from is None else f" in tokenizer.init_from={config.init_from}"
            )
            raise InputError(
                f"{key} needs pieces of kind unigram or bpe, but those{taken} are of kind {name}; "
                "leave it out"
            )


def sampling_seed(seed: int, epoch: int, row: int, side: int) -> int:
    """The seed of the cut of one side of the pair numbered `row`, in [0, 2**64)."""
    return int(sampling_seeds(seed, epoch, np.array([row]), side)[0])


def sampling_seeds(seed: int, epoch: int, rows: Rows, side: int) -> Seeds:
    """What `sampling_seed` gives for each of `rows`.

    Row n is the n-th number of splitmix64 from where (seed, epoch, side) begin.
    """
    start = np.random.SeedSequence([seed, epoch, side]).generate_state(1, np.uint64)
    return _mixed(start + (rows.astype(np.uint64) + np.uint64(1)) * GAMMA)


def _uniform(seeds: Seeds, start: int) -> Draws:
    """[seeds, DRAWS] numbers in [0, 1): those from `start` on of splitmix64 from each seed."""
    steps = np.arange(start + 1, start + DRAWS + 1, dtype=np.uint64) * GAMMA
    return (_mixed(seeds[:, None] + steps) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = (x ^ (x >> np.uint64(30))) * MIX[0]
    x = (x ^ (x >> np.uint64(27))) * MIX[1]
    return x ^ (x >> np.uint64(31))


def batch_of(source: list[list[int]], target: list[list[int]]) -> Batch:
    """Pairs of ids without EOS as `EncodedSplit.batch` makes a batch of those that are stored."""
    every = np.arange(len(source))
    sources, source_lengths = _padded(source)
    labels, target_lengths = _padded(target)
    shifted = np.empty_like(labels)
    shifted[:, 0], shifted[:, 1:] = BOS_ID, labels[:, :-1]
    sources[every, source_lengths - 1] = EOS_ID
    labels[every, target_lengths - 1] = EOS_ID
    return Batch(
        torch.from_numpy(sources),
        torch.from_numpy(shifted),
        torch.from_numpy(labels),
        torch.from_numpy(np.flatnonzero(labels != PAD_ID)),
        int(source_lengths.sum()),
        int(target_lengths.sum()),
    )


def unpadded(padded: NDArray[np.int64], lengths: NDArray[np.integer]) -> list[list[int]]:
    """The first so many numbers of each row of `padded` as `lengths` says."""
    ends = np.cumsum(lengths).tolist()
    ids = padded[np.arange(padded.shape[1]) < lengths[:, None]].tolist()
    return [ids[start:end] for start, end in pairwise([0, *ends])]


def _padded(rows: Sequence[Sequence[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """int64 [rows, width on the grid], filled up with PAD, and lengths with EOS, which has room."""
    lengths = np.fromiter(map(len, rows), np.int64, len(rows))
    columns = np.arange(grid_length(int(lengths.max()) + 1))
    padded = np.full((len(rows), len(columns)), PAD_ID)
    ids = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
    padded[columns < lengths[:, None]] = ids
    return padded, lengths + 1
