"""The exit status and the one line of the command line."""

import logging
import subprocess
import sys
import time
from pathlib import Path

import pytest

from transformer import __version__
from transformer.cli.console import log_to_stderr
from transformer.cli.main import COMMANDS, main
from transformer.errors import InputError, Stopped


def complaint(capfd: pytest.CaptureFixture[str], *argv: str) -> str:
    """What `argv` says on standard error: one line, with exit status 1 and no output."""
    assert main(list(argv)) == 1
    output, error = capfd.readouterr()
    assert output == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert error.endswith("\n")
    return error


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "no command is given"),
        (["trian"], "there is no command trian; did you mean train?"),
        (["bake"], "there are prepare, train, translate, score, evaluate, report"),
        (["train", "--beam_size=4"], "--beam_size=4"),
        (["train", "--cfg"], "--cfg"),
        (["train", "--cfg", "all"], "--cfg"),
        (["train", "--cfg", "job", "-m"], "--multirun"),
        (["translate", "-m", "checkpoint=a,b"], "--multirun belongs to train"),
        (["train", "--config-dir", "nowhere"], "nowhere is not a folder"),
        (["train", "modle=tiny"], "did you mean model?"),
        (["train", "+a=1"], "a=1"),
        (["train", "seed=x"], "seed=x must be a whole number"),
        (["train", "model=huge"], "there are base, big, small, tiny"),
        (["train", "--help", "model=huge"], "there are base, big, small, tiny"),
        (["translate"], "checkpoint is not set"),
        (["evaluate"], "checkpoint=runs/NAME or hypothesis=FILE"),
        (["average", "checkpoint=a"], "output is not set"),
        (["train", "seed=1\n2"], "seed=1"),
    ],
)
def test_a_mistake_is_one_line_and_exit_1(
    argv: list[str], message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert message in complaint(capfd, *argv)


def test_help_names_every_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    output = capfd.readouterr().out
    assert all(f"  {name} " in output for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_a_command_lists_settings_groups_and_examples(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    output = capfd.readouterr().out
    assert f"transformer {name}" in output
    assert "settings" in output
    assert "examples:" in output


def test_help_shows_the_values_in_force(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "data=files", "model=big", "--help"]) == 0
    output = capfd.readouterr().out
    assert "model.d_model=1024" in output
    assert "data.valid=" in output
    assert "data.train_size" not in output


def test_cfg_prints_settings_that_need_not_be_complete(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["translate", "--cfg", "job", "search=greedy"]) == 0
    assert "  beam_size: 1\n" in capfd.readouterr().out


def test_the_version_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"transformer {__version__}\n"


def end_with(error: BaseException, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit status of a command that ends with `error`."""

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("transformer.cli.main._run", fail)
    return main([])


def test_an_interruption_is_one_line_and_exit_130(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert end_with(KeyboardInterrupt(), monkeypatch) == 130
    assert capfd.readouterr() == ("", "interrupted\n")


def test_a_run_that_was_stopped_is_one_line_and_exit_75(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert end_with(Stopped("stopped by SIGTERM\nat update 3"), monkeypatch) == 75
    assert capfd.readouterr() == ("", "stopped by SIGTERM at update 3\n")


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Stopped("saved")])
def test_only_the_first_process_says_that_it_was_stopped(
    error: BaseException, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "3")
    assert end_with(error, monkeypatch) in {75, 130}
    assert capfd.readouterr() == ("", "")


def test_each_process_says_what_is_wrong_with_it(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "0")
    assert end_with(InputError("no file"), monkeypatch) == 1
    monkeypatch.setenv("RANK", "3")
    assert end_with(InputError("no file"), monkeypatch) == 1
    assert capfd.readouterr().err == "error: no file\nrank 3: error: no file\n"


def test_only_warnings_of_the_other_processes_are_logged(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers, level = logging.root.handlers[:], logging.getLogger("transformer").level
    try:
        for rank in ("0", "3"):
            monkeypatch.setenv("RANK", rank)
            logging.root.handlers = []
            log_to_stderr()
            logging.getLogger("transformer.training").info("progress")
            logging.getLogger("transformer.training").warning("trouble")
    finally:
        logging.root.handlers = handlers
        logging.getLogger("transformer").setLevel(level)
    lines = [line.partition(" ")[2] for line in capfd.readouterr().err.splitlines()]
    assert lines == ["progress", "trouble", "rank 3: trouble"]


def test_a_defect_of_ours_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise BrokenPipeError("of a worker, not of standard output")

    monkeypatch.setattr("transformer.cli.main._run", fail)
    monkeypatch.setattr("transformer.cli.main._reader_has_gone", lambda: False)
    with pytest.raises(BrokenPipeError):
        main([])


def shell(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    python = f"'{sys.executable}' -m transformer"
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("transformer", python, 1)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_reader_that_goes_is_no_error(tmp_path: Path) -> None:
    result = shell("transformer train --help | true", tmp_path)
    assert result.stderr == ""
    assert result.returncode in {0, 141}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    result = shell("transformer --help > /dev/full", tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("error: cannot write: No space")
    assert result.stderr.count("\n") == 1


def test_help_comes_within_a_second_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from transformer.cli.main import main; main(['--help']); "
        "assert not {'torch', 'hydra', 'datasets'} & set(sys.modules)"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True)
    assert time.perf_counter() - start < 1
    assert list(tmp_path.iterdir()) == []


def test_a_gpu_without_memory_gets_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import torch

    def full(_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore")

    monkeypatch.setattr("transformer.cli.main._run", full)
    assert main(["train"]) == 1
    assert capsys.readouterr().err == (
        "error: out of GPU memory: CUDA out of memory. Tried to allocate 2 GiB\n"
    )
