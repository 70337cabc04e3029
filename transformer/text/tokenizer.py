"""SentencePiece models of the source and the target side."""

import hashlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, compress
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import sentencepiece

from transformer.config import TokenizerConfig, TokenizerKind
from transformer.errors import InputError, require

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3

SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")
N_BYTE_PIECES = 256

# SentencePiece skips a training line that holds one of these: its own marks.
_RESERVED = str.maketrans({"\0": " ", "\u2585": " "})
# Training on a line takes time with the square of its length, so long ones are cut into parts.
_PART = 2_000  # characters
_LINE_ENDS = str.maketrans({"\n": " ", "\r": " "})
# The model depends on the number of threads, so it is the same on every machine.
_TRAINING_THREADS = 16
_ENCODING_THREADS = 16
_FEW = 32  # calls for several lines start threads, which takes as long as so many lines


class Tokenizer:
    """One SentencePiece model: text to ids of pieces, and back."""

    def __init__(self, model: bytes) -> None:
        self.model = model
        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        except RuntimeError as error:
            raise InputError("not a SentencePiece model, or a damaged one") from error
        ids = [self._processor.piece_to_id(piece) for piece in SPECIAL_PIECES]
        require(
            ids == [PAD_ID, UNK_ID, BOS_ID, EOS_ID],
            f"a SentencePiece model with the ids {ids} of {', '.join(SPECIAL_PIECES)}; "
            f"they must be {PAD_ID}, {UNK_ID}, {BOS_ID}, {EOS_ID}",
        )

    def __reduce__(self) -> tuple[type[Self], tuple[bytes]]:
        return type(self), (self.model,)

    @property
    def vocab_size(self) -> int:
        return self._processor.vocab_size()

    def encode(self, lines: Sequence[str], *, threads: int = _ENCODING_THREADS) -> list[list[int]]:
        """Ids of the pieces of each line, without BOS and EOS; none for a blank line."""
        texts = [line if line.strip() else "" for line in lines]
        if len(texts) < _FEW:
            return [self._processor.encode(text) for text in texts]
        n_threads = threads if len(texts) >= 1000 else 1
        ids: list[list[int]] = self._processor.encode(texts, num_threads=n_threads)
        return ids

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The text of each list of ids, always one line; PAD, BOS and EOS are left out."""
        rows = [list(row) for row in ids]
        if len(rows) < _FEW:
            texts = [self._processor.decode(row) for row in rows]
        else:
            texts = self._processor.decode(rows, num_threads=1)
        # Pieces for single bytes can spell a line end, which would shift all lines after it.
        return [text.translate(_LINE_ENDS) for text in texts]

    def ids(self, pieces: Sequence[str]) -> list[int]:
        """The ids of `pieces`, as `pieces` gives them."""
        found: list[int] = self._processor.piece_to_id(list(pieces))
        return found

    def pieces(self, ids: Sequence[int]) -> list[str]:
        """The pieces as SentencePiece writes them, with its mark of a space."""
        return [self._processor.id_to_piece(id_) for id_ in ids]

    def is_text(self, id_: int) -> bool:
        """Whether the piece stands for its own letters: it is neither special nor a byte."""
        processor = self._processor
        unwritten = (processor.is_control, processor.is_unknown, processor.is_byte)
        return not any(is_kind(id_) for is_kind in unwritten)


class Tokenizers:
    """The tokenizers of both sides; joint ones are one and the same object."""

    def __init__(self, source: Tokenizer, target: Tokenizer) -> None:
        self.source = source
        self.target = target

    @property
    def joint(self) -> bool:
        return self.source is self.target

    def digests(self) -> list[str]:
        """The SHA-256 of each model: of one where both sides share it, else of both."""
        models = [self.source.model] if self.joint else [self.source.model, self.target.model]
        return [hashlib.sha256(model).hexdigest() for model in models]

    def save(self, folder: Path) -> None:
        """Write joint.model, or source.model and target.model, into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        if self.joint:
            (folder / "joint.model").write_bytes(self.source.model)
            return
        (folder / "source.model").write_bytes(self.source.model)
        (folder / "target.model").write_bytes(self.target.model)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """What `save` wrote; InputError where a file is missing or damaged."""
        if (folder / "joint.model").exists():
            joint = _load(folder / "joint.model")
            return cls(joint, joint)
        return cls(_load(folder / "source.model"), _load(folder / "target.model"))


