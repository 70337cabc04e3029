"""Properties of the scores of a corpus."""

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from transformer.errors import InputError
from transformer.metrics import Score, bleu, score_corpus

ENGLISH = ["the", "a", "red", "old", "dog", "cat", "house", "sees,", "buys", "it's", "e-mail"]
ENGLISH += [";", "3.5", "1,000", "U.S.", "(no)", "“so”"]
CHINESE = [*"我们在北京的餐厅吃了三碗牛肉面，很好吃。", "2,5", "GPU", " ", "\u2028", "。）"]
ENDS = ["", ".", " .", "!", "  ", "\t", "\x0b"]


def noisy_lines(words: list[str], joiner: str) -> tuple[list[str], list[str]]:
    """References, and hypotheses that differ from them in places; some lines are blank."""
    generator = random.Random(3)
    hypotheses, references = [], []
    for n in range(60):
        reference = generator.choices(words, k=n % 15)
        hypothesis = [
            word if generator.random() < 0.8 else generator.choice(words) for word in reference
        ]
        if n % 7 == 0:
            generator.shuffle(hypothesis)
        references.append(joiner.join(reference) + generator.choice(ENDS))
        hypotheses.append(joiner.join(hypothesis) + generator.choice(ENDS))
    return hypotheses, references


def sacrebleu_command(
    hypotheses: list[str], references: list[str], folder: Path, *options: str
) -> list[tuple[str, float, str]]:
    for name, lines in (("hypotheses", hypotheses), ("references", references)):
        text = "".join(f"{line}\n" for line in lines)
        (folder / name).write_text(text, encoding="utf-8", newline="")
    command = [sys.executable, "-m", "sacrebleu", "references", "-i", "hypotheses"]
    command += ["-m", "bleu", "chrf", "ter", "-w", "12", *options]
    output = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    return [(score["name"], score["score"], score["signature"]) for score in json.loads(output)]


def rounded(scores: list[Score]) -> list[tuple[str, float, str]]:
    return [(score.name, round(score.value, 12), score.signature) for score in scores]


@pytest.mark.parametrize(
    ("language", "words", "joiner", "options"),
    [
        ("de", ENGLISH, " ", []),
        ("zh-CN", CHINESE, "", ["-tok", "zh", "--ter-normalized", "--ter-asian-support"]),
    ],
)
def test_scores_equal_those_of_sacrebleus_command(
    language: str, words: list[str], joiner: str, options: list[str], tmp_path: Path
) -> None:
    hypotheses, references = noisy_lines(words, joiner)
    scores = score_corpus(hypotheses, references, language)
    assert all(5 < score.value < 95 for score in scores)
    assert rounded(scores) == sacrebleu_command(hypotheses, references, tmp_path, *options)


def test_bleu_alone_is_the_first_of_all_scores() -> None:
    for language, words, joiner in (("en", ENGLISH, " "), ("zh", CHINESE, "")):
        hypotheses, references = noisy_lines(words, joiner)
        assert (
            bleu(hypotheses, references, language)
            == score_corpus(hypotheses, references, language)[0]
        )


def test_equal_lines_score_best() -> None:
    lines = ["the old dog sees a red house .", "it buys 3.5 cats ."]
    assert [score.value for score in score_corpus(lines, lines, "en")] == pytest.approx(
        [100, 100, 0]
    )


def test_chinese_edits_are_counted_in_characters() -> None:
    ter = score_corpus(["我们在南京"], ["我们在北京"], "zh")[2]
    assert ter.value == pytest.approx(20)


def test_blank_translations_score_zero() -> None:
    assert bleu(["", ""], ["a b c d", "e f g h"], "en").value == 0


def test_unequal_counts_are_refused_with_both_named() -> None:
    with pytest.raises(InputError, match="2 translations but 3 references"):
        bleu(["a", "b"], ["a", "b", "c"], "en")
    with pytest.raises(InputError, match="0 translations but 1 references"):
        score_corpus([], ["a"], "en")


def test_nothing_to_score_is_refused() -> None:
    with pytest.raises(InputError, match="no line"):
        score_corpus([], [], "en")
