"""The table of the ways to search."""

import sys
from pathlib import Path

import compare_search
import pytest
import torch

from tests.scripts.test_decoding_checkpoint import LINES, make_model, save
from transformer.config import TokenizerConfig
from transformer.metrics import bleu, chrf
from transformer.text.tokenizer import train_tokenizers

V = 276


def table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    monkeypatch.setattr(sys, "argv", ["compare_search.py", *words])
    compare_search.main()
    return capsys.readouterr().out


def test_each_way_has_a_row_and_an_oracle_is_no_worse_than_the_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizers = train_tokenizers([(x, x) for x in LINES], TokenizerConfig(vocab_size=V))
    checkpoints = []
    for name in "ab":
        save(make_model(), tokenizers, tmp_path / name)
        checkpoints.append(str(tmp_path / name / "checkpoint"))
    (tmp_path / "text").write_text("\n".join(LINES), encoding="utf-8")
    monkeypatch.setattr(
        compare_search,
        "WAYS",
        [
            (name, settings | {"max_length": 8}, many)
            for name, settings, many in compare_search.WAYS
        ],
    )
    files = ["--source", str(tmp_path / "text"), "--reference", str(tmp_path / "text")]
    few = ["--sentences", "3", "--threads", str(torch.get_num_threads())]
    text = table(monkeypatch, capsys, "--checkpoint", *checkpoints, *files, *few)
    rows = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()]
    found = {row[1]: row[2:-1] for row in rows if len(row) > 2}
    assert {name for name, _, _ in compare_search.WAYS} < {*found}
    assert found["beam 5"][5] == "0.0 %"
    for name, (_, value, _, best, n, *_) in found.items():
        if n.isdigit():
            assert float(best) >= float(value), name
    alone = table(
        monkeypatch, capsys, "--checkpoint", checkpoints[0], *files, *few, "--only", "greedy"
    )
    assert alone.count("\n| ") == 1
    assert "ensemble" not in alone


def test_the_oracle_is_the_output_that_is_most_like_the_reference() -> None:
    texts = ["a dog", "the cat sees", "the cat"]
    assert compare_search.oracle(texts, "the cat sees me") == "the cat sees"
    judged = compare_search.judged(texts, texts, "en")
    assert [each.value for each in judged] == [
        bleu(texts, texts, "en").value,
        chrf(texts, texts).value,
    ]
