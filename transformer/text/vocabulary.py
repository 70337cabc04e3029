"""The pieces of a corpus: learnt from it, or taken from a trained model and extended."""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain, groupby, zip_longest
from math import log
from pathlib import Path
from typing import Any

import sentencepiece
from sentencepiece import sentencepiece_model_pb2

from transformer.config import TextNormalization, TokenizerConfig, TokenizerKind, to_mapping
from transformer.errors import InputError, require
from transformer.text.merges import FurtherMerges
from transformer.text.tags import with_tags
from transformer.text.tokenizer import (
    SPECIAL_PIECES,
    Pairs,
    Tokenizer,
    Tokenizers,
    learn,
    n_required,
    sample,
    train_tokenizers,
)

MANY = 2**21  # more than there are characters
LOGGER = logging.getLogger(__name__)
Lines = Callable[[], Iterable[str]]  # a walk through the text, each time it is called
proto: Any = sentencepiece_model_pb2  # its classes are made when it is imported
Piece = proto.ModelProto.SentencePiece


def build_tokenizers(pairs: Pairs, config: TokenizerConfig, tags: Sequence[str] = ()) -> Tokenizers:
    """The tokenizers that `config` asks for: learnt from `pairs`, taken, or taken and extended.

    They have `tags` as pieces that are in no text, the last of config.vocab_size or behind those
    taken.

    Extended ones keep the ids of all pieces taken, but need not cut a text as those did: BPE
    merges their cut further, and unigram takes what is likelier.
    InputError where pieces can neither be learnt nor taken so.
    """
    n_pairs = min(len(pairs), config.sample_size)
    taken = _taken(config)
    if taken is None:
        LOGGER.info("learning pieces from %d sentence pairs", n_pairs)
        return with_tags(train_tokenizers(pairs, config, len(tags)), tags)
    taken = with_tags(taken, tags)
    if config.extra_pieces == 0:
        return taken
    LOGGER.info("learning further pieces from %d sentence pairs", n_pairs)
    if taken.joint:
        text = _extend(
            taken.source, lambda: chain.from_iterable(sample(pairs, config)), config, "the text"
        )
        return Tokenizers(text, text)
    return Tokenizers(
        _extend(
            taken.source, lambda: (s for s, _ in sample(pairs, config)), config, "the source text"
        ),
        _extend(
            taken.target, lambda: (t for _, t in sample(pairs, config)), config, "the target text"
        ),
    )


def note_taken(config: TokenizerConfig) -> None:
    """Log which settings have no effect on pieces that are taken; nothing where none are."""
    if config.init_from is None:
        return
    ignored = "tokenizer.kind, vocab_size, byte_fallback and normalization are theirs"
    if config.extra_pieces == 0:
        ignored += "; character_coverage, sample_size and seed have no effect"
    LOGGER.info("taking the pieces of %s; %s", config.init_from, ignored)


def tokenizer_key(config: TokenizerConfig, tags: Sequence[str] = ()) -> dict[str, Any]:
    """What the pieces depend on beside the text; of taken ones the content, not the folder.

    InputError where there are none to take.
    """
    taken = _taken(config)
    settings = to_mapping(config)
    added = {"tags": list(tags)} if tags else {}
    if taken is None:
        for name in ("init_from", "extra_pieces", "source_sampling", "target_sampling"):
            del settings[name]
        return {**settings, **added}
    names = ("extra_pieces", "character_coverage", "sample_size", "seed")
    learnt = {name: settings[name] for name in names} if config.extra_pieces else {}
    return {"models": taken.digests(), **added, **learnt}


def cut(tokenizer: Tokenizer, pieces: Sequence[str]) -> list[list[int]]:
    """The ids of the tokenizer's own pieces that spell each of `pieces`.

    Unlike text, a piece is the beginning of a word only where it has SentencePiece's mark of it.
    """
    model = proto.ModelProto.FromString(tokenizer.model)
    model.normalizer_spec.add_dummy_prefix = False
    model.normalizer_spec.remove_extra_whitespaces = False
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    ids: list[list[int]] = processor.encode(list(pieces))
    return ids


