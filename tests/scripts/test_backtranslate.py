"""Monolingual text becomes a corpus."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import backtranslate
import pytest
from measuring import run

from tests.scripts.test_decoding_checkpoint import LINES, make_model, save
from transformer.config import FilesConfig, TokenizerConfig, TranslateSettings
from transformer.text.files import read_pairs
from transformer.text.tokenizer import Tokenizers, train_tokenizers
from transformer.translation import lines, translate_file
from transformer.translation.resume import Part

V = 276
TEXT = [*LINES, " ", "the tree", "", *LINES[::-1], "a" * 80]
Run = Callable[..., Path]


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    return train_tokenizers([(x, x) for x in LINES], TokenizerConfig(vocab_size=V))


@pytest.fixture
def call(tmp_path: Path, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the script on TEXT, with a model that translates en into de; gives the output's stem."""
    save(make_model(), tokenizers, tmp_path / "run")
    (tmp_path / "mono.en").write_text("".join(f"{line}\n" for line in TEXT), encoding="utf-8")
    monkeypatch.setattr(lines, "WINDOW", 3)

    def called(*words: str, **changes: str) -> Path:
        values = {
            "checkpoint": str(tmp_path / "run" / "checkpoint"),
            "input": str(tmp_path / "mono.en"),
            "output": str(tmp_path / "made" / "synthetic"),
            "source": "de",
            "target": "en",
            "device": "cpu",
            "max_ratio": "40",
            **changes,
        }
        options = [f"--{key.replace('_', '-')}={value}" for key, value in values.items()]
        monkeypatch.setattr(sys, "argv", ["backtranslate.py", *options, *words])
        run(backtranslate.main)
        return Path(values["output"])

    return called


def pairs(stem: Path) -> list[tuple[str, str]]:
    return list(read_pairs(Path(f"{stem}.de"), Path(f"{stem}.en")))


def test_every_line_has_its_translation_or_is_counted(
    call: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    stem = call()
    raw = Path(f"{stem}.de.raw").read_text(encoding="utf-8").splitlines()
    assert len(raw) == len(TEXT)
    whole = [(a, b) for a, b in zip(raw, TEXT, strict=True) if a.strip() and b.strip()]
    found = pairs(stem)
    assert set(found) <= set(whole)
    assert [b for _, b in found] == [b for b in TEXT if b in {kept for _, kept in found}]
    told = capsys.readouterr()
    assert told.err.splitlines()[-1] == (
        f"{len(TEXT)} lines: {len(found)} pairs written, {len(TEXT) - len(whole)} with a blank "
        f"side left out, {len(whole) - len(found)} with sides more uneven than --max-ratio=40"
    )
    assert told.out == f"'data.train=[DIR/train,{{path: {stem}, tag: bt}}]'\n"
    setting = [{"path": str(stem), "tag": "bt"}]
    FilesConfig(source="de", target="en", train=setting, valid=str(stem))


def test_uneven_and_blank_pairs_are_left_out(tokenizers: Tokenizers) -> None:
    counts = backtranslate.Counts()
    made = [("a tree", "a tree"), (" ", "a"), ("a", ""), ("the tree " * 9, "a"), ("a", "dog " * 9)]
    assert list(backtranslate.kept(made, tokenizers, 3.0, counts)) == made[:1]
    assert counts == backtranslate.Counts(kept=1, blank=2, uneven=2)
    assert len(list(backtranslate.kept(made, tokenizers, 100.0, counts))) == 3


def test_an_interrupted_command_goes_on_and_a_whole_one_translates_nothing_again(
    call: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    expected = pairs(call(output=str(tmp_path / "whole")))
    write = Part.write
    written: list[int] = []

    def counted(part: Part, text: str, window: Any) -> None:
        if len(written) == 2:
            written.append(-1)
            raise KeyboardInterrupt
        write(part, text, window)
        written.append(window.first)

    monkeypatch.setattr(Part, "write", counted)
    with pytest.raises(KeyboardInterrupt):
        call()
    assert not (tmp_path / "made" / "synthetic.de").exists()
    stem = call()
    assert written == [0, 3, -1, 6, 9]
    assert pairs(stem) == expected
    monkeypatch.setattr(Part, "write", None)
    assert len(pairs(call(max_ratio="1000"))) >= len(expected)
    (tmp_path / "mono.en").write_text("other text\n", encoding="utf-8")
    with pytest.raises(TypeError):
        call()


def test_translations_of_other_settings_are_not_taken_for_these(
    call: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = pairs(call())

    def killed(settings: TranslateSettings) -> None:
        translate_file(settings)
        raise KeyboardInterrupt

    monkeypatch.setattr(backtranslate, "translate_file", killed)
    with pytest.raises(KeyboardInterrupt):
        call("--search=sampling")
    monkeypatch.setattr(backtranslate, "translate_file", translate_file)
    assert pairs(call()) == expected


def test_a_sampled_corpus_depends_on_its_seed_alone(call: Run, tmp_path: Path) -> None:
    made = [
        pairs(call("--search=sampling", f"--seed={seed}", output=str(tmp_path / name)))
        for name, seed in (("a", 1), ("b", 2), ("c", 1))
    ]
    assert made[0] == made[2]
    assert made[0] != made[1]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"source": "en", "target": "de"}, "translates en into de; .* needs a model from de"),
        ({"source": "en"}, "are one language"),
        ({"tag": "b t"}, "tag=b t of .* must consist of letters"),
        ({"max_ratio": "0.5"}, "--max-ratio=0.5 must be at least 1"),
        ({"max_ratio": "nan"}, "--max-ratio=nan must be at least 1"),
        ({"search": "best"}, "search.method=best must be one of beam, sampling"),
        ({"seed": "2"}, "--seed=2 goes with --search sampling"),
        ({"seed": "-2", "search": "sampling"}, r"seed=-2 must lie in"),
        ({"input": "no/such"}, "--input=no/such is no file"),
        ({"checkpoint": "no/such"}, "--checkpoint=no/such does not exist"),
        ({"output": "mono"}, "--output=.*mono would replace --input"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    call: Run, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    if "output" in changes:
        changes = {"output": str(tmp_path / "mono")}
    with pytest.raises(SystemExit, match=message) as caught:
        call(**changes)
    assert "\n" not in str(caught.value)


def test_text_of_which_nothing_is_left_makes_no_corpus(call: Run, tmp_path: Path) -> None:
    (tmp_path / "mono.en").write_text(" \n\n", encoding="utf-8")
    with pytest.raises(SystemExit, match="is left: 2 have a blank side"):
        call()
    assert not (tmp_path / "made" / "synthetic.en").exists()


def test_a_path_that_an_override_cannot_hold_is_quoted() -> None:
    assert backtranslate.shown(Path("a b/c,d")) == '"a b/c,d"'
