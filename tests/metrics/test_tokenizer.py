"""Properties of the choice of sacreBLEU's tokenizer."""

from http.client import IncompleteRead
from io import BytesIO
from pathlib import Path
from urllib.error import URLError

import pytest
import sentencepiece
from sacrebleu.tokenizers import tokenizer_ja_mecab, tokenizer_ko_mecab, tokenizer_spm

from transformer.config import BleuConfig
from transformer.errors import InputError
from transformer.metrics import bleu, require_tokenizer, tokenizer, tokenizer_of


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


def test_a_tokenizer_of_the_settings_is_named_where_it_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tokenizer_ko_mecab, "MeCab", None)
    with pytest.raises(InputError, match=r"ko-mecab.*transformer-mt\[ko\]"):
        require_tokenizer("de", BleuConfig(tokenize="ko-mecab"))


@pytest.mark.parametrize("name", ["words", "", "13A"])
def test_an_unknown_tokenizer_is_refused_with_all_that_there_are(name: str) -> None:
    message = f"metrics.bleu.tokenize={name} is none .* 13a, intl, char"
    with pytest.raises(InputError, match=message):
        require_tokenizer("de", BleuConfig(tokenize=name))


MODELS = list(tokenizer_spm.SPM_MODELS)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of sacreBLEU."""
    for module in (tokenizer, tokenizer_spm):
        monkeypatch.setattr(module, "SACREBLEU_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    "error", [URLError("no route"), TimeoutError("timed out"), IncompleteRead(b"")]
)
def test_a_model_that_cannot_be_downloaded_is_one_line_and_leaves_nothing(
    name: str, error: Exception, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(url: str, timeout: float) -> None:
        assert 0 < timeout < 60
        raise error

    monkeypatch.setattr(tokenizer, "urlopen", fail)
    with pytest.raises(InputError, match=f"metrics.bleu.tokenize={name} needs") as raised:
        require_tokenizer("de", BleuConfig(tokenize=name))
    assert "\n" not in str(raised.value)
    assert str(cache) in str(raised.value)
    assert not cache.exists()


def trained_model() -> bytes:
    model = BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d", "b c d e", "e d c b a"]),
        model_writer=model,
        vocab_size=12,
        minloglevel=2,
    )
    return model.getvalue()


def test_a_model_is_downloaded_once(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(url: str, timeout: float) -> BytesIO:
        asked.append(url)
        return BytesIO(trained_model())

    monkeypatch.setattr(tokenizer, "urlopen", answer)
    for _ in range(2):
        require_tokenizer("de", BleuConfig(tokenize="flores200"))
    assert asked == [tokenizer_spm.SPM_MODELS["flores200"]["url"]]
    assert len(list(cache.iterdir())) == 1


def test_a_file_that_is_no_model_is_named(cache: Path) -> None:
    file = cache / Path(tokenizer_spm.SPM_MODELS["flores101"]["url"]).name
    cache.mkdir(parents=True)
    file.write_text("<html>")
    with pytest.raises(InputError, match=f"{file}.* is no model of SentencePiece; remove it"):
        require_tokenizer("de", BleuConfig(tokenize="flores101"))
