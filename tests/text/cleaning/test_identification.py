"""Texts in another language are found; those that tell too little are not."""

import sys

import pytest

from transformer.errors import InputError
from transformer.text.cleaning import identification
from transformer.text.cleaning.identification import in_language

ENGLISH = "The weather was so fine that we went for a long walk along the river."
GERMAN = "Das Wetter war so schön, dass wir lange am Fluss spazieren gegangen sind."
CHINESE = "昨天天气很好，所以我们沿着河边散步。"


def fits(code: str, text: str) -> bool:
    pytest.importorskip("py3langid")
    check = in_language(code)
    assert check is not None
    return check(text)


@pytest.mark.parametrize("code", ["en", "de", "zh"])
def test_a_text_fits_its_own_language_alone(code: str) -> None:
    texts = {"en": ENGLISH, "de": GERMAN, "zh": CHINESE}
    assert {name for name, text in texts.items() if fits(code, text)} == {code}


def test_a_code_may_be_written_in_other_ways() -> None:
    for code in ("de-AT", "deu", "de_DE"):
        assert fits(code, GERMAN)
        assert not fits(code, ENGLISH)


@pytest.mark.parametrize("text", ["", "Tom", "Yes, 2013!", "... 1 2 3 4 5 6 7 8 9 10 11 12"])
def test_a_short_text_may_be_in_any_language(text: str) -> None:
    assert fits("zh", text)
    assert fits("de", text)


def test_languages_without_spaces_need_fewer_letters() -> None:
    assert fits("de", "что это")
    assert not fits("zh", "что это")
    assert not fits("de", "что это было")


def test_languages_that_are_not_told_apart_stand_for_each_other() -> None:
    norwegian = "Været var så fint at vi gikk en lang tur langs elven i går."
    assert fits("nb", norwegian)
    assert fits("no", norwegian)
    assert not fits("nb", ENGLISH)


def test_of_an_unknown_language_nothing_can_be_said() -> None:
    pytest.importorskip("py3langid")
    assert in_language("qq") is None


def test_a_missing_library_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "py3langid", None)
    monkeypatch.setitem(sys.modules, "py3langid.langid", None)
    identification._identifier.cache_clear()
    with pytest.raises(InputError, match=r"cleaning.language=true needs py3langid: pip install"):
        in_language("de")