class Pairs(Protocol):
    """Sentence pairs whose number is known and that can be walked through more than once."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[tuple[str, str]]: ...


def train_tokenizers(pairs: Pairs, config: TokenizerConfig, n_tags: int = 0) -> Tokenizers:
    """Learn pieces from a sample of `pairs`; the same pairs and settings give the same models.

    Of `config.vocab_size`, `n_tags` are left for pieces that are in no text. InputError where it is
    too large or too small.
    """
    _check_symbols(config)

    def train(lines: Iterable[str], name: str) -> Tokenizer:
        return _train(lines, config, name, n_tags)

    if config.joint:
        joint = train(chain.from_iterable(sample(pairs, config)), "the text")
        return Tokenizers(joint, joint)
    source = train((source for source, _ in sample(pairs, config)), "the source text")
    target = train((target for _, target in sample(pairs, config)), "the target text")
    return Tokenizers(source, target)


def sample(pairs: Pairs, config: TokenizerConfig) -> Iterator[tuple[str, str]]:
    """`config.sample_size` pairs drawn without replacement, in their order; all if fewer."""
    if len(pairs) <= config.sample_size:
        return iter(pairs)
    generator = np.random.Generator(np.random.PCG64(config.seed))
    chosen = np.zeros(len(pairs), dtype=bool)
    chosen[generator.choice(len(pairs), config.sample_size, replace=False)] = True
    return compress(pairs, chosen)


def _train(lines: Iterable[str], config: TokenizerConfig, name: str, n_tags: int) -> Tokenizer:
    learnt = replace(config, vocab_size=max(len(SPECIAL_PIECES) + 1, config.vocab_size - n_tags))
    try:
        return Tokenizer(learn(lines, learnt))
    except RuntimeError as error:
        raise InputError(_explain(str(error), config, name, n_tags)) from error


def learn(lines: Iterable[str], config: TokenizerConfig, *, fewer: bool = False) -> bytes:
    """A SentencePiece model; RuntimeError of SentencePiece where it cannot learn one.

    With `fewer`, a text that yields less than `config.vocab_size` pieces gives what it has.
    """
    model = io.BytesIO()
    parts = Parts(lines)
    try:
        _learn(parts, model, config, fewer=fewer)
    except RuntimeError:
        if parts.raised is not None:
            raise parts.raised from None
        raise
    return model.getvalue()


def _learn(parts: "Parts", model: io.BytesIO, config: TokenizerConfig, *, fewer: bool) -> None:
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(parts),
        model_writer=model,
        model_type=config.kind.value,
        vocab_size=config.vocab_size,
        hard_vocab_limit=not fewer,
        character_coverage=config.character_coverage,
        byte_fallback=config.byte_fallback,
        user_defined_symbols=config.user_symbols,
        normalization_rule_name=config.normalization.value,
        max_sentence_length=4 * _PART,  # in bytes; longer lines would be skipped
        num_threads=_TRAINING_THREADS,
        pad_id=PAD_ID,
        unk_id=UNK_ID,
        bos_id=BOS_ID,
        eos_id=EOS_ID,
        minloglevel=3,
    )


def n_required(message: str) -> int | None:
    """How many pieces the characters need, where SentencePiece says it was given fewer."""
    found = re.search(r"smaller than required_chars\. \d+ vs (\d+)", message)
    return int(found[1]) if found else None


class Parts:
    """Lines as SentencePiece takes them in whole, none skipped."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = lines
        # What ended the walk, such as a signal: SentencePiece makes a RuntimeError of it.
        self.raised: BaseException | None = None

    def __iter__(self) -> Iterator[str]:
        try:
            for line in self.lines:
                text = line.translate(_RESERVED)
                yield from (text[start : start + _PART] for start in range(0, len(text), _PART))
        except (Exception, KeyboardInterrupt) as error:
            self.raised = error
            raise


def _explain(message: str, config: TokenizerConfig, name: str, n_tags: int) -> str:
    """What to mend, from the message of SentencePiece, which knows nothing of the tags."""
    setting = f"tokenizer.vocab_size={config.vocab_size}"
    if found := re.search(r"Vocabulary size too high .*<= (\d+)", message):
        return (
            f"{setting} is too large for {name}; the largest that fits is {int(found[1]) + n_tags}"
        )
    if (required := n_required(message)) is not None:
        return (
            f"{setting} is too small for the characters of {name}; the smallest that fits is "
            f"{required + n_tags}, or lower "
            f"tokenizer.character_coverage={config.character_coverage}"
        )
    smallest = _n_fixed_pieces(config) + n_tags
    if config.kind is TokenizerKind.char and config.vocab_size < smallest:
        return f"{setting} is too small; the smallest that fits is {smallest}"
    return f"SentencePiece cannot learn pieces from {name}: {' '.join(message.split())}"


def _n_fixed_pieces(config: TokenizerConfig) -> int:
    n_bytes = N_BYTE_PIECES if config.byte_fallback else 0
    return len(SPECIAL_PIECES) + n_bytes + len(config.user_symbols)


def _check_symbols(config: TokenizerConfig) -> None:
    for symbol in config.user_symbols:
        require(
            symbol.split() == [symbol] and "\0" not in symbol,
            f"tokenizer.user_symbols: {symbol!r} holds a space or NUL, so it can never be a piece",
        )
        require(
            symbol not in SPECIAL_PIECES and not re.fullmatch(r"<0x[0-9A-F]{2}>", symbol),
            f"tokenizer.user_symbols: {symbol} is a piece of SentencePiece itself; choose another",
        )


def _load(file: Path) -> Tokenizer:
    try:
        return Tokenizer(file.read_bytes())
    except OSError as error:
        raise InputError(f"{file} cannot be read: {error.strerror}") from error
    except InputError as error:
        raise InputError(f"{file} is {error}") from error
