"""Scores, intervals and p-values equal those of sacreBLEU's command line to the last digit."""

import json
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from sacrebleu.tokenizers import tokenizer_ja_mecab, tokenizer_ko_mecab, tokenizer_spm

from transformer.config import (
    BleuConfig,
    ChrfConfig,
    MetricsConfig,
    SignificanceConfig,
    SignificanceTest,
    Smoothing,
    TerConfig,
)
from transformer.metrics import Score, compare, score_corpus, score_sentences, tokenizer

N_LINES = 200
WORDS = {
    "de": [
        *("Die", "die", "Straße", "in", "Köln", "ist", "„sehr“", "lang,", "über", "3,5", "1.000"),
        *("Meter.", "U.S.A.", "(nein)", "E-Mail", "&quot;so&quot;", "&amp;", "it's", "<skipped>"),
        *("50%", "–", "ÄRGER", "http://a.de/b?c=1", "‘ach’", "😀", "e\u0301", "2014-05-01", ";"),
    ],
    "zh": [*"我们在北京的餐厅吃了三碗牛肉面，很好吃。", "2,5", "GPU", " ", "（是）", "\u2028"],
    "ja": [
        *(
            "私",
            "たち",
            "は",
            "東京",
            "で",
            "ラーメン",
            "を",
            "食べ",
            "まし",
            "た",
            "。",
            "3",
            "GPU",
        )
    ],
    "ko": [*("우리", "는 ", "서울", "에서 ", "국수", "를 ", "먹었", "습니다", ". ", "3", "GPU ")],
}
JOINERS = {"de": " ", "zh": "", "ja": "", "ko": ""}
ENDS = ["", "", ".", " .", "!", "  ", "\t", "\u3000"]


@dataclass(frozen=True)
class Text:
    """Three systems and two reference streams; some lines are empty, in one stream or all."""

    systems: dict[str, list[str]]
    references: list[list[str]]


def noisy(line: list[str], rate: float, words: list[str], generator: random.Random) -> list[str]:
    """`line` with words replaced, left out, and moved."""
    line = [generator.choice(words) if generator.random() < rate else word for word in line]
    line = [word for word in line if generator.random() > rate / 3]
    if generator.random() < rate:
        cut = generator.randrange(len(line) + 1)
        line = line[cut:] + line[:cut]
    return line


@cache
def text(language: str, n: int = N_LINES) -> Text:
    generator = random.Random(language)
    words, joiner = WORDS[language], JOINERS[language]
    lines = [generator.choices(words, k=i % 12) for i in range(n)]

    def stream(rate: float) -> list[str]:
        return [
            joiner.join(noisy(line, rate, words, generator)) + generator.choice(ENDS)
            for line in lines
        ]

    systems = {"first": stream(0.25), "second": stream(0.27), "third": stream(0.4)}
    systems["first"][3] = ""
    references = [stream(0.0), stream(0.3)]
    references[1][5] = ""
    return Text(systems, references)


def sacrebleu(
    given: Text, folder: Path, options: list[str], *, systems: list[str], n_references: int = 1
) -> str:
    """What the command prints, of which each number has twelve digits after the point."""
    files = [f"reference{i}" for i in range(n_references)]
    contents = dict(zip(files, given.references, strict=False)) | given.systems
    for name, lines in contents.items():
        joined = "".join(f"{line}\n" for line in lines)
        (folder / name).write_text(joined, encoding="utf-8", newline="")
    command = [sys.executable, "-m", "sacrebleu", *files, "-i", *systems, "-w", "12", "-q", "-nc"]
    done = subprocess.run(
        [*command, *options], cwd=folder, check=True, capture_output=True, encoding="utf-8"
    )
    return done.stdout


Row = tuple[str, float, str, float | None, float | None]


def in_json(output: str) -> list[Row]:
    found = json.loads(output)
    return [
        (
            *(score["name"], score["score"], score["signature"]),
            *(score.get("confidence_mean"), score.get("confidence_var")),
        )
        for score in (found if isinstance(found, list) else [found])
    ]


def digits(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.12f}")


def row(score: Score) -> Row:
    value = float(f"{score.value:.12f}")
    return score.name, value, score.signature, digits(score.mean), digits(score.margin)


