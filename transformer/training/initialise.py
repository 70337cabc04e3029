"""The weights that fine-tuning begins with, from a checkpoint of any vocabulary."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from torch import Tensor

from transformer.checkpoint import Checkpoint, find_checkpoint, load_weights
from transformer.config import ModelConfig, TrainSettings, shown, to_mapping
from transformer.errors import InputError, require
from transformer.model import Transformer
from transformer.text.tokenizer import UNK_ID, Tokenizer, Tokenizers
from transformer.text.vocabulary import cut

LOGGER = logging.getLogger(__name__)
SOURCE, TARGET, OUTPUT = "source_embedding.weight", "target_embedding.weight", "output.weight"
SHAPE = [field.name for field in fields(ModelConfig) if not field.name.endswith("dropout")]


@dataclass(frozen=True)
class Rows:
    """Where the rows of a matrix over one vocabulary come from in that over another."""

    kept: Mapping[int, int]  # of pieces that both have: the row here, the row there
    spelt: Mapping[int, Sequence[int]]  # of other pieces: the rows of those that spell them
    n: int

    def fill(self, fresh: Tensor, old: Tensor) -> Tensor:
        """`fresh` [V, D] with the rows that `old` has, and means of rows where it spells them."""
        filled = fresh.detach().clone()
        filled[list(self.kept)] = old[list(self.kept.values())].to(filled)
        for row, spelling in self.spelt.items():
            filled[row] = old[list(spelling)].mean(0).to(filled)
        return filled


def initialise(model: Transformer, settings: TrainSettings, tokenizers: Tokenizers) -> None:
    """Copy the weights of the checkpoint `settings.training.init_from` into a fresh `model`.

    Embeddings and output layer go by piece: those that both vocabularies have keep their rows;
    another begins as the mean of the rows of the old pieces that spell it (Gee et al., 2022), and
    stays as it was drawn where the old ones cannot. InputError where the models differ in shape.
    """
    checkpoint = _open(str(settings.training.init_from))
    _check_shape(checkpoint.settings.model, settings)
    old = checkpoint.tokenizers
    source = match(old.source, tokenizers.source)
    same = old.joint and tokenizers.joint
    target = source if same else match(old.target, tokenizers.target)
    weights = checkpoint.weights()
    parameters = dict(model.named_parameters())
    for name, rows in ((SOURCE, source), (TARGET, target), (OUTPUT, target)):
        if name in parameters and name in weights:  # a tied matrix goes by its first name only
            weights[name] = rows.fill(parameters[name], weights[name])
    load_weights(model, weights)
    counts = (
        f"{_count(source)}" if same else f"{_count(source)} (source), {_count(target)} (target)"
    )
    LOGGER.info("beginning with the weights of %s: %s", checkpoint.folder, counts)


def match(old: Tokenizer, new: Tokenizer) -> Rows:
    """The rows of the pieces of `new` in a matrix over those of `old`."""
    ids = {piece: id_ for id_, piece in enumerate(old.pieces(range(old.vocab_size)))}
    pieces = list(enumerate(new.pieces(range(new.vocab_size))))
    kept = {row: ids[piece] for row, piece in pieces if piece in ids}
    others = [row for row, _ in pieces if row not in kept and new.is_text(row)]
    spellings = cut(old, new.pieces(others))
    # One unknown character would make all that hold it alike.
    spelt = {
        row: spelling
        for row, spelling in zip(others, spellings, strict=True)
        if spelling and UNK_ID not in spelling
    }
    return Rows(kept, spelt, len(pieces))


def _open(path: str) -> Checkpoint:
    folder = find_checkpoint(path, key="training.init_from")
    try:
        return Checkpoint(folder)
    except InputError as error:
        raise InputError(f"training.init_from={path} cannot be begun with: {error}") from error


def _check_shape(old: ModelConfig, settings: TrainSettings) -> None:
    theirs, ours = to_mapping(old), to_mapping(settings.model)
    different = [
        f"model.{key}={shown(theirs[key])}, not {shown(ours[key])}"
        for key in SHAPE
        if theirs[key] != ours[key]
    ]
    require(
        not different,
        f"training.init_from={settings.training.init_from} has {'; '.join(different)}; set them "
        "alike",
    )


def _count(rows: Rows) -> str:
    n_fresh = rows.n - len(rows.kept) - len(rows.spelt)
    return (
        f"{len(rows.kept)} of {rows.n} pieces taken over, {len(rows.spelt)} as the mean of their "
        f"parts, {n_fresh} fresh"
    )
