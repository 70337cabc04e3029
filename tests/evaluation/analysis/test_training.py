"""The training text: its words, and test sentences that occur in it."""

import io
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from transformer.config import CorpusFormat, FilesConfig, Leaks, LeakSide, PhrasebookConfig
from transformer.evaluation.analysis import TrainingText, training_text
from transformer.evaluation.analysis import training as module

Pairs = list[tuple[str, str]]
TRAIN: Pairs = [
    ("The old man sleeps.", "Der alte Mann schläft."),
    ("The man eats.", "Der Mann isst."),
    ("A dog!", "Ein Hund!"),
]


def write(stem: Path, pairs: Pairs, languages: tuple[str, str] = ("en", "de")) -> str:
    for column, language in enumerate(languages):
        text = "".join(pair[column] + "\n" for pair in pairs)
        Path(f"{stem}.{language}").write_text(text, encoding="utf-8")
    return str(stem)


@pytest.fixture
def data(tmp_path: Path) -> FilesConfig:
    """Three training pairs."""
    return files(tmp_path)


def files(folder: Path, **changes: Any) -> FilesConfig:
    stems = {
        "train": write(folder / "train", TRAIN),
        "valid": write(folder / "valid", [("A cat.", "Eine Katze.")]),
    }
    return FilesConfig(source="en", target="de", **(stems | changes))


def test_source_words_are_counted_without_case_and_punctuation(data: FilesConfig) -> None:
    text = TrainingText.read(data, [])
    expected = {"the": 2, "man": 2, "old": 1, "sleeps": 1, "eats": 1, "a": 1, "dog": 1}
    assert text.counts == Counter(expected)
    assert (text.n_lines, text.n_total, text.note) == (3, 3, None)


def test_test_texts_are_found_on_their_own_side_only(data: FilesConfig) -> None:
    sources = ["the MAN eats", "Ein Hund", "", "A bird."]
    references = [["Der Mann schläft.", "ein hund", "", "A dog"], ["Der Mann isst!", "", "", ""]]
    text = TrainingText.read(data, [(sources, references), (None, [["nothing"]])])
    assert text.source_rows(sources) == [0]
    assert text.reference_rows(references[0]) == [1]
    assert text.reference_rows(references[1]) == [0]


def test_at_most_so_many_lines_are_read_and_it_says_of_how_many(
    data: FilesConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RUN", 1)
    text, note = training_text(data, [], max_lines=2)
    assert text is not None
    assert text.n_lines == 2
    assert note is not None
    assert "2 pairs of " in note
    assert "dog" not in text.counts
    whole, note = training_text(data, [], max_lines=3)
    assert whole is not None
    assert (whole.n_total, note) == (3, None)


def test_a_run_longer_than_what_is_left_is_cut(data: FilesConfig) -> None:
    text = TrainingText.read(data, [], max_lines=2)
    assert text.n_lines == 2
    assert text.counts["man"] == 2
    assert "dog" not in text.counts


def test_each_corpus_has_its_share_of_what_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_RUN", 1)
    other = write(tmp_path / "other", [("yes", "ja"), ("no", "nein"), ("perhaps", "vielleicht")])
    data = files(tmp_path, train=[str(tmp_path / "train"), other])
    counts = TrainingText.read(data, [], max_lines=2).counts
    assert counts["old"] == 1
    assert counts["yes"] == 1


def test_only_corpora_of_the_direction_count(tmp_path: Path) -> None:
    chinese = write(tmp_path / "zh", [("two cats", "两只猫")], ("en", "zh"))
    train = [{"path": str(tmp_path / "train")}, {"path": chinese, "target": "zh"}]
    data = files(tmp_path, train=train)
    assert "cats" not in TrainingText.read(data, [], direction=("en", "de")).counts
    assert set(TrainingText.read(data, [], direction=("en", "zh-CN")).counts) == {"two", "cats"}
    assert TrainingText.read(data, []).n_lines == 4
    text, note = training_text(data, [], direction=("en", "fr"))
    assert text is None
    assert "en-fr" in str(note)


@pytest.mark.parametrize(
    ("side", "seen"),
    [(LeakSide.either, False), (LeakSide.source, True), (LeakSide.both, True)],
)
def test_pairs_that_were_dropped_for_leaks_are_not_seen(
    tmp_path: Path, side: LeakSide, seen: bool
) -> None:
    test = [("Something else.", "Der Mann isst.")]
    stem = write(tmp_path / "test", test)
    data = files(tmp_path, test=stem, leaks=Leaks.remove, leaks_side=side)
    text = TrainingText.read(data, [([test[0][0]], [[test[0][1]]])])
    assert bool(text.reference_rows([test[0][1]])) == seen
    assert ("eats" in text.counts) == seen
    kept = files(tmp_path, test=stem, leaks=Leaks.warn, leaks_side=side)
    assert TrainingText.read(kept, [(None, [[test[0][1]]])]).reference_rows([test[0][1]]) == [0]


def test_text_that_is_gone_gives_none_and_names_it(data: FilesConfig, tmp_path: Path) -> None:
    (tmp_path / "train.de").unlink()
    text, note = training_text(data, [])
    assert text is None
    assert note is not None
    assert str(tmp_path / "train") in note
    assert "\n" not in note


def test_standard_input_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.StringIO("a\tb\n")
    monkeypatch.setattr("sys.stdin", stdin)
    data = files(
        tmp_path,
        train="-",
        format=CorpusFormat.tsv,
        valid={"path": str(tmp_path / "valid"), "format": "plain"},
    )
    text, note = training_text(data, [])
    assert text is None
    assert "standard input" in str(note)
    assert stdin.tell() == 0


def test_what_is_not_in_files_is_read_as_well() -> None:
    text, note = training_text(PhrasebookConfig(train_size=20), [])
    assert text is not None
    assert (text.n_lines, note) == (20, None)


def test_streams_from_the_network_are_not_read_again(tmp_path: Path) -> None:
    train = {"path": "somebody/something", "format": "hub", "streaming": True}
    text, note = training_text(files(tmp_path, train=train), [])
    assert text is None
    assert "network" in str(note)
