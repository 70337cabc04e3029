"""What the benchmarks share."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from measuring import (
    Contender,
    LeftOutError,
    add_corpus_arguments,
    append_row,
    environment,
    matmul_rate,
    peak_memory,
    read_batches,
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


def test_the_environment_names_machine_and_commit() -> None:
    found = environment(CPU)
    assert found["device"]
    assert found["threads"] == torch.get_num_threads()
    assert found["torch"] == torch.__version__
    assert json.loads(json.dumps(found)) == found


def test_peak_memory_is_that_of_a_process_with_torch() -> None:
    block = torch.ones(25_000_000)  # 100 MB
    assert 1e8 < peak_memory(CPU) < 1e12
    del block


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
