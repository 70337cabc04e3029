from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.config import Protected, TextNormalization, TokenizerConfig, TokenizerKind
from transformer.text import tokenizer as text_tokenizer
from transformer.text.tokenizer import Tokenizer, Tokenizers
from transformer.translation.protection import (
    Masked,
    Span,
    StandIns,
    masked_prefix,
    protect,
    restore,
)
from transformer.translation.tasks import TargetVocabulary, phrase_of

ALL = list(Protected)
CONFIG = TokenizerConfig(
    kind=TokenizerKind.bpe, vocab_size=400, normalization=TextNormalization.nfkc
)


def learn(config: TokenizerConfig) -> Tokenizers:
    text = ["the DJ plays 2 of 99 CDs, AB1", "der DJ spielt 3 von 47 PCs, XQZ"] * 9
    joint = Tokenizer(text_tokenizer.learn(text, config, fewer=True))
    return Tokenizers(joint, joint)


def stand_ins_of(tokenizers: Tokenizers) -> StandIns:
    return StandIns(tokenizers.source, TargetVocabulary(tokenizers.target))


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    return learn(CONFIG)


@pytest.fixture(scope="module")
def target(tokenizers: Tokenizers) -> TargetVocabulary:
    return TargetVocabulary(tokenizers.target)


@pytest.fixture(scope="module")
def stand_ins(tokenizers: Tokenizers) -> StandIns:
    return stand_ins_of(tokenizers)


@pytest.fixture(scope="module")
def with_symbols() -> StandIns:
    return stand_ins_of(learn(replace(CONFIG, user_symbols=["<PH1>", "word", "<PH2>"])))


@pytest.fixture(scope="module")
def without_bytes() -> StandIns:
    """Of few characters, and no stand-in of more than two."""
    return stand_ins_of(learn(replace(CONFIG, byte_fallback=False)))


def originals(source: str, kind: Protected, stand_ins: StandIns) -> list[str]:
    return [span.original for span in protect(source, [kind], stand_ins).spans]


PARTS = st.sampled_from(
    ["http://a.de/b", "www.x.org", "me@x.uk", "<b>", "</b>", "{n}", "%s", "%(a)s", "5", "-7.5"]
) | st.sampled_from(["50\u00a0%", "12:30", "DJ", "2", "<PH1>", "a", "我", "\u0301", *" (),.-$é_"])
SOURCE = st.lists(PARTS, max_size=14).map("".join) | st.text(max_size=20)


@given(source=SOURCE, kinds=st.sets(st.sampled_from(Protected)))
def test_restoring_what_was_masked_gives_the_source(
    stand_ins: StandIns,
    with_symbols: StandIns,
    without_bytes: StandIns,
    source: str,
    kinds: set[Protected],
) -> None:
    for each in (stand_ins, with_symbols, without_bytes):
        masked = protect(source, list(kinds), each)
        assert restore(masked.text, masked.spans) == source


@given(source=st.lists(PARTS, max_size=14).map("".join), data=st.data())
def test_an_output_of_the_tokens_asked_for_holds_every_original(
    target: TargetVocabulary, stand_ins: StandIns, source: str, data: st.DataObject
) -> None:
    masked = protect(source, ALL, stand_ins)
    filler = st.sampled_from(["der", "3", ",", "(", "von 47"]).map(target.phrase)
    asked = [phrase_of(span.stand_in, target) for span in masked.spans]
    output: list[int] = []
    for phrase in data.draw(st.permutations(asked)):
        output += data.draw(filler) + phrase
    text = restore(target.tokenizer.decode([output])[0], masked.spans)
    assert all(span.original in text for span in masked.spans)


def test_each_stand_in_differs_and_is_not_in_the_line(stand_ins: StandIns) -> None:
    masked = protect("DJ 2 http://a.de <b> 7 8", ALL, stand_ins)
    used = [span.stand_in for span in masked.spans]
    assert len(set(used)) == 5
    assert not any(text in "DJ 2 http://a.de <b> 7 8" for text in used)


def test_numbers_stand_for_numbers_and_names_for_the_rest(stand_ins: StandIns) -> None:
    spans = protect("7 http://a.de", ALL, stand_ins).spans
    assert spans[0].stand_in.isdigit()
    assert spans[1].stand_in.isalnum()
    assert not spans[1].stand_in.isdigit()


def test_symbols_of_the_tokenizer_stand_in_first_and_in_order(with_symbols: StandIns) -> None:
    masked = protect("a {x}, 5 b", ALL, with_symbols)
    assert masked.text == "a <PH1>, <PH2> b"
    assert protect("<PH1> 5", [Protected.numbers], with_symbols).text == "<PH1> <PH2>"


def test_an_original_stands_for_itself_when_stand_ins_run_out(with_symbols: StandIns) -> None:
    masked = protect("{x} {y} {z}", [Protected.variables], with_symbols)
    assert [span.stand_in for span in masked.spans] == ["<PH1>", "<PH2>", "{z}"]
    assert masked.n_left == 0


def test_an_original_that_cannot_be_written_is_left_and_counted() -> None:
    config = replace(CONFIG, byte_fallback=False, user_symbols=["<PH1>"])
    masked = protect("{Ö} {Ü} 2", ALL, stand_ins_of(learn(config)))
    assert masked.text == "<PH1> {Ü} 2"
    assert [span.stand_in for span in masked.spans] == ["<PH1>", "2"]
    assert masked.n_left == 1


def test_normalisation_does_not_alter_an_original(stand_ins: StandIns) -> None:
    masked = protect("{ﬁ} ½ ５", ALL, stand_ins)
    assert "ﬁ" not in masked.text
    assert restore(masked.text, masked.spans) == "{ﬁ} ½ ５"


