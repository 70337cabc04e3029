"""The commands of the README from end to end, and what they say to bad input."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from transformer.cli.main import main
from transformer.text.phrasebook import phrasebook

FILES = [
    "data=files",
    "data.source=en",
    "data.target=de",
    "data.train=train",
    "data.valid=valid",
    "data.test=valid",
    "data.cache_dir=cache",
    "tokenizer.vocab_size=500",
]
TINY = [
    "model=tiny",
    "model.encoder_layers=1",
    "model.decoder_layers=1",
    "model.d_model=64",
    "model.dropout=0",
    "model.embedding_dropout=0",
    "data.batch_tokens=1000",
    "optim.lr=5e-3",
    "optim.warmup=20",
    "training.max_updates=200",
    "training.validate_every=100",
    "training.checkpoint_every=100",
    "device=cpu",
    "threads=1",
]
RUN_DIR = "runs/first"
TRAIN = ["train", *FILES, *TINY, f"run_dir={RUN_DIR}"]

# What breaks programs that take more than LF and CRLF for the end of a line.
EXOTIC = [
    "two\u2028parts",
    "two\u2029parts",
    "form\x0cfeed and\x0bvertical tab",
    "next\x85line and \x1c\x1d\x1e separators",
    "a\ttab and a\x00NUL",
    "carriage\rreturn inside",
    "🚆🏽‍🚀 emoji",
    "שלום مرحبا right to left \u202eoverride",
    "",
    "   ",
    "\u00a0no-break space\u200b",
    "word " * 300,
    "普通话",
]


def transformer(*arguments: str, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[str]:
    """A finished process of the command line."""
    return subprocess.run(
        [sys.executable, "-m", "transformer", *arguments],
        cwd=cwd,
        input=stdin.decode("utf-8", "surrogateescape"),
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )


def succeed(*arguments: str, cwd: Path, stdin: bytes = b"") -> str:
    """The standard output of a process that ends well."""
    result = transformer(*arguments, cwd=cwd, stdin=stdin)
    assert result.returncode == 0, result.stderr
    return result.stdout


def write_pairs(folder: Path, stem: str, pairs: list[tuple[str, str]]) -> None:
    for language, lines in zip(("en", "de"), zip(*pairs, strict=True), strict=True):
        text = "".join(f"{line}\n" for line in lines)
        (folder / f"{stem}.{language}").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the text files train.* (80 sentences) and valid.* (20 of them)."""
    folder = tmp_path_factory.mktemp("work")
    pairs = list(phrasebook("en", "de", "train", 80, 1))
    write_pairs(folder, "train", pairs)
    write_pairs(folder, "valid", pairs[:20])
    return folder


@pytest.fixture(scope="module")
def trained(work: Path) -> tuple[Path, str]:
    """The folder after a training, and what the training printed."""
    return work, succeed(*TRAIN, cwd=work)


def score_in(output: str) -> float:
    (line,) = [line for line in output.splitlines() if line.startswith("BLEU")]
    return float(line.split()[1])


def test_prepare_prints_the_report_and_the_folder(work: Path) -> None:
    output = succeed("prepare", *FILES, cwd=work)
    assert "80" in output
    last = output.splitlines()[-1]
    assert last.startswith("prepared in ")
    assert (work / last.removeprefix("prepared in ")).is_dir()


def test_train_learns_its_text_and_prints_score_samples_and_what_comes_next(
    trained: tuple[Path, str],
) -> None:
    _, output = trained
    assert score_in(output) > 80
    assert "tok:13a" in output
    assert output.count("translation  ") == 5
    assert f"transformer translate checkpoint={RUN_DIR}" in output


def test_a_run_leaves_the_files_that_the_readme_names(trained: tuple[Path, str]) -> None:
    folder = trained[0] / RUN_DIR
    names = {file.name for file in folder.glob("[!.]*")}
    promised = {"config.yaml", "tokenizer", "checkpoints", "translations", "tensorboard"}
    assert names == promised | {"train.log", "data.json", "result.json", "test.json"}
    best = folder / "checkpoints" / "best"
    assert best.is_symlink()
    assert (best / "model.safetensors").is_file()
    assert list((folder / "tensorboard").iterdir())
    assert len((folder / "translations" / "test.de").read_text().splitlines()) == 20


def test_nothing_but_the_run_and_the_cache_is_written(trained: tuple[Path, str]) -> None:
    names = {file.name for file in trained[0].iterdir() if file.suffix not in {".en", ".de"}}
    assert names == {"cache", "runs"}


def test_a_finished_run_says_so_and_prints_its_score_again(trained: tuple[Path, str]) -> None:
    folder, before = trained
    result = transformer(*TRAIN, cwd=folder)
    assert result.returncode == 0
    assert result.stdout == before
    assert "is finished" in result.stderr


