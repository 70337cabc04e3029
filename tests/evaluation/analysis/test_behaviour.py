"""What goes wrong: definitions, each with cases on both sides."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import MetricsConfig
from transformer.evaluation.analysis.behaviour import Behaviour, behaviour_of
from transformer.evaluation.analysis.lines import Lines
from transformer.evaluation.analysis.repetition import repeated_words, top_count
from transformer.evaluation.analysis.words import words
from transformer.metrics import score_sentences

CONFIG = MetricsConfig()


def of(
    translations: Sequence[str],
    *references: Sequence[str],
    sources: Sequence[str] | None = None,
) -> Behaviour:
    chrf = score_sentences("chrf", translations, references, "de", CONFIG)
    return behaviour_of(Lines(sources, translations, references), chrf)


def criteria(found: Behaviour) -> dict[int, tuple[str, ...]]:
    return {each.row: each.criteria for each in found.suspects}


def test_blank_is_empty_only_where_there_is_something_to_say() -> None:
    found = of(["", " \t", "", "x"], ["a", "b", "", ""], sources=["A", "B", "", "D"])
    assert found.empty == [0, 1]
    assert found.empty_references == [3]
    assert of(["", "", "x"], ["a", "", ""]).empty == [0]


def test_copied_is_the_source_unless_a_reference_is_it_too() -> None:
    sources = ["A dog.", "Hotel Adlon", "The sky", ""]
    found = of(
        ["a dog", "Hotel Adlon", "Der Himmel", ""],
        ["Ein Hund.", "Das Adlon", "Der Himmel", "x"],
        ["Hund.", "Hotel Adlon!", "Himmel", "x"],
        sources=sources,
    )
    assert found.copied == [0]
    assert of(["A dog."], ["Ein Hund."]).copied is None


def test_untranslated_words_are_in_the_source_and_no_reference() -> None:
    found = of(
        ["the old Hund 1999 Berlin", "Der alte dog"],
        ["Der alte Hund in Berlin", "Der alte Hund"],
        sources=["the old dog 1999 Berlin", "the old dog"],
    )
    assert found.untranslated_share == pytest.approx(3 / 8)
    assert found.untranslated == []
    mostly = of(["the old Hund"], ["Der alte Hund"], sources=["The old dog"])
    assert mostly.untranslated == [0]


def test_untranslated_words_among_chinese_are_found() -> None:
    found = of(["这是 a dog。"], ["这是一只狗。"], sources=["This is a dog."])
    assert found.untranslated_share == pytest.approx(2 / 4)
    assert of(["这是狗。"], ["这是一只狗。"], sources=["This is a dog."]).untranslated_share == 0


@pytest.mark.parametrize(
    ("text", "n"),
    [
        ("", 0),
        ("the cat saw the dog and the cow", 0),
        ("a very very old man", 1),
        ("a cat a cat", 2),
        ("in the park in the park in the park", 6),
        ("no no no no", 3),
        ("妈妈看看爸爸", 0),
        ("妈妈爱妈", 0),
        ("他是是是我", 1),
        ("讨论讨论", 2),
        ("one two three four five one two three four five", 0),
    ],
)
def test_repeated_words_say_again_at_once_what_stands_before_them(text: str, n: int) -> None:
    assert repeated_words(words(text)) == n


@given(st.lists(st.sampled_from("ab")), st.integers(2, 5))
def test_saying_a_phrase_again_repeats_all_its_words_anew(phrase: list[str], times: int) -> None:
    phrase = [*phrase, "c"][:4]
    n = repeated_words(phrase)
    assert repeated_words(phrase * times) >= n + (times - 1) * len(phrase)


def test_a_repetition_of_source_or_reference_is_none_of_the_translation() -> None:
    texts = ["nein nein nein"]
    assert of(texts, ["nein, das geht nicht"], sources=["No, you cannot"]).repetitive == [0]
    assert of(texts, ["nein"], sources=["No, no, no"]).repetitive == []
    assert of(texts, ["so nicht"], ["nein nein nein"], sources=["No"]).repetitive == []
    found = of(texts, ["nein nein x y"])
    assert found.repeated_share == pytest.approx(2 / 3)
    assert found.repeated_share_references == pytest.approx(1 / 4)


def test_the_top_count_is_of_four_words() -> None:
    assert top_count(words("a b c d a b c d")) == 2
    assert top_count(words("a b c")) == 0


def test_a_phrase_again_and_again_is_an_oscillation() -> None:
    loop = "in the middle of the middle of the middle of the middle of the room"
    assert criteria(of([loop], ["in the middle of the room"])) == {0: ("oscillation",)}
    assert criteria(of([loop], ["somewhere " * 14 + "room"], [loop])) == {}


def test_one_time_more_than_the_reference_is_no_oscillation() -> None:
    thrice, twice = ("one two three four and " * n for n in (3, 2))
    assert criteria(of([thrice], [twice])) == {}
    assert criteria(of([thrice], ["one two three four and so on"])) == {0: ("oscillation",)}


def test_letters_again_and_again_are_stuttering() -> None:
    assert criteria(of(["Das ist Legogogogogogo"], ["Das ist Lego"])) == {0: ("stuttering",)}
    assert criteria(of(["Gooooool"], ["Tooooor"])) == {}
    assert criteria(of(["1000000000 Euro ......."], ["Eine Milliarde Euro"])) == {}


def test_a_translation_is_too_long_for_source_and_references() -> None:
    sources = ["one two three four five"] * 10
    references = ["eins zwei drei vier fünf"] * 10
    long = " ".join(f"w{i}" for i in range(16))
    found = of([*references[:9], long], references, sources=sources)
    assert criteria(found) == {9: ("too long", "unrelated")}
    exact = " ".join(["eins zwei drei vier fünf", *(f"w{i}" for i in range(10))])
    assert criteria(of([*references[:9], exact], references, sources=sources)) == {}


def test_a_reference_as_long_makes_a_length_right() -> None:
    long = " ".join(f"w{i}" for i in range(16))
    assert criteria(of([long, "kurz"], [long, "kurz"], sources=["one", "short"])) == {}


def test_one_translation_of_different_sources_is_detached() -> None:
    text = "Ein Mann steht auf der Straße."
    sources = ["Two dogs play in snow", "The weather is nice today"]
    references = ["Zwei Hunde spielen im Schnee", "Das Wetter ist heute schön"]
    found = criteria(of([text, text], references, sources=sources))
    assert all("detached" in found[row] for row in range(2))


@pytest.mark.parametrize(
    ("sources", "references"),
    [
        (["A man stands on the street", "A man is on the street"], ["Mann da", "Er dort"]),
        (["Somebody waits outside", "One man, upright"], ["Ein Mann ist da", "Ein Mann ist dort"]),
        (["Two dogs play", "Two dogs play"], ["Zwei Hunde", "Hunde spielen"]),
    ],
    ids=["sources are alike", "references are alike", "sources are the same"],
)
def test_one_translation_of_like_texts_is_not_detached(
    sources: list[str], references: list[str]
) -> None:
    text = "Ein Mann steht auf der Straße."
    assert of([text, text], references, sources=sources).suspected("detached") == []


def test_short_answers_may_come_again() -> None:
    sources, references = ["Of course.", "I think so, too."], ["Klar.", "Das meine ich auch."]
    assert criteria(of(["Ja."] * 2, references, sources=sources)) == {}
    assert criteria(of(["我很好。"] * 2, ["完全可以", "她今天来"], sources=sources)) == {}


def test_text_that_shares_no_characters_is_unrelated() -> None:
    assert criteria(of(["xx yy zz qq"], ["Der Mund ist rot"])) == {0: ("unrelated",)}
    assert criteria(of(["xx yy zz qq"], ["Der Mund ist rot"], ["xx yy zz q"])) == {}
    assert criteria(of(["xx yy"], ["Der Mund ist rot"])) == {}


def test_chinese_shares_less_with_a_good_reference_than_alphabets_do() -> None:
    texts, references = ["老人昨天去了巴黎大学"], ["上个月那位先生到达法国首都巴黎"]
    assert 2 < score_sentences("chrf", texts, [references], "zh", CONFIG)[0] < 10
    assert criteria(of(texts, references)) == {}


TEXT = st.text(st.sampled_from("ab c.我们1"), max_size=12)


@given(st.lists(st.tuples(TEXT, TEXT, TEXT), min_size=1, max_size=8), st.randoms())
def test_the_order_of_sentences_changes_no_share(
    rows: list[tuple[str, str, str]],
    random: object,
) -> None:
    order = list(range(len(rows)))
    random.shuffle(order)  # type: ignore[attr-defined]
    ours = _of_rows(rows)
    theirs = _of_rows([rows[row] for row in order])
    for name in ("length_ratio", "source_ratio", "untranslated_share", "repeated_share"):
        assert getattr(ours, name) == getattr(theirs, name)
    for name, found in theirs.rows().items():
        assert found is not None
        assert sorted(order[row] for row in found) == ours.rows()[name]


def _of_rows(rows: list[tuple[str, str, str]]) -> Behaviour:
    sources, translations, references = (list(column) for column in zip(*rows, strict=True))
    return of(translations, references, sources=sources)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=8))
def test_the_references_themselves_are_never_at_fault(rows: list[tuple[str, str]]) -> None:
    sources, references = (list(column) for column in zip(*rows, strict=True))
    found = of(references, references, sources=sources)
    assert found.copied == found.untranslated == found.repetitive == []
    assert found.suspects == []
    assert found.repeated_share == found.repeated_share_references
    assert found.empty == found.empty_references