@pytest.mark.parametrize(
    ("kind", "source", "expected"),
    [
        (
            Protected.urls,
            "(http://a.de/b_(c)). www.x.org, xhttp://",
            ["http://a.de/b_(c)", "www.x.org"],
        ),
        (Protected.urls, "看http://a.cn/b。然后", ["http://a.cn/b"]),
        (Protected.emails, "to a.b+c@x-y.co.uk, or @me", ["a.b+c@x-y.co.uk"]),
        (Protected.tags, "<b>x</b> 1 < 2 <br/> <a t='>'> <", ["<b>", "</b>", "<br/>", "<a t='>'>"]),
        (
            Protected.variables,
            "{name} {0} {} ${x} %(n)s %s %d 50 %",
            ["{name}", "{0}", "{}", "${x}", "%(n)s", "%s", "%d"],
        ),
        (
            Protected.numbers,
            "1 -2.5 +3 1,000.50 7/8 12.05.2024 2024-05-12 12:30 50% 50 %. 5-6",
            [
                *("1", "-2.5", "+3", "1,000.50", "7/8", "12.05.2024", "2024-05-12"),
                *("12:30", "50%", "50 %", "5", "6"),
            ],
        ),
        (Protected.numbers, "A4 v1.2 12.5kg 1st x2", []),
        (Protected.numbers, "我有5个", ["5"]),
    ],
)
def test_what_each_kind_finds(
    stand_ins: StandIns, kind: Protected, source: str, expected: list[str]
) -> None:
    assert originals(source, kind, stand_ins) == expected


def test_a_number_within_a_url_is_the_urls(stand_ins: StandIns) -> None:
    spans = protect("http://a.de/12.5 12.5", ALL, stand_ins).spans
    assert [span.original for span in spans] == ["http://a.de/12.5", "12.5"]


def test_stand_ins_are_parted_from_words_and_joined_to_them_again(stand_ins: StandIns) -> None:
    masked = protect("a <b>dog</b>.", [Protected.tags], stand_ins)
    first, second = (span.stand_in for span in masked.spans)
    assert masked.text == f"a {first} dog {second}."
    assert restore(f"ein {first} Hund {second}.", masked.spans) == "ein <b>Hund</b>."


def test_a_space_goes_only_where_the_source_had_none() -> None:
    spans = [Span("7", "5", before="$")]
    assert restore("$ 7 oder 7 $", spans) == "$5 oder 5 $"


def test_a_stand_in_counts_as_a_whole_word_as_often_as_it_occurs() -> None:
    spans = [Span("7", "5"), Span("DJ", "7")]
    assert restore("7 17 7,5 DJ und 7", spans) == "5 17 7,5 7 und 5"
    assert restore("DJs", spans) == "7s"
    assert restore("x", spans) == "x"


def test_without_kinds_nothing_is_protected(stand_ins: StandIns) -> None:
    assert protect("http://a.de 5", [], stand_ins) == Masked("http://a.de 5", [])


@pytest.mark.parametrize("text", ["(", "<a ", "http://(", "1.", "a@", "{", "<a '", "%(", "-", "a."])
def test_no_text_takes_time_with_the_square_of_its_length(stand_ins: StandIns, text: str) -> None:
    protect(text * 20_000, ALL, stand_ins)


@given(source=SOURCE, prefix=st.lists(PARTS, max_size=6).map("".join))
def test_a_prefix_that_is_masked_is_restored(
    stand_ins: StandIns, with_symbols: StandIns, source: str, prefix: str
) -> None:
    for each in (stand_ins, with_symbols):
        masked = protect(source, ALL, each, [prefix])
        assert restore(masked_prefix(prefix, masked.spans), masked.spans) == prefix


def test_the_originals_of_a_prefix_have_their_stand_ins(stand_ins: StandIns) -> None:
    masked = protect("<b>dogs</b>, {n} of 5 or 5", ALL, stand_ins)
    opening, closing, name, *numbers = (span.stand_in for span in masked.spans)
    prefix = "Von 5 bis 15 oder 5 und 5 {n}: <b>Hunde</b>."
    assert masked_prefix(prefix, masked.spans) == (
        f"Von {numbers[0]} bis 15 oder {numbers[1]} und 5 {name}: {opening} Hunde {closing}."
    )
    prefix = "<b>Hunde</b>s"  # which would not come out as it is
    assert masked_prefix(prefix, masked.spans) == prefix


def test_no_stand_in_is_what_a_user_writes(stand_ins: StandIns) -> None:
    (first,) = protect("{n}", ALL, stand_ins).spans
    (second,) = protect("{n}", ALL, stand_ins, [f"a {first.stand_in}"]).spans
    assert first.stand_in != second.stand_in


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("XQ Hund JW oder", "<b>Hund</b> oder"),
        ("XQ URL JW", "<b>http://a.de</b>"),
        ("URL oder URL JW", "http://a.de oder http://a.de</b>"),
        ("NAME ist, NAME s NAME sind", "{n} ist, {n}s {n} sind"),
        ("der NAME und user NAME, superuser NAME", "der {n} und user{n}, superuser {n}"),
    ],
)
def test_two_words_become_one_only_where_they_were_one(output: str, expected: str) -> None:
    spans = [
        Span("XQ", "<b>", after="dog"),
        Span("URL", "http://a.de", after="JW"),
        Span("JW", "</b>", before="dog"),
        Span("NAME", "{n}", before="user", after="s"),
    ]
    assert restore(output, spans) == expected
