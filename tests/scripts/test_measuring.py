"""What the benchmarks share."""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from contenders import Contender, LeftOutError, chosen, rotated
from measuring import (
    add_corpus_arguments,
    append_row,
    environment,
    matmul_rate,
    output_folder,
    positive,
    products_of_timing,
    read_batches,
    run,
    training_flops,
)
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from transformer.config import ModelConfig, Norm, Precision
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.tokenizer import EOS_ID, PAD_ID

CPU = torch.device("cpu")


def counted_flops(config: ModelConfig, vocab_size: int, n: int, S: int, T: int) -> int:
    """FLOPs of forward and backward pass of `n` pairs, all of S and T tokens.

    With attention in plain matrix products: other kernels compute the weights twice.
    """
    model = Transformer(
        config, source_vocab_size=vocab_size, target_vocab_size=vocab_size, pad_id=PAD_ID
    )
    source, target = (torch.randint(EOS_ID, vocab_size, (n, length)) for length in (S, T))
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        logits = model.step(target, model.start(source))
        F.cross_entropy(logits.flatten(0, 1), target.flatten()).backward()  # type: ignore[no-untyped-call]
    return int(counter.get_total_flops())


@pytest.mark.parametrize("norm", Norm)
@pytest.mark.parametrize(("S", "T"), [(7, 5), (3, 70)])
def test_training_flops_are_what_torch_counts(norm: Norm, S: int, T: int) -> None:
    config = ModelConfig(
        encoder_layers=2, decoder_layers=3, d_model=16, d_feed_forward=24, n_heads=2, norm=norm
    )
    assert training_flops(config, 50, [S] * 4, [T] * 4) == counted_flops(config, 50, 4, S, T)


def test_flops_of_a_batch_are_the_sum_over_its_sentences() -> None:
    config = ModelConfig(d_model=16, d_feed_forward=24, n_heads=2)
    both = training_flops(config, 50, [7, 3], [5, 20])
    assert both == training_flops(config, 50, [7], [5]) + training_flops(config, 50, [3], [20])


def test_a_matmul_rate_is_a_speed_that_a_machine_can_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("measuring.CPU_SHAPES", [(64, 32, 32)])
    monkeypatch.setattr("measuring.TIMED_FLOPS", 1e6)
    assert 1e6 < matmul_rate(CPU, Precision.fp32, repeats=3) < 1e15


def test_a_timing_has_as_many_products_as_fill_its_time() -> None:
    assert products_of_timing(10, 0.001, 0.2) == 2000
    assert products_of_timing(10, 40.0, 0.2) == 1
    assert products_of_timing(3, 0.0, 0.2) > 1000


def test_the_environment_names_machine_and_commit() -> None:
    found = environment(CPU)
    assert found["device"]
    assert found["threads"] == torch.get_num_threads()
    assert found["torch"] == torch.__version__
    assert json.loads(json.dumps(found)) == found


GROWS = """
import torch
from measuring import peak_memory
before = peak_memory(torch.device("cpu"))
block = torch.ones(50_000_000)  # 200 MB
del block
print(peak_memory(torch.device("cpu")) - before)
"""


def test_peak_memory_grows_by_what_was_held_and_freed_again() -> None:
    scripts = Path(__file__).parents[2] / "scripts"
    command = [sys.executable, "-c", GROWS]
    found = subprocess.run(command, cwd=scripts, capture_output=True, text=True, check=True)
    assert 1.9e8 < int(found.stdout) < 2.4e8


@pytest.mark.parametrize("text", ["0", "-3", "2.5", "many", ""])
def test_a_count_is_a_whole_number_of_at_least_one(text: str) -> None:
    assert positive("7") == 7
    with pytest.raises(argparse.ArgumentTypeError, match="no whole number of at least 1"):
        positive(text)