@dataclass(frozen=True)
class Case:
    """Settings, and the options of the command that are the same."""

    name: str
    options: str
    bleu: BleuConfig = field(default_factory=BleuConfig)
    chrf: ChrfConfig = field(default_factory=ChrfConfig)
    ter: TerConfig = field(default_factory=TerConfig)
    plus: bool = False  # chrF++ instead of chrF
    language: str = "de"
    n_references: int = 1

    @property
    def config(self) -> MetricsConfig:
        names = ["bleu", "chrf++" if self.plus else "chrf", "ter"]
        return MetricsConfig(names=names, resamples=0, bleu=self.bleu, chrf=self.chrf, ter=self.ter)


# Each case tries an option of each metric, or several, which have nothing to do with each other.
CASES = [
    Case("defaults", ""),
    Case("defaults of two references", "", n_references=2),
    Case(
        "none, lower case",
        "-tok none -lc --chrf-lowercase --ter-case-sensitive",
        BleuConfig(tokenize="none", lowercase=True),
        ChrfConfig(lowercase=True),
        TerConfig(case_sensitive=True),
    ),
    Case(
        "intl, floor",
        "-tok intl -s floor --chrf-char-order 4 --ter-no-punct",
        BleuConfig(tokenize="intl", smooth_method=Smoothing.floor),
        ChrfConfig(char_order=4),
        TerConfig(no_punctuation=True),
    ),
    Case(
        "char, floor of a value",
        "-tok char -s floor -sv 0.25 --chrf-beta 3 --ter-normalized",
        BleuConfig(tokenize="char", smooth_method=Smoothing.floor, smooth_value=0.25),
        ChrfConfig(beta=3),
        TerConfig(normalized=True),
        n_references=2,
    ),
    Case(
        "13a, add-k, white space, all of ter",
        "-tok 13a -s add-k --chrf-whitespace --ter-asian-support --ter-no-punct --ter-normalized",
        BleuConfig(tokenize="13a", smooth_method=Smoothing.add_k),
        ChrfConfig(whitespace=True),
        TerConfig(asian_support=True, no_punctuation=True, normalized=True),
        n_references=2,
    ),
    Case(
        "add-k of a value, epsilon",
        "-s add-k -sv 2.5 --chrf-eps-smoothing",
        BleuConfig(smooth_method=Smoothing.add_k, smooth_value=2.5),
        ChrfConfig(epsilon_smoothing=True),
    ),
    Case(
        "no smoothing, chrf++",
        "-s none --chrf-word-order 2",
        BleuConfig(smooth_method=Smoothing.none),
        plus=True,
        n_references=2,
    ),
    Case(
        "chrf++ with options",
        "-lc --chrf-word-order 2 --chrf-char-order 5 --chrf-lowercase --chrf-beta 1",
        BleuConfig(lowercase=True),
        ChrfConfig(char_order=5, lowercase=True, beta=1),
        plus=True,
    ),
    Case("chinese", "-tok zh --ter-normalized --ter-asian-support", language="zh"),
    Case(
        "chinese, other than its defaults",
        "-tok char --chrf-word-order 2 --ter-no-punct --ter-asian-support",
        BleuConfig(tokenize="char"),
        ter=TerConfig(normalized=False, no_punctuation=True),
        plus=True,
        language="zh",
        n_references=2,
    ),
    Case("japanese", "-tok ja-mecab --ter-normalized --ter-asian-support", language="ja"),
    Case("korean", "-tok ko-mecab", language="ko", n_references=2),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_scores_and_signatures_are_the_commands(case: Case, tmp_path: Path) -> None:
    for language, module in (("ja", tokenizer_ja_mecab), ("ko", tokenizer_ko_mecab)):
        if case.language == language and module.MeCab is None:
            pytest.skip(f"the extra {language} is not installed")
    given = text(case.language)
    references = given.references[: case.n_references]
    scores = score_corpus(given.systems["first"], references, case.language, case.config)
    assert all(2 < score.value < 98 for score in scores)
    options = ["-m", "bleu", "chrf", "ter", *case.options.split()]
    output = sacrebleu(given, tmp_path, options, systems=["first"], n_references=case.n_references)
    assert [row(score) for score in scores] == in_json(output)


@pytest.mark.parametrize(
    ("method", "value"),
    [
        *((method, None) for method in Smoothing),
        *((method, 0.5) for method in (Smoothing.floor, Smoothing.add_k)),
    ],
)
def test_orders_without_matches_are_smoothed_as_by_the_command(
    method: Smoothing, value: float | None, tmp_path: Path
) -> None:
    given = Text({"first": ["a b c d x", "e f g"]}, [["a b y c d", "f e g h"]])
    config = MetricsConfig(
        names=["bleu"],
        resamples=0,
        bleu=BleuConfig(smooth_method=method, smooth_value=value),
    )
    options = ["-s", method.value] + ([] if value is None else ["-sv", str(value)])
    output = sacrebleu(given, tmp_path, options, systems=["first"])
    scores = score_corpus(given.systems["first"], given.references, "en", config)
    assert [row(score) for score in scores] == in_json(output)


def test_a_sentencepiece_tokenizer_is_read_from_sacrebleus_own_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = text("de")
    for name in ("flores101", "flores200"):
        file = tmp_path / "models" / Path(tokenizer_spm.SPM_MODELS[name]["url"]).name
        file.parent.mkdir(exist_ok=True)
        with file.open("wb") as model:
            sentencepiece.SentencePieceTrainer.train(
                sentence_iterator=iter(given.references[0]),
                model_writer=model,
                model_type="char" if name == "flores200" else "unigram",
                vocab_size=200,
                hard_vocab_limit=False,
                character_coverage=1.0,
                minloglevel=2,
            )
    monkeypatch.setenv("SACREBLEU", str(tmp_path))
    for module in (tokenizer, tokenizer_spm):
        monkeypatch.setattr(module, "SACREBLEU_DIR", str(tmp_path))
    found = []
    for name in ("flores101", "flores200"):
        config = MetricsConfig(names=["bleu"], resamples=0, bleu=BleuConfig(tokenize=name))
        scores = score_corpus(given.systems["first"], given.references[:1], "de", config)
        output = sacrebleu(given, tmp_path, ["-tok", name], systems=["first"])
        assert [row(score) for score in scores] == in_json(output)
        found.append(scores[0].value)
    assert found[0] != found[1]


@pytest.mark.parametrize(
    ("language", "options", "plus"),
    [("de", "--chrf-word-order 2", True), ("zh", "-tok zh --ter-normalized --ter-asian", False)],
)
def test_intervals_are_the_commands(
    language: str, options: str, plus: bool, tmp_path: Path
) -> None:
    given = text(language)
    config = MetricsConfig(names=["bleu", "chrf++" if plus else "chrf", "ter"], resamples=150)
    scores = score_corpus(given.systems["first"], given.references, language, config)
    options = f"-m bleu chrf ter --confidence --confidence-n 150 {options}"
    output = sacrebleu(given, tmp_path, options.split(), systems=["first"], n_references=2)
    assert [row(score) for score in scores] == in_json(output)
    assert all(score.mean is not None and score.mean != score.value for score in scores)


def test_the_seed_is_that_of_sacrebleus_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = text("de", 20)
    monkeypatch.setenv("SACREBLEU_SEED", "7")
    options = ["--confidence", "--confidence-n", "50"]
    output = sacrebleu(given, tmp_path, options, systems=["first"])
    monkeypatch.setenv("SACREBLEU_SEED", "8")
    config = MetricsConfig(names=["bleu"], resamples=50, seed=7)
    scores = score_corpus(given.systems["first"], given.references[:1], "de", config)
    assert [row(score) for score in scores] == in_json(output)
    assert os.environ["SACREBLEU_SEED"] == "8"


@pytest.mark.parametrize(
    ("name", "options", "n_references"),
    [
        ("bleu", "-m bleu", 2),
        ("chrf", "-m chrf", 1),
        ("chrf++", "-m chrf --chrf-word-order 2", 2),
        ("ter", "-m ter", 2),
    ],
)
def test_scores_of_sentences_are_the_commands(
    name: str, options: str, n_references: int, tmp_path: Path
) -> None:
    given = text("de", 40)
    references = given.references[:n_references]
    output = sacrebleu(
        given, tmp_path, ["-sl", *options.split()], systems=["first"], n_references=n_references
    )
    lines = [re.fullmatch(r"(\S+?)\|(\S+) = (\S+).*", line) for line in output.splitlines()]
    theirs = [(line[1], float(line[3]), line[2]) for line in lines if line]
    scores = score_sentences(name, given.systems["first"], references, "de", MetricsConfig())
    assert [digits(score) for score in scores] == [value for _, value, _ in theirs]
    # A corpus of one sentence is that sentence.
    config = MetricsConfig(names=[name], resamples=0, bleu=BleuConfig(effective_order=True))
    for i in range(5, 9):
        streams = [[stream[i]] for stream in references]
        (score,) = score_corpus([given.systems["first"][i]], streams, "de", config)
        assert row(score)[:3] == theirs[i]


METRICS_OF_LANGUAGES = {
    "de": ("", MetricsConfig(names=["bleu", "chrf", "ter"], resamples=0)),
    "zh": (
        "-tok zh --chrf-word-order 2 --ter-normalized --ter-asian-support",
        MetricsConfig(names=["bleu", "chrf++", "ter"], resamples=0),
    ),
}


def compared(
    given: Text, language: str, config: MetricsConfig, significance: SignificanceConfig
) -> dict[str, list[Any]]:
    """Of each system a list over metrics; `second` is the baseline."""
    references = given.references[: 1 if language == "de" else 2]
    found = compare(given.systems, "second", references, language, config, significance)
    assert list(found) == list(given.systems)
    return dict(found)


@pytest.mark.parametrize("language", METRICS_OF_LANGUAGES)
def test_the_paired_bootstrap_is_the_commands(language: str, tmp_path: Path) -> None:
    given = text(language)
    options, config = METRICS_OF_LANGUAGES[language]
    order = ["second", "first", "third"]
    # In JSON, sacreBLEU 2.6 with NumPy 2 fails to write the means.
    output = sacrebleu(
        given,
        tmp_path,
        f"-m bleu chrf ter --paired-bs --paired-bs-n 199 -f latex {options}".split(),
        systems=order,
        n_references=1 if language == "de" else 2,
    )
    cell = re.compile(r"([\d.]+) \(([\d.]+) ± ([\d.]+)\)(?: \(p = ([\d.]+)\))?")
    rows = [cell.findall(line) for line in output.splitlines()]
    theirs = dict(zip(order, [row for row in rows if row], strict=True))
    test = SignificanceConfig(test=SignificanceTest.bootstrap, samples=199)
    for system, each in compared(given, language, config, test).items():
        ours = []
        for paired in each:
            numbers = (paired.score.value, paired.score.mean, paired.score.margin)
            # 200 divides 10,000, so that four digits are all there are.
            p = f"{paired.p['bootstrap']:.4f}" if paired.p else ""
            ours.append((*(f"{number:.12f}" for number in numbers), p))
            assert f" - {paired.score.name:<10} {paired.score.signature}" in output
        assert ours == theirs[system]


@pytest.mark.parametrize("language", METRICS_OF_LANGUAGES)
def test_the_paired_randomisation_is_the_commands(language: str, tmp_path: Path) -> None:
    given = text(language)
    options, config = METRICS_OF_LANGUAGES[language]
    order = ["second", "first", "third"]
    output = sacrebleu(
        given,
        tmp_path,
        f"-m bleu chrf ter --paired-ar --paired-ar-n 300 {options}".split(),
        systems=order,
        n_references=1 if language == "de" else 2,
    )
    theirs = dict(zip(order, json.loads(output), strict=True))
    test = SignificanceConfig(test=SignificanceTest.randomisation, samples=300)
    found = compared(given, language, config, test)
    for system, each in found.items():
        for paired in each:
            assert theirs[system][paired.score.name] == {
                "score": paired.score.value,
                "p_value": paired.p.get("randomisation"),
                "mean": paired.score.mean,
                "ci": paired.score.margin,
            }
    assert {len(paired.p) for paired in found["second"]} == {0}
    values = [paired.p["randomisation"] for paired in found["first"] + found["third"]]
    assert min(values) < 0.05 < max(values)


def test_the_number_of_samples_and_the_seed_are_sacrebleus_by_default(tmp_path: Path) -> None:
    given = text("de", 10)
    config = MetricsConfig(names=["ter"])
    test = SignificanceConfig(test=SignificanceTest.both)
    found = compare(given.systems, "first", given.references[:1], "de", config, test)
    output = sacrebleu(
        given,
        tmp_path,
        ["-m", "ter", "--paired-ar", "-f", "latex"],
        systems=["first", "second"],
    )
    (theirs,) = re.findall(r"TER +(nrefs:\S+)", output)
    ours = found["second"][0].score.signature
    assert ours.replace("bs:1000|", "") == theirs
    assert f"(p = {found['second'][0].p['randomisation']:.4f})" in output
