"""Properties of the comparison of systems."""

import math
import os
import random
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

import pytest

from transformer.config import CometConfig, MetricsConfig, SignificanceConfig, SignificanceTest
from transformer.errors import InputError
from transformer.metrics import Paired, compare, score_corpus

CONFIG = MetricsConfig(names=["bleu", "chrf++", "ter"], resamples=30)
BOTH = SignificanceConfig(test=SignificanceTest.both, samples=99)


def systems_of(n: int = 40) -> tuple[dict[str, list[str]], list[list[str]]]:
    """Systems, of which `near` is like `base` and `far` worse, and two references of each line."""
    generator = random.Random(5)
    words = ["the", "old", "dog", "sees", "a", "red", "house,", "3.5", "times"]

    def noisy(line: list[str], rate: float) -> str:
        return " ".join(
            generator.choice(words) if generator.random() < rate else word for word in line
        )

    lines = [generator.choices(words, k=generator.randint(4, 12)) for _ in range(n)]
    rates = {"near": 0.2, "base": 0.2, "far": 0.6}
    systems = {name: [noisy(line, rate) for line in lines] for name, rate in rates.items()}
    return systems, [[noisy(line, 0.1) for line in lines] for _ in range(2)]


def compared(test: SignificanceTest, samples: int = 99) -> dict[str, list[Paired]]:
    systems, references = systems_of()
    significance = SignificanceConfig(test=test, samples=samples)
    return compare(systems, "base", references, "en", CONFIG, significance)


def test_systems_stay_in_their_order_and_the_baseline_has_no_p() -> None:
    for test in SignificanceTest:
        found = compared(test)
        assert list(found) == ["near", "base", "far"]
        assert [[p.score.name for p in each] for each in found.values()] == [
            ["BLEU", "chrF2++", "TER"]
        ] * 3
        assert all(paired.p == {} for paired in found["base"])


def test_a_far_system_is_told_from_the_baseline_and_a_near_one_is_not() -> None:
    found = compared(SignificanceTest.both)
    for far, near in zip(found["far"], found["near"], strict=True):
        assert set(far.p) == set(near.p) == {"bootstrap", "randomisation"}
        assert max(far.p.values()) < 0.05 < min(near.p.values())
        assert max(near.p.values()) <= 1


def test_both_tests_are_each_test() -> None:
    both = compared(SignificanceTest.both)
    bootstrap = compared(SignificanceTest.bootstrap)
    randomisation = compared(SignificanceTest.randomisation)
    for system, each in both.items():
        for i, paired in enumerate(each):
            one, other = bootstrap[system][i], randomisation[system][i]
            assert paired.p == {**one.p, **other.p}
            assert (paired.score.mean, paired.score.margin) == (one.score.mean, one.score.margin)
            assert paired.score.value == one.score.value == other.score.value
            assert "|bs:99|ar:99|seed:12345|" in paired.score.signature
            assert "|bs:99|seed:12345|" in one.score.signature


def test_without_the_bootstrap_scores_are_those_of_each_system_alone() -> None:
    systems, references = systems_of()
    untested = compared(SignificanceTest.none)
    tested = compared(SignificanceTest.randomisation)
    for system, lines in systems.items():
        scores = score_corpus(lines, references, "en", CONFIG)
        assert untested[system] == [Paired(score) for score in scores]
        for paired, score in zip(tested[system], scores, strict=True):
            assert (paired.score.value, paired.score.mean) == (score.value, score.mean)
            assert paired.score.margin == score.margin
            assert "|bs:30|ar:99|seed:12345|" in paired.score.signature


def test_a_system_does_not_depend_on_the_others() -> None:
    systems, references = systems_of()
    expected = compared(SignificanceTest.both)
    for names in (["far", "near", "base"], ["base", "far"], ["near", "base"]):
        some = {name: systems[name] for name in names}
        found = compare(some, "base", references, "en", CONFIG, BOTH)
        assert found == {name: expected[name] for name in names}
        assert list(found) == names


def test_p_is_alike_from_either_side() -> None:
    systems, references = systems_of()
    other_way = compare(systems, "far", references, "en", CONFIG, BOTH)
    for one, other in zip(compared(SignificanceTest.both)["far"], other_way["base"], strict=True):
        assert one.p == other.p


