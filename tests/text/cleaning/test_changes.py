"""Each change to a text does what it says, and nothing else."""

import sys
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from transformer.config import CleaningConfig, UnicodeForm
from transformer.errors import InputError
from transformer.text.cleaning.changes import (
    change_all,
    changes,
    with_single_spaces,
    without_controls,
)

ODD = st.characters(codec="utf-8") | st.sampled_from(
    list("\t\x0b\x85\xa0\xad\u200b\u200c\u200d\u2028\u202e\u3000\ufeff e\u0301ﬁＡ<&;")
)
TEXTS = st.text(ODD, max_size=30)


def changed(config: CleaningConfig, text: str) -> str:
    return change_all([text], changes(config))[0][0]


@given(TEXTS)
def test_each_character_is_a_letter_of_the_form_asked_for(text: str) -> None:
    for form, name in ((UnicodeForm.nfc, "NFC"), (UnicodeForm.nfkc, "NFKC")):
        config = CleaningConfig(unicode=form, control=True, whitespace=True)
        after = changed(config, text)
        assert unicodedata.is_normalized(name, after)  # type: ignore[arg-type]
        assert changed(config, after) == after


@given(TEXTS)
def test_controls_go_and_words_stay_apart(text: str) -> None:
    plain = without_controls(text)
    assert not any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in plain)
    assert not set(plain) & set("\xad\u200b\u200e\u200f\u202e\u2060\u2066\ufeff")
    for joiner in "\u200c\u200d":
        assert plain.count(joiner) == text.count(joiner)
    assert plain.split() == [word for word in map(without_controls, text.split()) if word]


def test_a_control_that_is_blank_becomes_a_space() -> None:
    assert without_controls("a\tb\x0bc\x85d\u2028e\x1cf") == "a b c d e f"
    assert without_controls("a\x00b\x7fc\x9bd\xade\u200bf\ufeff") == "abcdef"


def test_letters_that_a_removed_character_parted_compose() -> None:
    assert without_controls("e\u200b\u0301", "NFC") == "é"


@given(TEXTS)
def test_spaces_of_all_kinds_become_one(text: str) -> None:
    after = with_single_spaces(text)
    assert after.split(" ") == (text.split() or [""])
    assert with_single_spaces("\u3000一\u3000二\xa0三 \u2009") == "一 二 三"


@example(["a  b"])
@given(st.lists(TEXTS | st.text("a &;<>\t\x00bt"), max_size=8))
def test_texts_passed_over_as_plain_are_those_that_no_change_alters(texts: list[str]) -> None:
    config = CleaningConfig(html=True, unicode=UnicodeForm.nfkc, control=True, whitespace=True)
    steps = changes(config)
    after, found = change_all(texts, steps)
    for row, text in enumerate(texts):
        now = text
        for name, change in steps:
            before, now = now, change(now)
            assert found[name].get(row) == ((before, now) if before != now else None)
        assert after[row] == now


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_text_that_was_decoded_wrongly_is_mended(encoding: str) -> None:
    pytest.importorskip("ftfy")
    config = CleaningConfig(mojibake=True)
    for text in ("Schöne Grüße aus Köln", "l’été à Paris – c’est beau", "naïve „Mädchen“"):
        wrong = text.encode().decode(encoding, errors="ignore")
        if wrong.encode(encoding).decode(errors="ignore") == text:
            assert changed(config, wrong) == text


@pytest.mark.parametrize(
    "text", ["“quotes” stay", "ﬁne ＡＢＣ", "&amp; <b>", "e\u0301", "tab\there", "Größe", "ÄÖÜ"]
)
def test_mending_leaves_everything_else(text: str) -> None:
    pytest.importorskip("ftfy")
    assert changed(CleaningConfig(mojibake=True), text) == text


@given(
    st.text(st.sampled_from("aÃ¤Â â€™œ„ð˜\x85\x92 ?–éßÐ°Ñ†√º├ñрџ‡б\ufffdî\uf8ffﬁ中"), max_size=12)
)
def test_what_is_not_shown_to_ftfy_it_would_leave(text: str) -> None:
    ftfy = pytest.importorskip("ftfy")
    assert changed(CleaningConfig(mojibake=True), text) == ftfy.fix_encoding(text)


def test_a_space_may_be_what_is_left_of_a_letter() -> None:
    pytest.importorskip("ftfy")
    assert changed(CleaningConfig(mojibake=True), "voilÃ le travail") == "voilà le travail"


def test_a_missing_library_is_told_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ftfy", None)
    with pytest.raises(InputError, match=r"cleaning.mojibake=true needs ftfy: pip install"):
        changes(CleaningConfig(mojibake=True))
    changes(CleaningConfig())
