"""Which of sacreBLEU's tokenizers a language is scored with."""

from sacrebleu.metrics.bleu import BLEU

from transformer.errors import InputError

_TOKENIZERS = {"zh": "zh", "ja": "ja-mecab", "ko": "ko-mecab"}
_ALIASES = {"cmn": "zh", "zho": "zh", "chi": "zh", "yue": "zh", "jpn": "ja", "kor": "ko"}


def primary_language(language: str) -> str:
    """The language of a code such as zh-CN, zh_Hans or cmn, without script and country: zh."""
    primary = language.replace("_", "-").partition("-")[0].strip().lower()
    return _ALIASES.get(primary, primary)


def tokenizer_of(language: str) -> str:
    """The name of the tokenizer for translations into `language`."""
    return _TOKENIZERS.get(primary_language(language), "13a")


def require_tokenizer(language: str) -> None:
    """Raise InputError where the tokenizer for `language` is not installed."""
    tokenized_bleu(language)


def tokenized_bleu(language: str) -> BLEU:
    """SacreBLEU's BLEU for translations into `language`."""
    tokenizer = tokenizer_of(language)
    try:
        return BLEU(tokenize=tokenizer)
    except RuntimeError as error:  # what its tokenizers raise where MeCab is missing
        extra = primary_language(language)
        raise InputError(
            f"scoring language {language} needs the tokenizer {tokenizer}; "
            f"pip install 'transformer-mt[{extra}]'"
        ) from error
