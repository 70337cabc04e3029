"""Properties of each way to decode, from lines to lines."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from transformer.config import (
    EnsembleConfig,
    EnsembleMean,
    LineFormat,
    Precision,
    Protected,
    SamplingConfig,
    SearchConfig,
    SearchMethod,
    TranslateSettings,
    Utility,
)
from transformer.model import Transformer
from transformer.text.tokenizer import PAD_ID
from transformer.translation import Member, Request, Translator, lines, translate_file
from transformer.translation import translator as module
from transformer.translation.mbr import choose
from transformer.translation.options import Options

Draw = Callable[[int], list[str]]
SHORT: dict[str, Any] = {"max_length_offset": 5, "max_length_ratio": 1.0}
BEAM = SearchConfig(beam_size=3, n_best=3, **SHORT)
SAMPLES = SearchConfig(method=SearchMethod.sampling, n_best=3, **SHORT)
MBR = SearchConfig(
    method=SearchMethod.sampling, sampling=SamplingConfig(n=6), n_best=2, mbr=Utility.chrf, **SHORT
)
WAYS = {
    "greedy": SearchConfig(beam_size=1, **SHORT),
    "beam": BEAM,
    "diverse": SearchConfig(beam_size=4, groups=2, n_best=4, **SHORT),
    "samples": SAMPLES,
    "mbr of samples": MBR,
    "mbr of a beam": replace(BEAM, mbr=Utility.bleu),
}


@pytest.fixture
def other(translator: Translator) -> Member:
    """A second model, in float64."""
    settings, size = translator.settings, translator.tokenizers.source.vocab_size
    model = Transformer(
        settings.model, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID
    )
    generator = torch.Generator().manual_seed(8)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data = 0.7 * torch.randn(parameter.shape, generator=generator)
    return Member(model.double().eval(), settings)


def variant(translator: Translator, *members: Member, **others: Any) -> Translator:
    """One with other models or options."""
    return Translator(
        members or translator.members,
        translator.tokenizers,
        translator.device,
        translator.precision,
        **others,
    )


def texts(translator: Translator, lines: Any, config: SearchConfig) -> list[list[str]]:
    return [found.texts for found in translator.translate(lines, config)]


@pytest.mark.parametrize("way", WAYS)
def test_a_line_owes_nothing_to_its_batch_or_window(
    translator: Translator, draw_lines: Draw, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    config, sources = WAYS[way], draw_lines(12)
    expected = texts(translator, sources, config)
    assert len({found[0] for found in expected}) > 4
    assert texts(translator, sources, replace(config, batch_tokens=25)) == expected
    monkeypatch.setattr(module, "WINDOW", 5)
    assert texts(translator, sources, config) == expected
    for number in (3, 10):
        request = Request(source=sources[number])
        (alone,) = translator.translate_together([request], config, first=number)
        assert alone.texts == expected[number]


@pytest.mark.parametrize("config", [SAMPLES, MBR], ids=["samples", "mbr"])
def test_samples_are_drawn_by_seed_and_number_of_the_line(
    translator: Translator, config: SearchConfig
) -> None:
    same = ["abc def"] * 4
    found = texts(translator, same, config)
    assert len({tuple(each) for each in found}) == 4
    seeded = replace(config, sampling=replace(config.sampling, seed=2))
    assert texts(translator, same, seeded) != found
    assert texts(translator, ["f", *same[1:]], config)[1:] == found[1:]


def test_the_parts_of_a_line_draw_samples_of_their_own(translator: Translator) -> None:
    options = Options(max_source_pieces=4)
    split = variant(translator, options=options)
    (found,) = split.translate(["abc abc abc abc"], replace(SAMPLES, n_best=1))
    parts = found.text.split(" ")
    assert len(set(parts)) > 1


def test_samples_go_on_as_they_would_have_come(
    checkpoint: Path, tmp_path: Path, draw_lines: Draw, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "WINDOW", 3)
    (tmp_path / "in").write_text("\n".join(draw_lines(10)) + "\n", encoding="utf-8")
    settings = TranslateSettings(
        checkpoint=str(checkpoint),
        search=SAMPLES,
        output_format=LineFormat.jsonl,
        device="cpu",
        precision=Precision.fp32,
        input=str(tmp_path / "in"),
        output=str(tmp_path / "out"),
    )
    translate_file(settings)
    expected = (tmp_path / "out").read_bytes()
    together = Translator.translate_together

    def stopping(self: Translator, *arguments: Any, first: int = 0, **others: Any) -> object:
        if first >= 6:
            raise KeyboardInterrupt
        return together(self, *arguments, first=first, **others)

    with monkeypatch.context() as patch:
        patch.setattr(Translator, "translate_together", stopping)
        with pytest.raises(KeyboardInterrupt):
            translate_file(replace(settings, output=str(tmp_path / "new")))
    assert (tmp_path / ".new.part").stat().st_size > 0
    translate_file(replace(settings, output=str(tmp_path / "new")))
    assert (tmp_path / "new").read_bytes() == expected


@pytest.mark.parametrize("drawn", [True, False])
def test_mbr_chooses_of_what_is_found_for_the_line(
    translator: Translator, draw_lines: Draw, drawn: bool
) -> None:
    beam = SearchConfig(beam_size=6, max_length=SAMPLES.max_length)
    config = MBR if drawn else replace(beam, n_best=2, mbr=Utility.chrf)
    sources, language = draw_lines(8), translator.settings.data.target
    chosen = list(translator.translate(sources, config))
    all_of_them = replace(SAMPLES if drawn else beam, n_best=6)
    for among, found in zip(translator.translate(sources, all_of_them), chosen, strict=True):
        if among.source.strip():
            expected = choose(among.outputs, Utility.chrf, language, 2, drawn=drawn)
            assert [o.text for o in found.outputs] == [o.text for o in expected]
            assert found.scores == pytest.approx([o.score for o in expected], abs=1e-9)
        else:
            assert (found.texts, found.scores) == ([""], [0.0])


@pytest.mark.parametrize("mean", EnsembleMean)
def test_an_ensemble_of_one_model_twice_is_that_model(
    translator: Translator, draw_lines: Draw, mean: EnsembleMean
) -> None:
    twice = variant(translator, *translator.members, *translator.members)
    twice.ensemble = EnsembleConfig(mean=mean, weights=[1.0, 3.0])
    sources = draw_lines(8)
    assert texts(twice, sources, BEAM) == texts(translator, sources, BEAM)
    for one, two in zip(
        translator.translate(sources, BEAM), twice.translate(sources, BEAM), strict=True
    ):
        assert one.scores == pytest.approx(two.scores, abs=1e-10)


@pytest.mark.parametrize("mean", EnsembleMean)
def test_an_ensemble_differs_from_its_models_but_for_one_without_weight(
    translator: Translator, other: Member, draw_lines: Draw, mean: EnsembleMean
) -> None:
    sources = draw_lines(8)
    (member,) = translator.members
    both = variant(translator, member, other, ensemble=EnsembleConfig(mean=mean))
    alone = [texts(variant(translator, each), sources, BEAM) for each in (member, other)]
    together = texts(both, sources, BEAM)
    assert together not in alone
    for weights, expected in zip(([2.0, 0.0], [0.0, 2.0]), alone, strict=True):
        ensemble = EnsembleConfig(mean=mean, weights=weights)
        found = variant(translator, member, other, ensemble=ensemble)
        assert texts(found, sources, BEAM) == expected


@pytest.mark.parametrize("way", ["beam", "samples", "mbr of samples"])
def test_threads_translate_as_one_does(
    translator: Translator, other: Member, draw_lines: Draw, way: str
) -> None:
    ensemble = variant(translator, *translator.members, other)
    share = [
        [Request(source=text, exclude=["u", "x"], prefix="u" * (n % 2)) for text in draw_lines(9)]
        for n in range(4)
    ]
    expected = [texts(ensemble, each, WAYS[way]) for each in share]
    fresh = variant(translator, *translator.members, other)
    with ThreadPoolExecutor(4) as executor:
        found = list(executor.map(lambda each: texts(fresh, each, WAYS[way]), share))
    assert found == expected


@pytest.mark.parametrize("config", [BEAM, SAMPLES, MBR], ids=["beam", "samples", "mbr"])
def test_what_is_protected_is_in_every_output(translator: Translator, config: SearchConfig) -> None:
    options = Options(max_source_pieces=1000, protect=[Protected.numbers, Protected.urls])
    sources = ["ab 12.5 c 12.5", "www.a.de: 7", "a"]
    for found in variant(translator, options=options).translate(sources, config):
        for text in found.texts:
            assert text.count("12.5") >= found.source.count("12.5")
            assert text.count("www.a.de") >= found.source.count("www.a.de")


def test_a_prefix_may_hold_what_is_protected(translator: Translator) -> None:
    options = Options(max_source_pieces=1000, protect=[Protected.numbers])
    request = Request(source="ab 12.5 c", prefix="12.5 u")
    found = next(variant(translator, options=options).translate([request], BEAM))
    for output in found.outputs:
        assert output.text.startswith("12.5 u")
        assert "12.5" not in "".join(output.tokens)


@pytest.mark.parametrize("way", ["beam", "diverse"])
def test_the_score_of_an_output_is_what_scoring_its_tokens_gives(
    translator: Translator, other: Member, draw_lines: Draw, way: str
) -> None:
    both = variant(translator, *translator.members, other)
    config = WAYS[way]
    scorer = both._scorer(config)
    for found in both.translate([line for line in draw_lines(9) if line.strip()], config):
        (source,) = both.tokenizers.source.encode([found.source])
        for output in found.outputs:
            target = both.tokenizers.target.ids(output.tokens) + [3] * output.finished
            (scored,) = scorer.score_tokens([source], [target], 1000, attend=True)
            assert scored.score(config) == pytest.approx(output.score, abs=1e-10)
