"""Properties of requests, whatever way they come."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from transformer.config import LineFormat, Precision, Protected, SearchConfig, TranslateSettings
from transformer.errors import InputError
from transformer.model.prepacked import PrepackedLinear, is_possible
from transformer.translation import Request, Translator, translate_file
from transformer.translation.lines import parse_values

SHORT: dict[str, Any] = {"max_length_offset": 8, "max_length_ratio": 1.0}
WORD = st.sampled_from(["uvw", "xyz", "uv w"])
REQUESTS = st.builds(
    Request,
    source=st.text("abcdef ", max_size=9),
    prefix=st.sampled_from(["", "u", "uvw x", "xyz "]),
    include=st.lists(WORD, max_size=2),
)


def words(text: str) -> str:
    return f" {text} "


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(requests=st.lists(REQUESTS, min_size=1, max_size=6), beam_size=st.integers(1, 3))
def test_each_output_keeps_to_its_own_request(
    translator: Translator, requests: list[Request], beam_size: int
) -> None:
    config = SearchConfig(beam_size=beam_size, n_best=beam_size, **SHORT)
    for request, found in zip(requests, translator.translate(requests, config), strict=True):
        assert found.source == request.source
        if not request.source.strip():
            assert found.texts == [""]
            continue
        for text in found.texts:
            assert text.startswith(request.prefix.rstrip())
            assert all(phrase in text for phrase in request.include)


def test_what_is_left_out_is_the_only_difference(translator: Translator) -> None:
    config = SearchConfig(beam_size=4, n_best=4, **SHORT)
    (free,) = translator.translate(["abc def"], config)
    unwanted = next(word for word in free.text.split() if word.isalnum())
    request = Request(source="abc def", exclude=[unwanted])
    (found,) = translator.translate([request], config)
    assert not any(words(unwanted) in words(text) for text in found.texts)
    (same,) = translator.translate([Request(source="abc def", exclude=["nowhere"])], config)
    assert same.texts == free.texts


@pytest.mark.parametrize("input_format", LineFormat)
def test_a_request_of_a_source_alone_is_a_plain_line(
    checkpoint: Path,
    tmp_path: Path,
    draw_lines: Callable[[int], list[str]],
    input_format: LineFormat,
) -> None:
    lines = draw_lines(9)
    as_json = [json.dumps({"source": line}) for line in lines]
    written = as_json if input_format is LineFormat.jsonl else lines
    (tmp_path / "in").write_text("\n".join(written) + "\n", encoding="utf-8")
    translate_file(
        TranslateSettings(
            checkpoint=str(checkpoint),
            input=str(tmp_path / "in"),
            output=str(tmp_path / "out"),
            input_format=input_format,
            search=SearchConfig(beam_size=2, **SHORT),
            device="cpu",
            precision=Precision.fp32,
        )
    )
    translator = Translator.load(str(checkpoint), "cpu", Precision.fp32)
    expected = [
        found.text for found in translator.translate(lines, SearchConfig(beam_size=2, **SHORT))
    ]
    assert (tmp_path / "out").read_text(encoding="utf-8").split("\n")[:-1] == expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda children: (
        st.lists(children, max_size=2)
        | st.dictionaries(
            st.sampled_from(["source", "prefix", "include", "x"]), children, max_size=3
        )
    ),
    max_leaves=6,
)


@given(JSON | st.fixed_dictionaries({"source": st.text(max_size=5)}, optional={"prefix": JSON}))
def test_any_json_is_a_request_or_an_error_of_one_line(value: Any) -> None:
    error = ""
    try:
        assert Request(**parse_values(json.dumps(value), "in, line 3")) == Request(**value)
    except InputError as raised:
        error = str(raised)
    assert not error or error.startswith("in, line 3")
    assert "\n" not in error


@given(st.text(max_size=12))
def test_what_is_no_json_is_an_error_of_one_line(text: str) -> None:
    with pytest.raises(InputError, match=r"^in, line 3"):
        parse_values(f"x{text}", "in, line 3")


def test_a_translator_takes_its_settings_by_name(checkpoint: Path) -> None:
    translator = Translator.load(str(checkpoint), "cpu", "bf16", protect=["urls"])
    assert translator.precision is Precision.bf16
    assert translator.planner.options.protect == [Protected.urls]
    assert isinstance(translator.members[0].model.output, nn.Linear)


@pytest.mark.skipif(not is_possible(), reason="torch is built without oneDNN")
def test_a_translator_in_fp32_has_prepared_weights(checkpoint: Path) -> None:
    translator = Translator.load([str(checkpoint)], "cpu", "fp32")
    assert isinstance(translator.members[0].model.output, PrepackedLinear)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"precision": "int8"}, "precision=int8 must be one of auto, fp32"),
        ({"protect": ["url"]}, "protect[0]=url must be one of urls, emails, numbers"),
        ({"protect": "urls"}, "protect='urls' is one text; give a list of them"),
        ({"exclude": "word"}, "exclude='word' is one text; give a list of them"),
    ],
)
def test_a_translator_refuses_what_is_no_setting(
    checkpoint: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as raised:
        Translator.load(str(checkpoint), "cpu", **settings)
    assert message in str(raised.value)


def test_one_text_is_no_list_of_texts(translator: Translator) -> None:
    with pytest.raises(InputError, match="lines is one text; give a list of them"):
        next(translator.translate("a line"))
    for name in ("include", "exclude"):
        with pytest.raises(InputError, match=f"{name}='word' is one text"):
            Request(source="a line", **{name: "word"})
