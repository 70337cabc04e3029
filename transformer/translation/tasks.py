"""What a request for text asks of the tokens."""

from bisect import bisect_left
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sentencepiece
import torch
from sentencepiece import sentencepiece_model_pb2
from torch import Tensor

from transformer.errors import InputError, require
from transformer.search.protocol import Vocabulary
from transformer.text.merges import SPACE
from transformer.text.tokenizer import EOS_ID, UNK_ID, Tokenizer

_proto: Any = sentencepiece_model_pb2  # its classes are made when it is imported
_MASKS = 256  # of V bytes each, kept for the last pieces of prefixes


class TargetVocabulary:
    """The pieces of one tokenizer, as far as requests need them; read by several threads at once.

    `spaces` says whether the language parts its words by spaces: without, a phrase may follow
    right behind other text.
    """

    def __init__(self, tokenizer: Tokenizer, *, spaces: bool = True) -> None:
        self.tokenizer = tokenizer
        self.pieces = tokenizer.pieces(range(tokenizer.vocab_size))
        model = _proto.ModelProto.FromString(tokenizer.model)
        kinds = _proto.ModelProto.SentencePiece
        # As the search takes it: marks such as tags have no text.
        self.vocabulary = Vocabulary(
            ["" if piece.type == kinds.CONTROL else piece.piece for piece in model.pieces]
        )
        # Pieces that are never cut, in their order.
        self.symbols: dict[str, int] = {
            piece.piece: id_
            for id_, piece in enumerate(model.pieces)
            if piece.type == kinds.USER_DEFINED
        }
        model.normalizer_spec.add_dummy_prefix = spaces
        self._processor = sentencepiece.SentencePieceProcessor(
            model_proto=model.SerializeToString()
        )
        self._texts = sorted(
            (piece, id_) for id_, piece in enumerate(self.pieces) if tokenizer.is_text(id_)
        )
        self.beginning_with: Callable[[str], Tensor] = lru_cache(_MASKS)(self._beginning_with)

    def phrase(self, text: str) -> list[int]:
        """The tokens of `text` within a sentence; the unknown one where it cannot be written."""
        if text in self.symbols:
            return [self.symbols[text]]
        ids: list[int] = self._processor.encode(text)
        return ids

    def normalised(self, text: str) -> str:
        """`text` as outputs have it, without white space around it."""
        found: str = self._processor.normalize(text)
        return found.replace(SPACE, " ").strip()

    def ends_open(self, text: str) -> bool:
        """Whether white space ends `text`, as the tokenizer normalises it."""
        normalised: str = self._processor.normalize(text + "x")
        return normalised.endswith(SPACE + "x")

    def _beginning_with(self, text: str) -> Tensor:
        mask = torch.zeros(len(self.pieces), dtype=torch.bool)
        first = bisect_left(self._texts, (text, -1))
        for piece, id_ in self._texts[first:]:
            if not piece.startswith(text):
                break
            mask[id_] = True
        return mask


def prefix_of(text: str, vocabulary: TargetVocabulary) -> tuple[list[int], Tensor | None]:
    """The tokens that an output beginning with `text` begins with, and what may follow them.

    The latter is a mask over [V] on the CPU, shared by all prefixes of the same end. The last
    piece is not among the tokens: any that begins with its text may follow, so an unfinished word
    goes on as the model likes. Pieces for single bytes stay; then anything may follow, and the
    mask is None. Behind white space a word begins, or the output ends. An output that keeps to
    both begins with `text`, normalised by the tokenizer. InputError where that has unknown
    pieces.
    """
    tokenizer = vocabulary.tokenizer
    ids = tokenizer.encode([text])[0]
    _require_known(ids, text, "prefix", tokenizer)
    if not ids:
        return [], None
    if vocabulary.ends_open(text):
        mask = vocabulary.beginning_with(SPACE).clone()
        mask[EOS_ID] = True
        return ids, mask
    if not tokenizer.is_text(ids[-1]):
        return ids, None
    return ids[:-1], vocabulary.beginning_with(vocabulary.pieces[ids[-1]])


def phrase_of(text: str, vocabulary: TargetVocabulary) -> list[int]:
    """The tokens of `text` as whole words within a sentence.

    In languages without spaces it may stand behind any text. InputError where it is blank or has
    unknown pieces.
    """
    require(bool(text.strip()), f"the phrase {text!r} is blank; give the words to be written")
    ids = vocabulary.phrase(text)
    _require_known(ids, text, "phrase", vocabulary.tokenizer)
    require(bool(ids), f"the phrase {text!r} holds nothing that the tokenizer keeps")
    return ids


def excluded(text: str, vocabulary: TargetVocabulary) -> str:
    """The phrase `text` as outputs would have it.

    InputError where it is blank, or nothing that the tokenizer keeps.
    """
    require(bool(text.strip()), f"the phrase {text!r} is blank; give the words to be left out")
    found = vocabulary.normalised(text)
    require(bool(found), f"the phrase {text!r} holds nothing that the tokenizer keeps")
    return found


def _require_known(ids: list[int], text: str, name: str, tokenizer: Tokenizer) -> None:
    if UNK_ID in ids:
        raise InputError(
            f"the {name} {text!r} holds characters that the model has no pieces for; leave them "
            f"out (it can write {tokenizer.decode([ids])[0]!r})"
        )
