"""What is put before a sentence: the tag of a language, and sentences of its document."""

from dataclasses import dataclass

from transformer.errors import require

SEPARATOR = "<sep>"  # the piece between a sentence and those of its document before it


def language_tag(language: str) -> str:
    """The piece before a source that is to be translated into `language` (Johnson et al., 2017)."""
    return f"<2{language}>"


@dataclass(kw_only=True)
class ContextConfig:
    """Sentences of the same document put before each one, a piece <sep> between.

    After Tiedemann and Scherrer (2017). A document ends at a blank line, where a column of
    documents changes, and with its corpus.
    """

    source: int = 0  # sentences before the one to translate
    target: int = 0  # the same before its translation; what is written before the last <sep> is cut

    def __post_init__(self) -> None:
        for name in ("source", "target"):
            n = getattr(self, name)
            require(0 <= n <= 100, f"data.context.{name}={n} must lie in [0, 100]")
        require(
            self.target <= self.source,
            f"data.context.target={self.target} must be at most data.context.source={self.source}: "
            "a translation needs what it is of",
        )

    def __bool__(self) -> bool:
        return self.source > 0
