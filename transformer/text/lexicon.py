"""Which target pieces each source piece may become, learnt from sentence pairs."""

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save
from torch import Tensor

from transformer.errors import InputError, require
from transformer.text.batching import plan_in_order
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, SPECIAL_PIECES, UNK_ID, Tokenizers

if TYPE_CHECKING:  # translating begins sooner where nothing of corpora is loaded
    from transformer.text.encoded import EncodedSplit

FORMAT = "1"  # of the file
MOST_LINKS = 100_000_000  # pairs of pieces of one sentence pair that are held, 4 bytes each
BATCH_TOKENS = 16_384  # padded pieces of the sentence pairs handled at once
TINY = 1e-300  # less than any sum of probabilities that is not 0

Sides = tuple[Tensor, Tensor]  # sources [B, S] and targets [B, T], filled up with PAD


@dataclass(frozen=True)
class Lexicon:
    """The target pieces that the translation of a sentence may use."""

    common: NDArray[np.int32]  # those that every sentence may
    # [source pieces, N] those of each source piece, filled up with PAD, which is a common one.
    targets: NDArray[np.int32]

    def candidates(self, source: Sequence[int]) -> NDArray[np.int32]:
        """What a translation of the pieces `source` may use; some ids occur more than once."""
        return np.concatenate([self.common, self.targets[list(source)].ravel()])

    @classmethod
    def load(cls, path: Path, tokenizers: Tokenizers) -> Self:
        """What `save` wrote; InputError where it is missing, damaged, or for other tokenizers."""
        key = f"shortlist={path}"
        require(path.is_file(), f"{key} is no file; transformer shortlist makes one")
        try:
            with safe_open(path, "numpy") as file:
                metadata = file.metadata() or {}
                arrays = {name: file.get_tensor(name) for name in ("common", "targets")}
        except (OSError, SafetensorError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{key} cannot be read as a shortlist: {reason}") from error
        version = metadata.get("format")
        require(version == FORMAT, f"{key} has the format {version}; this version reads {FORMAT}")
        require(
            metadata.get("sha256") == _digest(arrays, metadata.get("tokenizers", "")),
            f"{key} was altered since it was made (SHA-256 differs); make it again",
        )
        require(
            metadata["tokenizers"] == " ".join(tokenizers.digests()),
            f"{key} was made for other tokenizers than the model has; make one by "
            "transformer shortlist checkpoint=RUN output=FILE",
        )
        return cls(**arrays)

    def save(self, path: Path, tokenizers: Tokenizers) -> None:
        """Write to the file `path`, which appears whole; InputError where it cannot be written."""
        arrays = {"common": self.common, "targets": self.targets}
        digests = " ".join(tokenizers.digests())
        metadata = {"format": FORMAT, "tokenizers": digests, "sha256": _digest(arrays, digests)}
        file = Path(os.path.realpath(path))  # a link is written through, not replaced
        aside = file.with_name(f".{file.name}.{os.getpid()}")
        try:
            with aside.open("wb") as stream:
                stream.write(save(arrays, metadata))
                stream.flush()
                os.fsync(stream.fileno())
            aside.replace(file)
        except OSError as error:
            raise InputError(f"output={path} cannot be written: {error.strerror}") from error
        finally:
            aside.unlink(missing_ok=True)


def _digest(arrays: dict[str, NDArray[np.int32]], digests: str) -> str:
    """The SHA-256 of the tokenizers' `digests`, and of names, types, shapes and numbers."""
    digest = hashlib.sha256(digests.encode())
    for name, array in arrays.items():
        digest.update(f"{name} {array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()


def learn_lexicon(
    split: "EncodedSplit", tokenizers: Tokenizers, *, size: int, frequent: int, iterations: int
) -> Lexicon:
    """The `size` most probable target pieces of each source piece by IBM model 1.

    Every sentence may use the special pieces, the `frequent` most frequent target pieces, and what
    the empty word becomes. A source piece that is a target piece too may be copied.

    Of a corpus that has more than MOST_LINKS pairs of pieces, evenly spread sentence pairs are
    read, so many as have about that number.
    """
    model = IBM1(list(_batches(split)), tokenizers.target.vocab_size)
    for _ in range(iterations):
        model.iterate()
    best = model.best(tokenizers.source.vocab_size, size)
    special = range(len(SPECIAL_PIECES))
    common = np.unique(np.concatenate([special, model.most_frequent(frequent), best[EOS_ID]]))
    best[special] = PAD_ID
    targets = np.concatenate([best, _copies(tokenizers)[:, None]], axis=1)
    return Lexicon(common.astype(np.int32), targets.astype(np.int32))


def _batches(split: "EncodedSplit") -> Iterator[Sides]:
    """Sources with EOS, which stands for the empty word, and targets without."""
    source, target = split.source_lengths, split.target_lengths
    n_links = int(np.multiply(source, target, dtype=np.int64).sum())
    rows = np.arange(0, len(split), -(-n_links // MOST_LINKS))
    for places in plan_in_order(source[rows], target[rows], BATCH_TOKENS):
        batch = split.batch(rows[places])
        yield batch.source, batch.labels.masked_fill(batch.labels == EOS_ID, PAD_ID)


def _copies(tokenizers: Tokenizers) -> NDArray[np.int64]:
    """The target piece that is the same as each source piece, or PAD where there is none."""
    source, target = (
        side.pieces(range(side.vocab_size)) for side in (tokenizers.source, tokenizers.target)
    )
    ids = {piece: id_ for id_, piece in enumerate(target)}
    copies = np.array([ids.get(piece, PAD_ID) for piece in source])
    copies[[PAD_ID, UNK_ID, BOS_ID, EOS_ID]] = PAD_ID
    return copies


class IBM1:
    """IBM model 1: a table of the probabilities of target pieces given a source piece.

    Brown et al., 1993, section 4.1. Sources have the empty word among their pieces.
    """

    def __init__(self, batches: Iterable[Sides], n_target_pieces: int) -> None:
        """Take all sentence pairs; every piece is as probable as every other at first."""
        self._n_target_pieces = n_target_pieces
        self._frequencies = torch.zeros(n_target_pieces, dtype=torch.int64)
        keys, links = [], []
        for source, target in batches:
            self._frequencies += target.flatten().bincount(minlength=n_target_pieces)
            found, places = torch.unique(self._keys(source, target), return_inverse=True)
            keys.append(found)
            links.append(places.int())
        # Those of padding are 0, the first, which has no probability.
        first = torch.zeros(1, dtype=torch.int64)
        self._pairs = torch.unique(torch.cat([first, *keys]))
        self._links = [
            torch.searchsorted(self._pairs, found).int()[places]  # [B, T, S]
            for found, places in zip(keys, links, strict=True)
        ]
        self._sources = self._pairs // n_target_pieces
        self.probabilities = torch.full_like(self._pairs, 1 / n_target_pieces, dtype=torch.float64)
        self.probabilities[0] = 0

    def _keys(self, source: Tensor, target: Tensor) -> Tensor:
        """A number [B, T, S] for each pair of pieces; 0 where one of them is padding."""
        keys = source.unsqueeze(1) * self._n_target_pieces + target.unsqueeze(2)
        return keys * ((source != PAD_ID).unsqueeze(1) & (target != PAD_ID).unsqueeze(2))

    def iterate(self) -> float:
        """Improve the table by an iteration of EM; the log-likelihood of all targets before it.

        Brown et al., 1993, equations 14 and 17; without the term of the lengths, a constant.
        """
        counts, log_likelihood = torch.zeros_like(self.probabilities), 0.0
        for links in self._links:
            found = self.probabilities[links]
            totals = found.sum(2, keepdim=True)
            log_likelihood += float(totals[totals > 0].log().sum())
            shares = found.div_(totals.clamp_(min=TINY))
            counts.scatter_add_(0, links.flatten().long(), shares.flatten())
        totals = torch.zeros(int(self._sources[-1]) + 1, dtype=torch.float64)
        totals.scatter_add_(0, self._sources, counts)
        self.probabilities = counts.div_(totals.clamp_(min=TINY)[self._sources])
        return log_likelihood

    def best(self, n_source_pieces: int, n: int) -> NDArray[np.int64]:
        """The `n` most probable target pieces [n_source_pieces, n] of each, best first, then PAD.

        Of equally probable ones, the first come first.
        """
        order = self.probabilities.argsort(descending=True, stable=True)
        order = order[self._sources[order].argsort(stable=True)]
        sources = self._sources[order]
        firsts = torch.searchsorted(sources, torch.arange(n_source_pieces))
        ranks = torch.arange(len(sources)) - firsts[sources]
        chosen = (ranks < n) & (self.probabilities[order] > 0)
        best = torch.full((n_source_pieces, n), PAD_ID)
        best[sources[chosen], ranks[chosen]] = self._pairs[order[chosen]] % self._n_target_pieces
        return best.numpy()

    def most_frequent(self, n: int) -> NDArray[np.int64]:
        """The `n` target pieces that occur most often, of those that occur."""
        frequencies = self._frequencies.clone()
        frequencies[PAD_ID] = 0
        order = frequencies.argsort(descending=True, stable=True)[:n]
        return order[frequencies[order] > 0].numpy()
