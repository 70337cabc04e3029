"""Which of sacreBLEU's tokenizers a language is scored with."""

from collections.abc import Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.request import urlopen

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.tokenizers.tokenizer_spm import SPM_MODELS
from sacrebleu.utils import SACREBLEU_DIR

from transformer.config import BleuConfig
from transformer.errors import InputError, require

_TOKENIZERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
_ALIASES = {"cmn": "zh", "zho": "zh", "chi": "zh", "yue": "zh", "jpn": "ja", "kor": "ko"}
_DOWNLOAD_TIMEOUT_S = 20


def primary_language(language: str) -> str:
    """The language of a code such as zh-CN, zh_Hans or cmn, without script and country: zh."""
    primary = language.replace("_", "-").partition("-")[0].strip().lower()
    return _ALIASES.get(primary, primary)


def tokenizer_of(language: str) -> str:
    """The name of the tokenizer for translations into `language`."""
    return _TOKENIZERS.get(primary_language(language), "13a")


def require_tokenizer(language: str, config: BleuConfig | None = None) -> None:
    """Raise InputError where the tokenizer of `config`, or for `language`, cannot be had."""
    tokenized_bleu(language, config)


def tokenized_bleu(
    language: str,
    config: BleuConfig | None = None,
    *,
    references: Sequence[Sequence[str]] | None = None,
    quiet: bool = False,
) -> BLEU:
    """SacreBLEU's BLEU for translations into `language`, which may keep its `references`.

    Where it is `quiet`, it does not log that lines look tokenised. InputError where the tokenizer
    is unknown, not installed, or neither in sacreBLEU's cache nor to be downloaded.
    """
    config = config or BleuConfig()
    tokenizer = tokenizer_of(language) if config.tokenize is None else config.tokenize
    _require_loadable(tokenizer, language)
    return BLEU(
        lowercase=config.lowercase,
        force=quiet,
        tokenize=tokenizer,
        smooth_method=config.smooth_method.value,
        smooth_value=config.smooth_value,
        effective_order=config.effective_order,
        references=references,
    )


def _require_loadable(tokenizer: str, language: str) -> None:
    require(
        tokenizer in BLEU.TOKENIZERS,
        f"metrics.bleu.tokenize={tokenizer} is none of sacreBLEU's tokenizers, which are "
        f"{', '.join(BLEU.TOKENIZERS)}",
    )
    if tokenizer in SPM_MODELS:
        _fetch(tokenizer)
    try:
        BLEU(tokenize=tokenizer)
    except (RuntimeError, OSError) as error:  # MeCab is missing, or a file is no model
        raise InputError(_what_to_mend(tokenizer, language)) from error


def _what_to_mend(tokenizer: str, language: str) -> str:
    if tokenizer in SPM_MODELS:
        return (
            f"{_cached(tokenizer)}, which metrics.bleu.tokenize={tokenizer} reads, is no model of "
            "SentencePiece; remove it, and it is downloaded again"
        )
    return (
        f"scoring language {language} needs the tokenizer {tokenizer}; "
        f"pip install 'transformer-mt[{tokenizer.partition('-')[0]}]'"
    )


def _cached(tokenizer: str) -> Path:
    """Where sacreBLEU keeps the model of a tokenizer."""
    url = SPM_MODELS[tokenizer]["url"]
    return Path(SACREBLEU_DIR, "models", Path(url).name)


def _fetch(tokenizer: str) -> None:
    """Put the model of a tokenizer into sacreBLEU's cache, where it is not there.

    SacreBLEU would do so itself, but wait without limit and leave half a file behind.
    """
    url, file = SPM_MODELS[tokenizer]["url"], _cached(tokenizer)
    if file.exists():
        return
    try:
        with urlopen(url, timeout=_DOWNLOAD_TIMEOUT_S) as answer:
            model = answer.read()
        file.parent.mkdir(parents=True, exist_ok=True)
        aside = file.with_name(f"{file.name}.part")
        aside.write_bytes(model)
        aside.replace(file)
    except (OSError, HTTPException) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"metrics.bleu.tokenize={tokenizer} needs {file}, which cannot be downloaded "
            f"({reason}); put there what {url} gives"
        ) from error