def _taken(config: TokenizerConfig) -> Tokenizers | None:
    """The tokenizers in the folder `config.init_from`, unextended; None where none is given."""
    require(
        config.init_from is not None or config.extra_pieces == 0,
        f"tokenizer.extra_pieces={config.extra_pieces} are put behind the pieces of "
        "tokenizer.init_from, which is null; give a run's folder there, or set "
        "tokenizer.vocab_size instead",
    )
    if config.init_from is None:
        return None
    key = f"tokenizer.init_from={config.init_from}"
    taken = Tokenizers.load(_folder(Path(config.init_from)))
    is_one = "one vocabulary for both sides" if taken.joint else "a vocabulary for each side"
    require(
        taken.joint == config.joint,
        f"{key} has {is_one}; set tokenizer.joint={str(taken.joint).lower()}"
        + ("" if taken.joint else " and a model.tying that allows it"),
    )
    for tokenizer in (taken.source, taken.target):
        pieces = set(tokenizer.pieces(range(tokenizer.vocab_size)))
        missing = [symbol for symbol in config.user_symbols if symbol not in pieces]
        require(
            not missing,
            f"tokenizer.user_symbols={missing} are no pieces of {key}; leave them out, or learn "
            "the pieces anew",
        )
    return taken


def _folder(path: Path) -> Path:
    """Where the models lie: in a checkpoint's folder itself, or in a run's `tokenizer`."""
    key = f"tokenizer.init_from (or training.init_from)={path}"
    require(path.is_dir(), f"{key} is no folder; give a run's or a checkpoint's")
    for folder in (path, path / "tokenizer"):
        if any((folder / name).is_file() for name in ("joint.model", "source.model")):
            return folder
    raise InputError(
        f"{key} holds no pieces: neither joint.model nor source.model, there or in tokenizer/; "
        "give a run's or a checkpoint's folder"
    )


def _extend(old: Tokenizer, lines: Lines, config: TokenizerConfig, name: str) -> Tokenizer:
    """`old` with `config.extra_pieces` pieces of the text `lines` behind its own.

    Characters come before all others, for what they spell cannot be cut without them.
    InputError where the text yields fewer.
    """
    model = proto.ModelProto.FromString(old.model)
    kind, n = _kind(model, config), config.extra_pieces

    def lacking(kind: TokenizerKind, size: int) -> list[Any]:
        settings = replace(config, kind=kind, vocab_size=size)
        known = {piece.piece for piece in model.pieces}
        return [p for p in _learn(model, lines, settings, name) if p.piece not in known]

    further = lacking(TokenizerKind.char, MANY)
    if len(further) > n:
        LOGGER.warning(
            "tokenizer.extra_pieces=%d is less than the %d characters of %s that have no piece; "
            "%d of them stay bytes or unknown",
            *(n, len(further), name, len(further) - n),
        )
    elif kind is TokenizerKind.bpe:
        further = _merges(model, further, lines, n)
    elif kind is TokenizerKind.unigram:
        further = _unigrams(model, further, lines, n, partial(lacking, kind))
    require(
        len(further) >= n,
        f"tokenizer.extra_pieces={n} is more than {name} yields; beside the pieces of "
        f"tokenizer.init_from={config.init_from} it has {len(further)}",
    )
    return _extended(model, further[:n])


def _extended(model: Any, found: Sequence[Any]) -> Tokenizer:
    """The tokenizer of `model` with the pieces `found` behind its own."""
    extended = proto.ModelProto.FromString(model.SerializeToString())
    for piece, score in zip(found, _scores(found, model), strict=True):
        extended.pieces.append(Piece(piece=piece.piece, score=score))
    extended.trainer_spec.vocab_size = len(extended.pieces)
    return Tokenizer(extended.SerializeToString())


def _merges(model: Any, characters: Sequence[Any], lines: Lines, n: int) -> list[Any]:
    """The characters, and the merges of the text that come after those of `model`."""
    tokenizer = _extended(model, characters)
    words = _words(lines)
    cut_words: Counter[tuple[str, ...]] = Counter()
    for ids, count in zip(tokenizer.encode(list(words)), words.values(), strict=True):
        for is_text, part in groupby(ids, tokenizer.is_text):
            if is_text:
                cut_words[tuple(tokenizer.pieces(list(part)))] += count
    scores = {piece.piece: piece.score for piece in model.pieces if piece.type == Piece.NORMAL}
    learner = FurtherMerges(cut_words, scores, [piece.piece for piece in characters])
    return [Piece(piece=piece) for piece in learner.learn(n)]


