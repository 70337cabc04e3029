"""Where a score would mislead: lines for people, each naming what is wrong and what would do."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from transformer.config import MetricsConfig
from transformer.evaluation.analysis.lines import Lines
from transformer.evaluation.analysis.training import TrainingText
from transformer.evaluation.analysis.writing import (
    capitals,
    rows_in_other_script,
    rows_in_source_language,
    signs_of_tokens,
    without_capitals,
)
from transformer.metrics import tokenizer_of
from transformer.text.cleaning import has_spaces, language_of

_FEW_LINES = 100
_ODD = 0.1  # share of lines in a wrong script or language that is worth a word
_MANY = 0.01  # share of empty, double or known lines that is

# SacreBLEU's tokenizers that do without spaces between words.
_UNSPACED = ("char", "flores101", "flores200", "spm")
_OF_LANGUAGES = {"zh": "zh", "ja-mecab": "ja", "ko-mecab": "ko"}
# Fields of a signature that say nothing of the value.
_OF_INTERVALS = ("bs", "ar", "seed")


def cautions(
    name: str,
    translations: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    language: str,
    source_language: str | None = None,
    sources: Sequence[str] | None = None,
    config: MetricsConfig | None = None,
    training: TrainingText | None = None,
    test_set: str = "the test set",
) -> list[str]:
    """What may mislead about the scores of a system's translations, a line each.

    `name` is that of the system or file, `test_set` that of what was translated. What is wrong with
    that alone does not name the system, so that it can be told once for several.
    """
    lines = Lines(sources, translations, references)
    config = config or MetricsConfig()
    return [
        *_of_set(test_set, lines),
        *_of_tokenizer(lines, language, config),
        *_of_training(test_set, lines, training),
        *_tokenised(name, lines),
        *_case(name, lines),
        *_script(name, lines, language),
        *_language(name, lines, language, source_language),
        *_empty(name, lines),
    ]


def differing_signatures(signatures: Mapping[str, str]) -> list[str]:
    """Why scores, by what they are of, cannot be put side by side; nothing where they can.

    Signatures are sacreBLEU's, as in nrefs:1|case:mixed|…; those of one metric. What is said of
    intervals alone does not count. Another version is told, but may well give the same score.
    """
    parts = {name: _fields(text) for name, text in signatures.items()}
    keys = dict.fromkeys(key for fields in parts.values() for key in fields)
    found = []
    for key in keys:
        values = {name: fields.get(key, "none") for name, fields in parts.items()}
        if key in _OF_INTERVALS or len(set(values.values())) == 1:
            continue
        told = ", ".join(f"{value} for {name}" for name, value in values.items())
        advice = (
            "scores may differ by that alone"
            if key == "version"
            else "these scores cannot be compared; score all in the same way"
        )
        found.append(f"the signatures differ in {key or 'the model'}: {told}; {advice}")
    return found


def _fields(signature: str) -> dict[str, str]:
    """The values of a signature by their keys; what has no key is under the empty one."""
    pairs = [part.partition(":") for part in signature.split("|") if part]
    return {key if colon else "": value if colon else key for key, colon, value in pairs}


def _of_set(test_set: str, lines: Lines) -> Iterator[str]:
    n = len(lines)
    if n < _FEW_LINES:
        yield f"{test_set} has {_lines(n)}; scores of fewer than {_FEW_LINES} are mostly chance"
    sources = [] if lines.sources is None else [lines.sources]
    double = n - len(set(zip(*sources, *lines.references, strict=True)))
    if double and double >= _MANY * n:
        yield f"{test_set} has {_lines(double)} that are there before; leave them out"
    for number, stream in enumerate(lines.references, 1):
        which = f"reference {number}" if len(lines.references) > 1 else "the reference"
        empty = [row for row, text in enumerate(stream) if not text.strip()]
        if len(lines.references) > 1 and 2 * len(empty) > n:
            yield (
                f"{which} of {test_set} is empty in {len(empty)} of {_lines(n)}; leave it out, "
                "for an empty reference counts as one"
            )
        elif empty:
            yield (
                f"{which} of {test_set} is empty in {_lines(len(empty))}, as in line "
                f"{empty[0] + 1}; leave them out or translate them"
            )


def _of_tokenizer(lines: Lines, language: str, config: MetricsConfig) -> Iterator[str]:
    """BLEU counts words, so it has to be told where they begin."""
    if "bleu" not in config.names:
        return
    tokenizer = config.bleu.tokenize or tokenizer_of(language)
    primary = language_of(language)
    own = {of: name for name, of in _OF_LANGUAGES.items()}.get(primary)
    if primary == "ko" or not has_spaces(language):
        if tokenizer not in (own, *_UNSPACED):
            better = own or "flores200 or char"
            what = "particles from words" if primary == "ko" else "words without spaces"
            yield (
                f"BLEU's tokenizer {tokenizer} does not part the {what} of language "
                f"{language}; set metrics.bleu.tokenize={better}"
            )
    elif tokenizer in _OF_LANGUAGES:
        yield (
            f"BLEU's tokenizer {tokenizer} is for language {_OF_LANGUAGES[tokenizer]}, not for "
            f"{language}; set metrics.bleu.tokenize=13a"
        )
    elif tokenizer == "char":
        yield (
            "BLEU's tokenizer char counts characters, with far higher scores than of words; set "
            "metrics.bleu.tokenize=13a"
        )
    elif tokenizer == "none" and not any(map(signs_of_tokens, lines.references)):
        yield (
            "BLEU's tokenizer none leaves punctuation at the words of raw references; set "
            "metrics.bleu.tokenize=13a"
        )


def _of_training(test_set: str, lines: Lines, training: TrainingText | None) -> Iterator[str]:
    if training is None:
        return
    n, m = len(lines), len(lines.references)
    rows = {row for stream in lines.references for row in training.reference_rows(stream)}
    seen = [("references" if m == 1 else "lines with a reference", len(rows))]
    if lines.sources is not None:
        seen.append(("sources", len(training.source_rows(lines.sources))))
    for what, count in seen:
        # Short sentences come again anywhere; so few move no score.
        if count and count >= _MANY * n:
            yield (
                f"{count} of {n} {what} of {test_set} ({count / n:.1%}) occur in the training "
                "text, so scores say less of text that was never seen; data.leaks=remove trains "
                "without them"
            )


def _tokenised(name: str, lines: Lines) -> Iterator[str]:
    for who, texts in _texts(name, lines):
        for sign in signs_of_tokens(texts):
            yield (
                f"{who} looks tokenised: {sign.what} in {_lines(sign.n)}, as in line "
                f"{sign.row + 1}; give raw text, which sacreBLEU tokenises itself"
            )


def _case(name: str, lines: Lines) -> Iterator[str]:
    ours = capitals(lines.translations)
    theirs = [capitals(stream) for stream in lines.references]
    for (who, _), share in zip(_texts(name, lines), (ours, *theirs), strict=True):
        if not without_capitals(share):
            continue
        if share is ours and all(map(without_capitals, theirs)):
            continue
        advice = (
            "each capital of the references counts as an error; give text with its case"
            if share is ours
            else "each capital of a translation counts as an error; take references in their case"
        )
        yield f"{who} looks lower-cased: {share:.1%} of its letters are capitals; {advice}"


def _script(name: str, lines: Lines, language: str) -> Iterator[str]:
    shares: list[float] = []
    for who, texts in reversed(list(_texts(name, lines))):
        rows = rows_in_other_script(texts, language)
        # What is usual in the references is right.
        usual = min(shares, default=0.0)
        shares.append(len(rows) / max(len(texts), 1))
        if rows and shares[-1] >= max(_ODD, 2 * usual):
            yield (
                f"{who} is not in the script of language {language} in {_lines(len(rows))}, as in "
                f"line {rows[0] + 1}; check the file and target_language"
            )


def _language(name: str, lines: Lines, language: str, source_language: str | None) -> Iterator[str]:
    if source_language is not None and source_language == language:
        yield f"source and target language of {name} are both {language}; check target_language"
    if lines.sources is None:
        return
    rows = rows_in_source_language(lines.translations, lines.sources, lines.references)
    if rows and len(rows) >= _ODD * len(lines):
        which = f", {source_language}" if source_language else ""
        yield (
            f"{name} looks written in the language of the source{which}, in {_lines(len(rows))}, "
            f"as in line {rows[0] + 1}; it may be copied, or the files swapped"
        )


def _empty(name: str, lines: Lines) -> Iterator[str]:
    rows = [
        row
        for row, text in enumerate(lines.translations)
        if not text.strip() and any(stream[row].strip() for stream in lines.references)
    ]
    if rows and len(rows) >= _MANY * len(lines):
        yield (
            f"{name} is empty in {_lines(len(rows))}, as in line {rows[0] + 1}; check that it was "
            "written to its end"
        )


def _texts(name: str, lines: Lines) -> Iterable[tuple[str, Sequence[str]]]:
    """The translations and each stream of references, with what they are called."""
    yield name, lines.translations
    for number, stream in enumerate(lines.references, 1):
        yield (f"reference {number}" if len(lines.references) > 1 else "the reference"), stream


def _lines(n: int) -> str:
    return f"{n} line" if n == 1 else f"{n} lines"