def test_average_translate_and_evaluate(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    averaged = "checkpoint=runs/averaged"
    succeed("average", f"checkpoint={RUN_DIR}", "last=2", "output=runs/averaged", cwd=folder)
    assert succeed("translate", averaged, "input=valid.en", "output=out.de", cwd=folder) == ""
    translations = (folder / "out.de").read_text(encoding="utf-8")
    (folder / "out.de").unlink()
    assert translations.count("\n") == 20
    output = succeed("evaluate", averaged, "source=valid.en", "reference=valid.de", cwd=folder)
    assert score_in(output) > 20


def test_evaluate_without_files_scores_the_test_split_of_the_run(
    trained: tuple[Path, str],
) -> None:
    folder, printed = trained
    output = succeed("evaluate", f"checkpoint={RUN_DIR}", "format=json", cwd=folder)
    scores = {score["name"]: score["value"] for score in json.loads(output)["scores"]}
    assert scores["BLEU"] == pytest.approx(score_in(printed), abs=0.01)
    translations = f"hypothesis={RUN_DIR}/translations/test.de"
    output = succeed(
        "evaluate", translations, "reference=valid.de", "target_language=de", cwd=folder
    )
    assert score_in(output) == score_in(printed)


@pytest.mark.parametrize(("bom", "end"), [("", "\n"), ("\ufeff", "\r\n")], ids=["Unix", "Windows"])
def test_n_lines_in_are_n_lines_out(trained: tuple[Path, str], bom: str, end: str) -> None:
    sentence = "Do you speak Italian?"
    lines = [sentence, *EXOTIC, sentence]
    text = bom + end.join(lines)  # without an end of the last line
    output = succeed(
        "translate", f"checkpoint={RUN_DIR}", "search=greedy", cwd=trained[0], stdin=text.encode()
    )
    translations = output.split("\n")
    assert translations.pop() == ""
    assert len(translations) == len(lines)
    assert translations[0] == translations[-1] != ""
    assert [bool(each) for each in translations[9:11]] == [False, False]


def test_nothing_in_is_nothing_out(trained: tuple[Path, str]) -> None:
    assert succeed("translate", f"checkpoint={RUN_DIR}", cwd=trained[0]) == ""


def test_n_best_gives_n_lines_a_sentence(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    arguments = ("translate", f"checkpoint={RUN_DIR}", "input=valid.en", "search.n_best=3")
    lines = succeed(*arguments, cwd=folder).splitlines()
    assert [int(line.split(" ||| ")[0]) for line in lines] == [n // 3 for n in range(60)]


def test_a_sweep_trains_once_for_each_value(trained: tuple[Path, str]) -> None:
    folder, _ = trained
    quick = ["training.max_updates=2", "run_dir=runs/sweep", "seed=1,2"]
    succeed("train", "-m", *FILES, *TINY, *quick, cwd=folder)
    table = {"sweep.json", "sweep.md", "sweep.tsv"}
    names = {file.name for file in (folder / "runs/sweep").iterdir()}
    assert names == {"seed=1", "seed=2"} | table
    succeed("translate", "checkpoint=runs/sweep/seed=1", "input=valid.en", cwd=folder)


def test_the_phrasebook_needs_no_file(tmp_path: Path) -> None:
    quick = ["data.train_size=300", "data.valid_size=4", "data.test_size=4"]
    settings = [*TINY, "training.max_updates=2", "data.target=zh"]
    output = succeed("train", *quick, *settings, "run_dir=run", cwd=tmp_path)
    assert "tok:zh" in output
    assert {file.name for file in tmp_path.iterdir()} == {"run"}


@pytest.fixture
def fails(
    trained: tuple[Path, str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., str]:
    """Runs a command line that ends with one line, exit 1 and no file more or less."""
    folder, _ = trained
    monkeypatch.chdir(folder)

    def run(*argv: str) -> str:
        before = set(contents(folder))
        assert main(list(argv)) == 1
        output, error = capfd.readouterr()
        assert output == ""
        lines = [line for line in error.splitlines() if not line[:2].isdigit()]  # but for the log
        assert len(lines) == 1
        assert lines[0].startswith("error: ")
        assert set(contents(folder)) == before
        return lines[0]

    return run


def contents(folder: Path) -> Iterator[tuple[str, int]]:
    """The files beneath `folder` with their sizes; not the locks of the cache."""
    for file in folder.rglob("*"):
        if file.suffix != ".lock":
            yield str(file), 0 if file.is_dir() else file.stat().st_size


@pytest.fixture
def bad(trained: tuple[Path, str]) -> Iterator[Path]:
    """A folder bad/ inside the folder of the run, for files that are no good."""
    folder = trained[0] / "bad"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


NEW = [*FILES, *TINY, "run_dir=runs/new"]


def test_a_missing_corpus(fails: Callable[..., str]) -> None:
    assert "nowhere/train.en" in fails("train", *NEW, "data.train=nowhere/train")
    assert "nowhere/valid.en" in fails("prepare", *FILES, "data.valid=nowhere/valid")


def test_an_empty_corpus(fails: Callable[..., str], bad: Path) -> None:
    (bad / "train.en").touch()
    (bad / "train.de").touch()
    assert "bad/train.en" in fails("train", *NEW, "data.train=bad/train")


def test_a_folder_for_a_corpus(fails: Callable[..., str], bad: Path) -> None:
    (bad / "train.en").mkdir()
    (bad / "train.de").write_text("eins\n")
    assert "bad/train.en" in fails("train", *NEW, "data.train=bad/train")


def test_a_corpus_that_is_not_utf_8(fails: Callable[..., str], bad: Path) -> None:
    (bad / "train.en").write_bytes(b"one\ntwo\nthr\xe9\n")
    (bad / "train.de").write_bytes(b"eins\nzwei\ndrei\n")
    error = fails("train", *NEW, "data.train=bad/train")
    assert "bad/train.en" in error
    assert "3" in error


def test_unequal_line_counts(fails: Callable[..., str], bad: Path) -> None:
    (bad / "valid.en").write_text("one\ntwo\n")
    (bad / "valid.de").write_text("eins\n")
    error = fails("train", *NEW, "data.valid=bad/valid")
    assert "bad/valid.en has 2 lines but bad/valid.de has 1" in error
    error = fails(
        "evaluate", "hypothesis=bad/valid.en", "reference=bad/valid.de", "target_language=de"
    )
    assert "2 lines" in error


def test_a_vocabulary_too_large(fails: Callable[..., str]) -> None:
    error = fails("train", *NEW, "tokenizer.vocab_size=50000")
    assert "tokenizer.vocab_size=50000" in error
    assert any(word.strip(",;").isdigit() for word in error.split())


def test_no_validation_data(fails: Callable[..., str]) -> None:
    assert "needs validation data" in fails("train", *NEW, "data.valid=")


def test_settings_of_another_run(fails: Callable[..., str]) -> None:
    error = fails(*TRAIN, "model.n_heads=2")
    assert f"run_dir={RUN_DIR}" in error
    assert "model.n_heads" in error


def test_a_run_folder_that_is_none(fails: Callable[..., str], bad: Path) -> None:
    (bad / "file").touch()
    assert "run_dir=bad" in fails("train", *NEW, "run_dir=bad")
    assert "run_dir=bad/file" in fails("train", *NEW, "run_dir=bad/file")
    assert "bad/file/run" in fails("train", *NEW, "run_dir=bad/file/run")


def test_a_missing_checkpoint(fails: Callable[..., str], bad: Path) -> None:
    for command in ("translate", "evaluate"):
        assert "nowhere" in fails(command, "checkpoint=nowhere")
        assert "bad" in fails(command, f"checkpoint={bad.name}")
    assert "nowhere" in fails("average", "checkpoint=nowhere", "output=bad/average")


def copy_of_best(folder: Path, name: str) -> Path:
    """A copy of the best checkpoint in which a file may be spoilt; its file `name`."""
    copy = folder / "checkpoint"
    best = folder.parent / RUN_DIR / "checkpoints" / "best"
    shutil.copytree(best, copy)
    return copy / name


def test_a_truncated_checkpoint(fails: Callable[..., str], bad: Path) -> None:
    file = copy_of_best(bad, "model.safetensors")
    os.truncate(file, file.stat().st_size // 2)
    assert "bad/checkpoint" in fails("translate", "checkpoint=bad/checkpoint", "input=valid.en")


def test_a_checkpoint_of_another_format(fails: Callable[..., str], bad: Path) -> None:
    copy_of_best(bad, "model.safetensors").write_bytes(b"PK\x03\x04")
    assert "bad/checkpoint" in fails("translate", "checkpoint=bad/checkpoint", "input=valid.en")


def test_bad_input_to_translate(fails: Callable[..., str], bad: Path) -> None:
    (bad / "latin").write_bytes(b"one\ntw\xf6\n")
    checkpoint = f"checkpoint={RUN_DIR}"
    assert "nowhere" in fails("translate", checkpoint, "input=nowhere", "output=bad/out")
    assert "bad" in fails("translate", checkpoint, "input=bad", "output=bad/out")
    error = fails("translate", checkpoint, "input=bad/latin", "output=bad/out")
    assert "bad/latin" in error
    assert "2" in error


def test_an_output_that_cannot_be_written(fails: Callable[..., str], bad: Path) -> None:
    checkpoint = f"checkpoint={RUN_DIR}"
    for output in ("nowhere/out", "valid.en/out"):
        assert output in fails("translate", checkpoint, "input=valid.en", f"output={output}")
        assert output in fails("evaluate", checkpoint, f"output={output}")
    assert bad.name in fails("average", checkpoint, "last=2", f"output={bad.name}")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_where_there_is_none(fails: Callable[..., str]) -> None:
    assert "device=cuda" in fails("train", *NEW, "device=cuda")
    assert "device=cuda" in fails("translate", f"checkpoint={RUN_DIR}", "device=cuda")
    assert "device=toaster" in fails("train", *NEW, "device=toaster")


def test_a_language_pair_that_the_phrasebook_lacks(fails: Callable[..., str]) -> None:
    error = fails("train", *TINY, "run_dir=runs/new", "data.target=fr", "data.cache_dir=cache")
    assert "en-de" in error


def test_the_same_language_twice(fails: Callable[..., str]) -> None:
    assert "the same language" in fails("train", *NEW, "data.target=en")
