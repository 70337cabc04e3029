"""Settings of the SentencePiece tokenizer."""

from dataclasses import dataclass, field
from enum import Enum

from transformer.errors import require


class TokenizerKind(Enum):
    """How SentencePiece cuts text into pieces."""

    unigram = "unigram"
    bpe = "bpe"
    char = "char"


class TextNormalization(Enum):
    """SentencePiece's normalisation rules; all but `identity` change characters for good."""

    identity = "identity"
    nfkc = "nfkc"
    nmt_nfkc = "nmt_nfkc"
    nfkc_cf = "nfkc_cf"
    nmt_nfkc_cf = "nmt_nfkc_cf"


@dataclass(kw_only=True)
class TokenizerConfig:
    """One SentencePiece model for both sides, or one a side."""

    kind: TokenizerKind = TokenizerKind.unigram
    vocab_size: int = 8_000  # of each model
    joint: bool = True
    character_coverage: float = 0.9995  # share of the characters of the text that get a piece
    byte_fallback: bool = True  # spell other characters as bytes rather than as unknown
    user_symbols: list[str] = field(default_factory=list)  # pieces never to be cut
    normalization: TextNormalization = TextNormalization.identity
    sample_size: int = 1_000_000  # training pairs that the pieces are learnt from
    seed: int = 1  # of the sample
    # Run or checkpoint whose pieces to take instead of learning them; null: that of
    # training.init_from, where it is given. Its pieces are as they are: kind, vocab_size,
    # byte_fallback and normalization then have no effect, nor have character_coverage,
    # sample_size and seed without extra_pieces.
    init_from: str | None = None
    # Draw another cut of each training sentence each time it is seen; null: always the best one.
    # unigram: the exponent alpha of the probabilities of cuts (Kudo, 2018, section 3.2), where 0
    # makes all alike; bpe: the share of merges left out (Provilkov et al., 2020).
    source_sampling: float | None = None
    target_sampling: float | None = None
    # With init_from: pieces learnt from this text, put behind those taken, whose ids stay. Text
    # that the taken pieces spell may be cut otherwise, where further pieces fit it too.
    extra_pieces: int = 0

    def __post_init__(self) -> None:
        require(
            self.vocab_size >= 5,
            f"tokenizer.vocab_size={self.vocab_size} must be at least 5: four special "
            "pieces and one",
        )
        require(
            0.9 <= self.character_coverage <= 1,
            f"tokenizer.character_coverage={self.character_coverage} must lie in [0.9, 1]",
        )
        require(
            self.sample_size >= 1,
            f"tokenizer.sample_size={self.sample_size} must be at least 1",
        )
        for name in ("source_sampling", "target_sampling"):
            value = getattr(self, name)
            require(
                value is None or (0 <= value <= 1 and self.kind is not TokenizerKind.char),
                f"tokenizer.{name}={value} must be null, or lie in [0, 1] with tokenizer=unigram "
                "or tokenizer=bpe",
            )
        require(
            self.init_from != "",
            "tokenizer.init_from is empty; give a run's or a checkpoint's folder",
        )
        require(
            self.extra_pieces >= 0,
            f"tokenizer.extra_pieces={self.extra_pieces} must be at least 0",
        )
        require(0 <= self.seed < 2**63, f"tokenizer.seed={self.seed} must lie in [0, 2**63)")
        require(
            all(self.user_symbols) and len(set(self.user_symbols)) == len(self.user_symbols),
            f"tokenizer.user_symbols={self.user_symbols} must be distinct and not empty",
        )
