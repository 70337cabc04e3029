"""Properties of the choice of sacreBLEU's tokenizer."""

import pytest
from sacrebleu.tokenizers import tokenizer_ja_mecab, tokenizer_ko_mecab

from transformer.errors import InputError
from transformer.metrics import bleu, require_tokenizer, tokenizer_of


@pytest.mark.parametrize("language", ["zh", "zh-CN", "zh_Hans", "ZH-Hant-TW", "cmn", "zho", "yue"])
def test_chinese_has_its_tokenizer_however_it_is_written(language: str) -> None:
    assert tokenizer_of(language) == "zh"


@pytest.mark.parametrize("language", ["en", "de", "pt-BR", "zu", "jav", "kok", "fil", ""])
def test_other_languages_have_the_common_tokenizer(language: str) -> None:
    assert tokenizer_of(language) == "13a"


def test_japanese_and_korean_have_their_tokenizers() -> None:
    assert tokenizer_of("ja") == tokenizer_of("ja-JP") == tokenizer_of("jpn") == "ja-mecab"
    assert tokenizer_of("ko") == tokenizer_of("KO_kr") == tokenizer_of("kor") == "ko-mecab"


@pytest.mark.parametrize(
    ("language", "module", "extra"),
    [("ja", tokenizer_ja_mecab, "ja"), ("kor", tokenizer_ko_mecab, "ko")],
)
def test_a_missing_tokenizer_names_what_to_install(
    language: str, module: object, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MeCab", None)
    with pytest.raises(InputError, match=rf"transformer-mt\[{extra}\]"):
        require_tokenizer(language)
    with pytest.raises(InputError, match=f"language {language} "):
        bleu(["a"], ["a"], language)


def test_a_tokenizer_that_is_there_is_accepted() -> None:
    require_tokenizer("de")
    require_tokenizer("zh")