def _unigrams(
    model: Any,
    characters: Sequence[Any],
    lines: Lines,
    n: int,
    lacking: Callable[[int], list[Any]],
) -> list[Any]:
    """The characters and the best of the pieces that a vocabulary of the text has beside `model`.

    Those that occur when the text is cut come first; others where there are too few.
    """
    words = list(_words(lines))
    size, largest = len(SPECIAL_PIECES) + n, len(model.pieces) + n
    # The smallest vocabulary of the text that holds so many, found by doubling: in a much larger
    # one the best pieces are whole words, and rarer words find no parts. A vocabulary larger by n
    # than the known one holds n others at least.
    while True:
        learnt = {piece.piece: piece for piece in lacking(size)}
        first = [learnt.pop(piece.piece, piece) for piece in characters]
        found = [*first, *learnt.values()]
        if len(found) >= n or size >= largest:
            occurring = _occurring(model, found, len(first), words, n)
            if len(occurring) >= n:
                return occurring
            if size >= largest:
                break
        size = min(2 * size, largest)
    if len(found) >= n:
        LOGGER.warning(
            "%d of tokenizer.extra_pieces=%d do not occur in the text: others are likelier",
            *(n - len(occurring), n),
        )
    occur = {piece.piece for piece in occurring}
    return [*occurring, *(piece for piece in found if piece.piece not in occur)]


def _occurring(
    model: Any, found: Sequence[Any], n_first: int, words: Sequence[str], n: int
) -> list[Any]:
    """The first of `found` and, up to `n`, those after them that occur in the `words` cut so."""
    first, others = found[:n_first], found[n_first:]
    while True:
        chosen = [*first, *others[: n - n_first]]
        used = set(chain.from_iterable(_extended(model, chosen).encode(words)))
        ids = range(len(model.pieces) + n_first, len(model.pieces) + len(chosen))
        absent = [i not in used for i in ids]
        if not any(absent):
            return chosen
        others = [piece for piece, no in zip_longest(others, absent) if not no]


def _words(lines: Lines) -> Counter[str]:
    """The words of the text, with their numbers: no piece goes beyond one."""
    return Counter(word for line in lines() for word in line.split(" "))


def _kind(model: Any, config: TokenizerConfig) -> TokenizerKind:
    kind = proto.TrainerSpec.ModelType.Name(model.trainer_spec.model_type).lower()
    normalization = model.normalizer_spec.name
    require(
        kind in TokenizerKind.__members__ and normalization in TextNormalization.__members__,
        f"tokenizer.init_from={config.init_from} has pieces of kind {kind} with normalization "
        f"{normalization}; tokenizer.extra_pieces cannot learn others like them",
    )
    return TokenizerKind[kind]


def _learn(model: Any, lines: Lines, config: TokenizerConfig, name: str) -> Sequence[Any]:
    """The pieces, best first, of a model of the text that treats it as `model` does."""
    config = replace(
        config,
        normalization=TextNormalization[model.normalizer_spec.name],
        byte_fallback=False,
        user_symbols=[piece.piece for piece in model.pieces if piece.type == Piece.USER_DEFINED],
    )
    try:
        learnt = _learn_at_least(lines, config)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise InputError(f"SentencePiece cannot learn pieces from {name}: {reason}") from error
    pieces: Sequence[Any] = proto.ModelProto.FromString(learnt).pieces
    return pieces


def _learn_at_least(lines: Lines, config: TokenizerConfig) -> bytes:
    """A model of `config.vocab_size` pieces, or more where the characters need them."""
    try:
        return learn(lines(), config, fewer=True)
    except RuntimeError as error:
        required = n_required(str(error))
        if required is None:
            raise
    return learn(lines(), replace(config, vocab_size=required), fewer=True)


def _scores(found: Sequence[Any], model: Any) -> list[float]:
    """The scores of the pieces `found` behind those of `model`, whose own stay as they are.

    BPE: merges that come after all others. Unigram: log-probabilities in the text they are learnt
    from, less by the log of their share of all pieces, lest they displace the pieces of `model`
    in texts of another kind; the probabilities of all pieces sum to more than 1.
    """
    if model.trainer_spec.model_type == proto.TrainerSpec.BPE:
        lowest = min(piece.score for piece in model.pieces)
        return [lowest - 1 - rank for rank in range(len(found))]
    share = len(found) / (len(model.pieces) + len(found))
    return [piece.score + log(share) for piece in found]