def test_what_a_user_can_mend_is_one_line_and_status_1() -> None:
    def main() -> None:
        raise InputError("x=3 must be 4")

    with pytest.raises(SystemExit, match=r"^x=3 must be 4$"):
        run(main)
    with pytest.raises(ZeroDivisionError):
        run(lambda: [][1 // 0])


def test_a_folder_is_made_unless_a_file_is_in_its_place(tmp_path: Path) -> None:
    assert output_folder(tmp_path / "a" / "b").is_dir()
    assert output_folder(tmp_path / "a").is_dir()
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "below"):
        with pytest.raises(InputError, match=r"file\S* cannot be a folder: .*name one"):
            output_folder(path)


def test_rows_are_added_at_the_end_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "rows.json"
    append_row(file, {"a": 1})
    append_row(file, {"a": 2})
    assert json.loads(file.read_text()) == [{"a": 1}, {"a": 2}]
    assert [path.name for path in tmp_path.iterdir()] == ["rows.json"]


@pytest.mark.parametrize("content", ["[1", '{"a": 1}', ""])
def test_a_file_that_holds_no_list_is_named_and_kept(tmp_path: Path, content: str) -> None:
    file = tmp_path / "rows.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"rows\.json .*give a file that holds a JSON list"):
        append_row(file, {})
    assert file.read_text() == content


def corpus(*arguments: str) -> argparse.Namespace:
    """What a command line says of the corpus."""
    parser = argparse.ArgumentParser()
    add_corpus_arguments(parser)
    return parser.parse_args(arguments)


def test_drawn_batches_are_the_same_each_time_and_fit_the_budget() -> None:
    arguments = corpus("--vocab-size=100", "--batch-tokens=256")
    (batches, vocab_size), (again, _) = read_batches(arguments, 3), read_batches(arguments, 3)
    assert vocab_size == 100
    assert len(batches) == 3
    for batch, other in zip(batches, again, strict=True):
        assert torch.equal(batch.source, other.source)
        assert batch.source.max() < 100
        assert max(batch.source.numel(), batch.labels.numel()) <= 256
        assert int((batch.labels == EOS_ID).sum()) == len(batch.labels)


def test_more_batches_than_an_epoch_has_are_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"an epoch has \d+ batches, but 99999 are to be measured"):
        read_batches(corpus(), 99_999)


ECHO = """
from serving import LeftOut, serve
def begin():
    print("noise")
    return {"ready": 1}, lambda request: {"heard": request}, lambda: {"last": 2}
serve(begin)
"""


def contender(code: str) -> Contender:
    """A contender that runs `code`."""
    return Contender("echo", [sys.executable, "-c", code])


def test_a_contender_answers_in_turn_whatever_else_it_prints() -> None:
    echo = contender(ECHO)
    request: dict[str, Any] = {"batches": [1, 2]}
    assert echo.start == {"ready": 1}
    assert echo.turn(request) == {"heard": request}
    assert echo.close() == {"last": 2}


def test_a_contender_that_cannot_take_part_says_why_in_one_line() -> None:
    code = ECHO.replace('print("noise")', 'raise LeftOut("no such\\nlibrary")')
    with pytest.raises(LeftOutError, match=r"^echo is left out: no such library$"):
        contender(code)


def test_a_contender_that_dies_is_named() -> None:
    with pytest.raises(InputError, match="echo ended with status 3"):
        contender("raise SystemExit(3)")


def test_a_contender_whose_program_is_missing_is_named_in_one_line() -> None:
    with pytest.raises(InputError, match=r"^echo cannot be started: /no/such: No such file[^\n]*$"):
        Contender("echo", ["/no/such"])


def test_a_baseline_named_twice_is_one() -> None:
    assert chosen("b,a,b", {"a": 1, "b": 2}) == ["b", "a"]


def test_each_round_begins_with_another_one() -> None:
    assert [rotated("abc", number) for number in (0, 1, 5)] == [
        list("abc"),
        list("bca"),
        list("cab"),
    ]
