"""Pieces that are put between others and never found in text."""

from collections.abc import Sequence
from typing import Any

from sentencepiece import sentencepiece_model_pb2

from transformer.errors import require
from transformer.text.tokenizer import Tokenizer, Tokenizers

proto: Any = sentencepiece_model_pb2  # its classes are made when it is imported
Piece = proto.ModelProto.SentencePiece


def with_tags(tokenizers: Tokenizers, tags: Sequence[str]) -> Tokenizers:
    """The tokenizers with those of `tags` that they lack as control pieces behind all others.

    InputError where one of them is a piece that is found in text, as a user's symbol is.
    """
    source = _with_tags(tokenizers.source, tags)
    if tokenizers.joint:
        return Tokenizers(source, source)
    return Tokenizers(source, _with_tags(tokenizers.target, tags))


def _with_tags(tokenizer: Tokenizer, tags: Sequence[str]) -> Tokenizer:
    model = proto.ModelProto.FromString(tokenizer.model)
    known = {piece.piece: piece.type for piece in model.pieces}
    missing = [tag for tag in tags if tag not in known]
    for tag in tags:
        require(
            tag in missing or known[tag] == Piece.CONTROL,
            f"{tag} is put before or between sentences, and cannot be a piece of text as well; "
            "leave it out of tokenizer.user_symbols",
        )
    if not missing:
        return tokenizer
    for tag in missing:
        model.pieces.append(Piece(piece=tag, score=0.0, type=Piece.CONTROL))
    model.trainer_spec.vocab_size = len(model.pieces)
    return Tokenizer(model.SerializeToString())
