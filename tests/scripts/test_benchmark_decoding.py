"""The decoding benchmark: its formula, its forced lengths, and what it reports."""

import json
import sys
from pathlib import Path
from typing import Any, cast

import benchmark_decoding
import pytest
import torch
from baselines import decoding_project, decoding_torch, decoding_work
from baselines.decoding_report import Report, add_ratios, latency, search_flops
from baselines.plain import PlainTransformer
from contenders import Contender, tuning
from torch.utils.flop_counter import FlopCounterMode

from transformer.config import ModelConfig, Norm, SearchConfig, to_mapping
from transformer.errors import InputError
from transformer.model import Transformer, attention, cache
from transformer.search import Task, search
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID

SHAPE = ModelConfig(encoder_layers=1, decoder_layers=2, d_model=16, d_feed_forward=24, n_heads=2)
V = 40
ROOM = 16
SHAPED = ["--model", "tiny", "--vocab-size", "60"]
SMALL = [
    *("--sentences", "6", "--singles", "3"),
    *("--rounds", "2", "--threads", "1", "--device", "cpu", "--batch-sentences", "4"),
]

# torch.nn.Transformer makes them of padded sources by itself.
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark_decoding.py", *SMALL, *words])
    benchmark_decoding.main()


def make_work(**changes: Any) -> dict[str, Any]:
    work = {
        "sources": [[5, 6, 7], [8, 9], [10]],
        "batches": {"2": [[0, 1], [2]]},
        "model": to_mapping(SHAPE),
        "vocab_size": V,
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "warm_up": 0,
        "search": to_mapping(SearchConfig()),
        "request": None,
        "checkpoint": None,
        "weights": None,
    }
    return work | changes


@pytest.mark.parametrize("beam_size", [1, 3])
@pytest.mark.parametrize("norm", Norm)
def test_the_flops_of_a_search_are_those_that_torch_counts(
    beam_size: int, norm: Norm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attention, "is_small", lambda *_: True)  # torch counts no others
    monkeypatch.setattr(cache, "LEAST_ROOM", ROOM)
    B, S, T = 2, 5, 4
    config = ModelConfig(**(vars(SHAPE) | {"norm": norm}))
    model = Transformer(config, source_vocab_size=V, target_vocab_size=V, pad_id=PAD_ID).eval()
    source = torch.randint(EOS_ID + 1, V, (B, S))
    with FlopCounterMode(display=False) as counter:
        found = search(
            decoding_project.Endless(model),
            source,
            [Task(longest=T)] * B,
            SearchConfig(beam_size=beam_size),
            decoding_project.SPECIAL,
        )
    assert [len(hypotheses[0].tokens) for hypotheses in found] == [T] * B
    # It looks at all of the cache's room, and masks what is not of an output's own positions.
    seen = sum(ROOM - t for t in range(2, T + 1))
    masked = 4 * config.d_model * config.decoder_layers * B * beam_size * seen
    needed = search_flops(config, V, [S] * B, [T] * B, beam_size)
    assert needed + masked == counter.get_total_flops()


@pytest.mark.parametrize("system", [decoding_project, decoding_torch])
@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_system_of_random_weights_writes_as_much_as_it_is_told(
    system: Any, beam_size: int
) -> None:
    decode, _ = system.build(make_work())
    for length in (1, 2, 9):
        found = decode([[5] * (length - 1), []], length, beam_size)
        assert [len(ids) for ids in found] == [length, length]
        assert all(EOS_ID not in ids for ids in found)


def test_the_plain_loop_with_a_beam_of_one_takes_the_likeliest_token_each_time() -> None:
    torch.manual_seed(1)
    model = PlainTransformer(to_mapping(SHAPE), V, 20).eval()
    source = torch.tensor([[5, 6, 7, EOS_ID], [8, EOS_ID, PAD_ID, PAD_ID]])
    with torch.no_grad():
        found = decoding_torch.search(model, source, 6, 1, endless=True, power=1.0)
        target = torch.cat([torch.full((2, 1), BOS_ID), found[:, :-1]], dim=1)
        logits = model(source, target)
    logits[..., [EOS_ID, PAD_ID]] = -torch.inf
    assert torch.equal(logits.argmax(-1), found)


def test_a_system_that_does_not_keep_to_its_lengths_is_not_reported() -> None:
    report = Report(make_work(), SHAPE, rates=[1e9], beam_size=2)
    single, final = [0.1], {"peak_memory": None}
    good = {"seconds": [0.5, 0.5], "written": [[4, 4], [2]]}
    short = {"seconds": [0.5, 0.5], "written": [[4, 3], [2]]}
    report.system([good], single, final)
    with pytest.raises(AssertionError, match="forced"):
        report.system([good, short], single, final)


def test_speeds_are_medians_over_the_rounds_and_ratios_are_of_a_round() -> None:
    report = Report(make_work(), SHAPE, rates=[1e9], beam_size=2)

    def system(*rounds: float) -> dict[str, Any]:
        turns = [{"seconds": [s / 2, s / 2], "written": [[4, 4], [2]]} for s in rounds]
        return report.system(turns, [0.1, 0.2, 0.4], {"peak_memory": None})

    systems = {"own": system(1, 2, 8), "other": system(2, 8, 8)}
    add_ratios(systems, "own")
    assert systems["own"]["target_tokens_per_s"] == 5.0
    assert systems["own"]["target_tokens_per_s_rounds"] == [10.0, 5.0, 1.25]
    assert systems["own"]["latency_ms"]["median"] == 200.0
    assert [found["ratio"] for found in systems.values()] == [1.0, 0.5]


