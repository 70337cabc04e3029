"""What is asked of the search for a line."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.config import (
    EnsembleConfig,
    PhrasebookConfig,
    Precision,
    Protected,
    SearchConfig,
    TextNormalization,
    TokenizerConfig,
    TokenizerKind,
)
from transformer.errors import InputError
from transformer.text.tokenizer import Tokenizer, Tokenizers, learn
from transformer.translation import Request, Translator
from transformer.translation.jobs import PARTS, Line, Planner, by_part
from transformer.translation.options import Options
from transformer.translation.protection import Span
from transformer.translation.terminology import Terminology, read_terminology

CONFIG = SearchConfig(max_length_ratio=1.0, max_length_offset=5)
TEXT = ["ein Mann mit einem Hund", "eine Frau, die im Park 2 Hunde sieht XQZ, DJ"] * 9
Plan = Callable[..., Planner]


@pytest.fixture(scope="module")
def plan() -> Plan:
    """Makes planners that write the letters of TEXT alone."""
    config = TokenizerConfig(
        kind=TokenizerKind.char,
        vocab_size=100,
        byte_fallback=False,
        normalization=TextNormalization.nmt_nfkc,
    )
    tokenizer = Tokenizer(learn(TEXT, config, fewer=True))

    def make(max_source_pieces: int = 1000, **options: Any) -> Planner:
        chosen = Options(max_source_pieces=max_source_pieces, **options)
        return Planner(Tokenizers(tokenizer, tokenizer), PhrasebookConfig(), chosen)

    return make


def line(planner: Planner, number: int = 0, config: SearchConfig = CONFIG, **request: Any) -> Line:
    (found,) = planner.lines([Request(**{"source": "Hund", **request})], config, number)
    return found


def texts(planner: Planner, phrases: Any) -> list[str]:
    return planner.tokenizers.target.decode(phrases)


def test_a_blank_line_has_no_job(plan: Plan) -> None:
    assert [line(plan(), source=text).jobs for text in ("", " ", "\u3000\t")] == [[], [], []]


def test_lines_and_parts_have_numbers_of_their_own(plan: Plan) -> None:
    planner = plan(max_source_pieces=6)
    lines = planner.lines([Request(source="Hund Mann ein"), Request(source="ein")], CONFIG, 7)
    numbers = [[job.task.number for job in found.jobs] for found in lines]
    assert numbers == [[7 * PARTS, 7 * PARTS + 1, 7 * PARTS + 2], [8 * PARTS]]
    assert [job.place for found in lines for job in found.jobs] == ["line 8"] * 3 + ["line 9"]


def test_long_lines_are_counted(plan: Plan, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    requests = [Request(source=text) for text in ("Hund Hund", "Hund", "ein Hund ein")]
    plan(max_source_pieces=6).lines(requests, CONFIG, 0)
    assert caplog.messages == ["2 lines of more than 6 pieces were translated in parts"]


def test_the_first_part_has_the_prefix_and_the_phrases_and_each_what_is_in_it(plan: Plan) -> None:
    planner = plan(
        max_source_pieces=12,
        terminology=Terminology({"Park": "Mann"}),
        protect=[Protected.variables],
        exclude=["Frau"],
    )
    found = line(
        planner, source="Hund. {a} Park. ein Park", prefix="ei", include=["die"], exclude=["im"]
    )
    first, *others = (job.task for job in found.jobs)
    assert len(others) >= 1
    assert texts(planner, first.include)[0] == "die"
    assert len(first.prefix) == 2
    assert not any(task.prefix for task in others)
    asked = [text for job in found.jobs for text in texts(planner, job.task.include)]
    assert sorted(asked) == sorted(["die", "Mann", "Mann", found.spans[0].stand_in])
    for part, job in zip(found.parts, found.jobs, strict=True):
        included = texts(planner, job.task.include)
        assert included.count("Mann") == part.count("Park")
        assert (found.spans[0].stand_in in included) == (found.spans[0].stand_in in part)
        assert list(job.task.exclude) == ["Frau", "im"]


def test_phrases_to_leave_out_are_normalised_as_outputs_are(plan: Plan) -> None:
    found = line(plan(exclude=["Ｈｕｎｄ"]), exclude=[" ein\u00a0 Mann "])
    assert list(found.jobs[0].task.exclude) == ["Hund", "ein Mann"]


def test_there_is_room_for_what_is_asked_for(plan: Plan) -> None:
    planner = plan()
    found = line(planner, source="e", include=["eine Frau"] * 3)
    (task,) = (job.task for job in found.jobs)
    assert task.longest >= sum(map(len, task.include)) + 1
    with pytest.raises(InputError, match=r"line 5: search\.max_length=4 leaves no room"):
        line(planner, 4, SearchConfig(max_length=4), source="e", include=["eine Frau"])


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ({"prefix": "我"}, "the prefix '我' holds characters"),
        ({"include": ["Hund", "我"]}, "the phrase '我' holds characters"),
        ({"include": [" "]}, "the phrase ' ' is blank"),
        ({"exclude": [""]}, "the phrase '' is blank"),
        ({"exclude": ["\u200b"]}, "the phrase .* holds nothing that the tokenizer keeps"),
    ],
)
def test_a_line_that_asks_for_what_cannot_be_is_named(
    plan: Plan, request_: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=f"^line 3: {reason}"):
        line(plan(), 2, **request_)


def test_a_term_that_cannot_be_written_is_named_before_any_line(plan: Plan, tmp_path: Path) -> None:
    file = tmp_path / "terms.tsv"
    file.write_text("dog\tHund\n\ncat\t我\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"terms\.tsv, line 3: the phrase '我' holds characters"):
        plan(terminology=read_terminology(str(file)))


def test_a_phrase_of_the_settings_that_leaves_nothing_is_named(plan: Plan) -> None:
    with pytest.raises(InputError, match="holds nothing that the tokenizer keeps"):
        plan(exclude=["\u200b"])


def test_stand_ins_belong_to_the_part_that_holds_them() -> None:
    spans = [Span(text, "x") for text in ("XQ", "JW", "ZK", "XQ")]
    parts = ["a XQ b JW", "c", "ZK XQ"]
    assert by_part(parts, spans) == [["XQ", "JW"], [], ["ZK", "XQ"]]


IMPOSSIBLE = Request(source="abc", include=["uvw"], exclude=["uvw"])


@pytest.mark.parametrize("batch_tokens", [1, 60, 10_000])
def test_the_line_that_nothing_can_be_found_for_is_named(
    translator: Translator, batch_tokens: int
) -> None:
    requests = [Request(source="ab c"), Request(source=""), IMPOSSIBLE, Request(source="abcdef")]
    config = SearchConfig(beam_size=2, batch_tokens=batch_tokens)
    with pytest.raises(InputError, match=r"^line 13: no output within the length limit"):
        translator.translate_together(requests, config, first=10)


def test_what_is_wrong_with_the_settings_names_no_line(translator: Translator) -> None:
    config = SearchConfig()
    config.attention.layer = 9
    with pytest.raises(InputError, match=r"^search\.attention\.layer=9"):
        list(translator.translate(["abc", "d"], config))
    two = Translator(
        [*translator.members] * 2,
        translator.tokenizers,
        torch.device("cpu"),
        Precision.fp32,
        ensemble=EnsembleConfig(weights=[1.0]),
    )
    with pytest.raises((InputError, AssertionError, ValueError)) as error:
        list(two.translate(["abc"], SearchConfig()))
    assert "line" not in str(error.value)
