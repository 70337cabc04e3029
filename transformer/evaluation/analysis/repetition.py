"""Text that says the same again."""

from collections import Counter
from collections.abc import Sequence

from transformer.evaluation.analysis.words import is_single

_LONGEST = 4  # words of a phrase that is said again at once
_ORDER = 4  # of the n-grams that are counted


def repeated_words(words: Sequence[str]) -> int:
    """How many words only say again, at once, the one to four words before them.

    A word counts where the n words that end with it are those before these, n from 1 to 4: "a cat
    a cat" has two. A single character of a script without spaces has to stand there three times to
    count, since many words of Chinese are doubled characters. After Welleck et al., 2020, section
    6, who count what a window before it holds; here a phrase must follow itself, for a text may
    well use a word twice.
    """
    repeated: set[int] = set()
    for n in range(1, _LONGEST + 1):
        for end in range(2 * n, len(words) + 1):
            again = words[end - n : end]
            if again == words[end - 2 * n : end - n] and not _is_doubled(words, end, n):
                repeated.update(range(end - n, end))
    return len(repeated)


def top_count(words: Sequence[str]) -> int:
    """How often the most frequent n-gram of four words occurs; 0 of shorter texts."""
    grams = Counter(zip(*(words[i:] for i in range(_ORDER)), strict=False))
    return max(grams.values(), default=0)


def _is_doubled(words: Sequence[str], end: int, n: int) -> bool:
    """Whether it is a character that stands there twice, and no third time before."""
    single = n == 1 and is_single(words[end - 1])
    return single and (end < 3 or words[end - 3] != words[end - 1])