@pytest.mark.parametrize("seed", [0, 7])
def test_the_seed_decides_the_samples(seed: int) -> None:
    systems, references = systems_of()

    def found(seed: int) -> dict[str, list[Paired]]:
        config = MetricsConfig(names=["chrf"], seed=seed)
        return compare(systems, "base", references, "en", config, BOTH)

    assert found(seed) == found(seed)
    assert f"|seed:{seed}|" in found(seed)["near"][0].score.signature
    assert found(seed)["near"][0].score.mean != found(12345)["near"][0].score.mean
    assert found(seed)["near"][0].p != found(12345)["near"][0].p


def test_equal_systems_have_sacrebleus_least_p() -> None:
    systems, references = systems_of()
    pair = {"base": systems["base"], "copy": systems["base"]}
    for base, copy in zip(
        *compare(pair, "base", references, "en", CONFIG, BOTH).values(), strict=True
    ):
        assert copy.score == base.score
        assert copy.p == {"bootstrap": 0.01, "randomisation": 0.01}


@pytest.mark.parametrize(
    ("hypothesis", "other", "reference"),
    [("", "", ""), ("", "a b", "a b c d e"), ("a b c d e", "a b c d f", "a b c d e")],
)
@pytest.mark.parametrize("samples", [1, 50])
def test_one_line_and_empty_ones_are_compared_without_a_crash(
    hypothesis: str, other: str, reference: str, samples: int
) -> None:
    significance = SignificanceConfig(test=SignificanceTest.both, samples=samples)
    systems = {"one": [hypothesis], "two": [other]}
    for each in compare(systems, "one", [[reference]], "en", CONFIG, significance).values():
        for paired in each:
            numbers = [paired.score.value, paired.score.mean, paired.score.margin]
            assert all(number is not None and math.isfinite(number) for number in numbers)
            assert all(0 < p <= 1 for p in paired.p.values())


def test_a_baseline_alone_is_only_scored() -> None:
    systems, references = systems_of()
    found = compare({"base": systems["base"]}, "base", references, "en", CONFIG, BOTH)
    assert found == {"base": compared(SignificanceTest.both)["base"]}


def test_the_environment_is_left_as_it_was() -> None:
    before = dict(os.environ)
    compared(SignificanceTest.both, samples=2)
    assert dict(os.environ) == before


def test_what_cannot_be_compared_is_refused() -> None:
    systems, references = systems_of()
    with pytest.raises(InputError, match="baseline=other is none of the systems, which are near,"):
        compare(systems, "other", references, "en", CONFIG, BOTH)
    systems["far"].pop()
    with pytest.raises(InputError, match="far: 39 translations but 40 lines in reference 1 of 2"):
        compare(systems, "base", references, "en", CONFIG, BOTH)


@contextmanager
def counted_comet(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sequence[str]]]:
    """A COMET whose score of a line is the share of the source that it is as long as."""
    read: list[Sequence[str]] = []

    def comet_scores(
        sources: Sequence[str],
        hypotheses: Sequence[str],
        references: Sequence[str],
        config: CometConfig,
    ) -> list[float]:
        read.append(hypotheses)
        return [len(h) / len(s) for h, s in zip(hypotheses, sources, strict=True)]

    module = ModuleType("transformer.metrics.comet")
    vars(module).update(comet_scores=comet_scores, comet_signature=lambda _: "model:fake")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    yield read


def test_comet_is_tested_as_others_and_reads_each_system_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    generator = random.Random(2)
    sources = ["x" * 20] * 50
    lines = {
        "base": ["x" * generator.randint(8, 12) for _ in sources],
        "near": ["x" * generator.randint(8, 12) for _ in sources],
        "far": ["x" * generator.randint(10, 14) for _ in sources],
    }
    config = MetricsConfig(names=["comet"], comet=CometConfig(model="fake"))
    with counted_comet(monkeypatch) as read:
        found = compare(lines, "base", [sources], "en", config, BOTH, sources)
        assert len(read) == 3
    for system, (paired,) in found.items():
        mean = sum(map(len, lines[system])) / 20 / 50
        assert paired.score.value == pytest.approx(mean)
        assert paired.score.mean == pytest.approx(mean, abs=0.02)
        assert paired.score.signature == "nrefs:1|bs:99|ar:99|seed:12345|model:fake"
    assert found["far"][0].p == {"bootstrap": 0.01, "randomisation": 0.01}
    assert min(found["near"][0].p.values()) > 0.05
    with pytest.raises(InputError, match="needs the sources"):
        compare(lines, "base", [sources], "en", config, BOTH)
