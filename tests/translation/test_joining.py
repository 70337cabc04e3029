"""What is put together of the parts of a line, and of originals and stand-ins."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from transformer.translation.joining import joined, restored
from transformer.translation.protection import Span, restore
from transformer.translation.request import Output

WORDS = st.lists(st.sampled_from(["ein", "Hund", "am", "See"]), max_size=4)
SPANS = [
    Span("XQ", "<b>", after="dog"),
    Span("JW", "</b>", before="dog"),
    Span("7", "50 %"),
    Span("ZK", "{a}", after="9"),
    Span("9", "5 000"),
]


@st.composite
def outputs(draw: st.DrawFn) -> tuple[str, Output]:
    """A source and an output for it, with any links between their words."""
    source, target = draw(WORDS), draw(WORDS)
    n_pieces = len(target) + 1
    numbers = st.floats(-9, 0)
    link = st.tuples(st.integers(0, len(source) - 1), st.integers(0, len(target) - 1))
    links = draw(st.lists(link, max_size=3)) if source and target else []
    output = Output(
        text=" ".join(target),
        score=draw(numbers),
        log_probability=draw(numbers),
        tokens=target,
        token_log_probabilities=draw(st.lists(numbers, min_size=n_pieces, max_size=n_pieces)),
        alignment=links,
        attention=[[1.0] * len(source)] * n_pieces,
        finished=draw(st.booleans()),
    )
    return " ".join(source), output


@given(st.lists(outputs(), min_size=1, max_size=4))
def test_links_of_parts_are_between_the_same_words_of_the_whole(
    parts: list[tuple[str, Output]],
) -> None:
    sources = [source for source, _ in parts]
    whole = joined([output for _, output in parts], sources, "de")
    source, target = " ".join(sources).split(), whole.text.split()
    expected = [
        (part.split()[i], output.text.split()[j])
        for part, output in parts
        for i, j in output.alignment or ()
    ]
    assert [(source[i], target[j]) for i, j in whole.alignment or ()] == expected


@given(st.lists(outputs(), min_size=2, max_size=4))
def test_the_whole_has_the_tokens_and_the_sums_of_its_parts(
    parts: list[tuple[str, Output]],
) -> None:
    found = [output for _, output in parts]
    whole = joined(found, [source for source, _ in parts], "de")
    assert whole.text == " ".join(output.text for output in found if output.text)
    assert list(whole.tokens) == [token for output in found for token in output.tokens]
    assert abs(whole.score - sum(output.score for output in found)) < 1e-10
    assert abs(whole.log_probability - sum(o.log_probability for o in found)) < 1e-10
    assert len(whole.token_log_probabilities) == len(whole.attention or ())
    assert whole.finished == all(output.finished for output in found)


@given(st.lists(outputs(), min_size=2, max_size=3))
def test_what_was_not_asked_for_of_the_parts_is_not_in_the_whole(
    parts: list[tuple[str, Output]],
) -> None:
    found = [replace(output, alignment=None, attention=None) for _, output in parts]
    whole = joined(found, [source for source, _ in parts], "de")
    assert (whole.alignment, whole.attention) == (None, None)


def test_parts_of_a_language_without_spaces_are_joined_without() -> None:
    output = Output(
        text="我", score=0, log_probability=0, tokens=["我"], token_log_probabilities=[]
    )
    assert joined([output, output], ["a", "b"], "zh-CN").text == "我我"


MASKED = st.lists(st.sampled_from(["XQ", "JW", "7", "9", "ZK", "dog", "Hund", "7.", "(9"]))


@given(source=MASKED, target=MASKED, data=st.data())
def test_links_of_a_stand_in_become_links_of_all_words_of_its_original(
    source: list[str], target: list[str], data: st.DataObject
) -> None:
    ends = [st.integers(0, max(0, len(side) - 1)) for side in (source, target)]
    links = data.draw(st.lists(st.tuples(*ends), max_size=3)) if source and target else []
    text = " ".join(target)
    output = Output(
        text=text,
        score=0,
        log_probability=0,
        tokens=target,
        token_log_probabilities=[],
        alignment=links,
    )
    found = restored(output, " ".join(source), SPANS)
    assert found.text == restore(text, SPANS)
    assert found.tokens == target
    words = [restore(" ".join(side), SPANS).split() for side in (source, target)]
    expected = []
    for i, j in links:
        sides = zip((i, j), (source, target), strict=True)
        of_source, of_target = (linked(place, side) for place, side in sides)
        expected += [(m, n) for n in of_target for m in of_source]
    assert list(found.alignment or ()) == expected
    assert all(m < len(words[0]) and n < len(words[1]) for m, n in expected)


def linked(place: int, words: list[str]) -> range:
    """The numbers of what becomes of a word, counted by restoring what is before and with it."""
    first, end = (
        len(restore(" ".join(words[:n]) + " ", SPANS).split()) if n < len(words) else None
        for n in (place, place + 1)
    )
    if end is None:
        end = len(restore(" ".join(words), SPANS).split())
    return range(min(first or 0, end - 1), end)