class Fake:
    """A contender that writes down what it is asked; its seconds count its batches."""

    def __init__(self, name: str, log: list[tuple[str, Any]]) -> None:
        self.name = name
        self.log = log

    def turn(self, request: dict[str, Any]) -> dict[str, Any]:
        """A turn."""
        batches = request.get("batches", "all")
        self.log.append((self.name, batches))
        return {"seconds": [float(number) for number in range(len(batches))]}


def test_each_round_begins_with_another_system_and_has_its_share_of_single_sentences() -> None:
    log: list[tuple[str, Any]] = []
    fakes = cast(list[Contender], [Fake("a", log), Fake("b", log)])
    turns, singles = benchmark_decoding.take_turns(fakes, make_work(), 2, 3)
    first, second = [[0], [0], [2]], [[1], [1]]
    assert log == [
        *(("a", "all"), ("b", "all"), ("a", first), ("b", first)),
        *(("b", "all"), ("a", "all"), ("b", second), ("a", second)),
    ]
    assert [len(found) for found in turns.values()] == [2, 2]
    assert singles == {("a", 2): [1.0, 2.0, 1.0], ("b", 2): [1.0, 2.0, 1.0]}


def test_padding_is_the_share_of_source_tokens_that_are_none() -> None:
    # With EOS, sources of 4 and 3 tokens in one batch, and of 2 in another.
    head = Report(make_work(), SHAPE, rates=[1e9], beam_size=2).head("tiny", "drawn")
    assert head["source_tokens"] == 9
    assert head["padding_share"] == pytest.approx(0.1)


def test_latency_is_the_median_and_the_95th_percentile() -> None:
    assert latency([x / 1e3 for x in range(101)]) == {"median": 50.0, "p95": 95.0}


def test_a_benchmark_reports_all_that_it_measures(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "rows.json"
    monkeypatch.setattr(benchmark_decoding, "matmul_rate", lambda *_: 1e12)
    run(monkeypatch, *SHAPED, "--beam-size", "1", "2", "--json", str(file))
    rows = json.loads(file.read_text())
    printed = capfd.readouterr().out
    assert [row["beam_size"] for row in rows] == [1, 2]
    for row in rows:
        assert {benchmark_decoding.PROJECT, "plain"} <= row["systems"].keys()
        for name in benchmark_decoding.BASELINES:
            assert name in row["systems"] or any(name in why for why in row["left_out"])
        for name, found in row["systems"].items():
            assert name in printed
            assert len(found["target_tokens_per_s_rounds"]) == 2
            assert 0 < found["matmul_share"] < 1
            assert 0 < found["latency_ms"]["median"] <= found["latency_ms"]["p95"]
            assert found["peak_memory"] > 1e7
        assert len({found["target_tokens"] for found in row["systems"].values()}) == 1
        assert row["systems"][benchmark_decoding.PROJECT]["ratio"] == 1
        assert {"commit", "device", "threads", "torch"} <= row["environment"].keys()
    assert "padding_share" in printed


def test_sentences_of_a_file_are_decoded_in_pieces_of_that_file(tmp_path: Path) -> None:
    file = tmp_path / "lines"
    file.write_text("a cat sees a dog\n\nthe dog\n" * 3)
    arguments = benchmark_decoding.parse(
        ["--source", str(file), "--vocab-size", "271", "--sentences", "4"]
    )
    sources = decoding_work.encode(arguments, None)
    assert len(sources) == 4
    assert sources[0] == sources[2]
    assert all(EOS_ID < id_ < 271 for ids in sources for id_ in ids)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--baselines", "plain,other"], "there is no other"),
        (["--checkpoint", "runs/x"], "needs --source"),
        ([*SHAPED, "--reference", "y"], "--reference=y is for --checkpoint"),
        ([*SHAPED, "--search", "max_length=9"], "is for --checkpoint"),
        (["--checkpoint", "runs/x", "--source", "y", "--search", "size=9"], r"search\.size"),
        (["--checkpoint", "runs/x", "--source", "y", "--model", "tiny"], "--model=tiny is not for"),
        (["--checkpoint", "runs/x", "--vocab-size", "9"], "--vocab-size=9 is not for"),
        ([*SHAPED, "--python", "marian=/no/such/python"], "is not NAME=INTERPRETER"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.setattr(benchmark_decoding, "matmul_rate", lambda *_: 1e9)
    with pytest.raises(InputError, match=message) as caught:
        run(monkeypatch, *words)
    assert "\n" not in str(caught.value)


def test_a_batch_is_of_tokens_or_of_sentences(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmark_decoding.parse(["--batch-tokens", "9", "--batch-sentences", "9"])
    assert "not allowed with" in capsys.readouterr().err


def test_a_broken_file_is_refused_before_anything_is_measured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "rows.json"
    file.write_text("{")
    monkeypatch.setattr(benchmark_decoding, "make_job", None)
    with pytest.raises(InputError, match=r"rows\.json is not JSON"):
        run(monkeypatch, "--json", str(file))


def test_tuned_systems_take_the_products_that_the_project_takes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    before = torch.get_float32_matmul_precision()
    try:
        for permission in ("medium", "highest"):
            torch.set_float32_matmul_precision(permission)
            monkeypatch.setenv("FP32_PRODUCTS", tuning()["FP32_PRODUCTS"])
            torch.set_float32_matmul_precision("high")
            decoding_torch.build(make_work())
            assert torch.get_float32_matmul_precision() == permission
    finally:
        torch.set_float32_matmul_precision(before)
