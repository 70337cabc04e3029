"""Properties of models that write the translations of sentences before that of the line."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.translation.conftest import data_of
from tests.translation.test_documents import LINES, contexts, mark, texts
from transformer.config import Protected, SearchConfig
from transformer.errors import InputError
from transformer.search import Hypothesis
from transformer.text.lexicon import Lexicon
from transformer.text.tokenizer import BOS_ID, EOS_ID
from transformer.translation import Request, Translator, scoring
from transformer.translation.terminology import Terminology

SEARCH = SearchConfig(beam_size=2, max_length_offset=5, max_length_ratio=1.0)
DATA, SOURCE_ALONE = data_of("de", source=2, target=1), data_of("de", source=2)
Make = Callable[..., Translator]


def test_what_comes_out_is_behind_the_last_separator(
    translator_of: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    translator = translator_of(DATA)
    separator, tag = mark(translator, "<sep>"), mark(translator, "<2zh>")
    first, second = translator.tokenizers.target.encode(["uv", "w x"])
    tokens = [*first, separator, tag, *second]
    steps = [-0.5 * n for n in range(len(tokens) + 1)]
    written = Hypothesis(
        tokens=tokens,
        score=-3.0,
        log_probability=sum(steps),
        token_log_probabilities=steps,
        finished=True,
    )
    monkeypatch.setattr(
        Translator, "search_jobs", lambda self, jobs, config: [[written, written]] * len(jobs)
    )
    ((one, two),) = (each.outputs for each in translator.translate(["a"], SEARCH))
    assert one == two
    assert (one.text, one.score, one.log_probability) == ("w x", -3.0, sum(steps))
    assert translator.tokenizers.target.ids(one.tokens) == [tag, *second]
    assert one.token_log_probabilities == steps[len(first) + 1 :]


def test_there_is_room_for_the_translations_before(translator_of: Make) -> None:
    request = Request(source="abc", context=["de", "abc f"])
    longest = []
    for target in (0, 1, 2):
        planner = translator_of(data_of("de", source=2, target=target)).planner
        (line,) = planner.lines([request], SEARCH, 0)
        longest.append(line.jobs[0].task.longest - SEARCH.max_length_offset)
    # A letter a piece, the marks of spaces and separators: 4 of the line, 7 and 4 before it.
    assert longest == [4, 4 + 7, 4 + 7 + 4]


@pytest.mark.parametrize("asked", [{"prefix": "u"}, {"include": ["u"]}], ids=["prefix", "include"])
def test_a_line_cannot_ask_for_text(translator_of: Make, asked: dict[str, Any]) -> None:
    (name,) = asked
    with pytest.raises(InputError, match=f"^line 1: {name} goes with models that write one"):
        texts(translator_of(DATA), [Request(source="a", **asked)])
    texts(translator_of(SOURCE_ALONE), [Request(source="a", context=["b"], **asked)])


@pytest.mark.parametrize(
    "options",
    [{"terminology": Terminology({"a": "u"})}, {"protect": [Protected.numbers]}],
    ids=["terminology", "protect"],
)
def test_nor_can_all_lines_ask_for_it(translator_of: Make, options: dict[str, Any]) -> None:
    (name,) = options
    with pytest.raises(InputError, match=f"^{name} goes with models that write one"):
        translator_of(DATA, **options)
    assert texts(translator_of(SOURCE_ALONE, **options), ["a"]) != [""]


def test_alignment_is_refused(translator_of: Make) -> None:
    for wanted in ("alignment", "attention"):
        with pytest.raises(InputError, match=r"^alignment and attention go with models"):
            list(translator_of(DATA).translate(["a"], SEARCH, **{wanted: True}))


def test_text_to_leave_out_is_left_out(translator_of: Make) -> None:
    letters = list("abcdefuvwxyz")
    for text in texts(translator_of(DATA, exclude=letters[::2]), LINES):
        assert not {*text.split()} & {*letters[::2]}


def test_a_shortlist_leaves_room_for_separators(translator_of: Make) -> None:
    few = Lexicon(np.array([0, 5], np.int32), np.full((300, 1), 6, np.int32))
    plain = translator_of(DATA)
    short = Translator(
        plain.members, plain.tokenizers, plain.device, plain.precision, shortlist=few
    )
    assert short.shortlist is not None
    assert mark(plain, "<sep>") in short.shortlist.candidates([7]).tolist()
    assert len(texts(short, LINES)) == len(LINES)


def test_a_target_is_scored_behind_those_before_it(translator_of: Make) -> None:
    translator = translator_of(data_of("de", "zh", source=2, target=1), target_language="zh")
    pairs = [("x", "y"), ("", ""), ("ab", "u"), ("c", "vw"), ("d", "xu")]
    *_, found = translator.score(pairs, SEARCH, alignment=True, attention=True)
    encode = [side.encode for side in (translator.tokenizers.source,) * 2]
    (ab, c, d), (vw, xu) = encode[0](["ab", "c", "d"]), encode[1](["vw", "xu"])
    tag, separator = mark(translator, "<2zh>"), mark(translator, "<sep>")
    source = [tag, *ab, separator, *c, separator, *d]
    target = [*vw, separator, *xu, EOS_ID]
    with torch.inference_mode():
        model = translator.members[0].model
        state = model.start(torch.tensor([[*source, EOS_ID]]))
        rows = model.step(torch.tensor([[BOS_ID, *target[:-1]]]), state)[0].log_softmax(1)
    steps = [float(rows[i, token]) for i, token in enumerate(target)]
    assert found.token_log_probabilities == pytest.approx(steps[-len(xu) - 1 :], abs=1e-10)
    assert found.log_probability == pytest.approx(sum(steps[-len(xu) - 1 :]), abs=1e-10)
    assert found.text == "xu"
    assert translator.tokenizers.target.ids(found.tokens) == xu
    assert [len(row) for row in found.attention or ()] == [len(d) + 1] * (len(xu) + 1)
    assert {i for i, _ in found.alignment or ()} == {0}


def test_windows_change_no_score(translator_of: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    translator = translator_of(data_of("de", source=3, target=2))
    pairs = [(line, line[::-1]) for line in LINES]
    config = SearchConfig(coverage_penalty=0.2)
    expected = [output.score for output in translator.score(pairs, config)]
    plain = translator_of(data_of("de")).score(pairs, config)
    same = [a == pytest.approx(b.score) for a, b in zip(expected, plain, strict=True)]
    begins = [i for i, before in enumerate(contexts(LINES, 3)) if not before]
    assert [i for i, equal in enumerate(same) if equal] == begins
    monkeypatch.setattr(scoring, "WINDOW", 2)
    found = [output.score for output in translator.score(iter(pairs), config)]
    assert found == pytest.approx(expected, abs=1e-10)
