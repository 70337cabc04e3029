"""The model of several processes: its limits, sums by hand, its fit; the script end to end."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import benchmark_parallel
import pytest
import torch
from benchmark_parallel import row_of, visit
from hypothesis import given
from hypothesis import strategies as st
from interconnects import GPU, MODELS, N_GPUS, clusters, gpu_work, gradients_of, predict
from measuring import run, training_flops
from parallel_model import (
    Cluster,
    Gradient,
    Link,
    UpdateWork,
    all_reduce_s,
    efficiency,
    fit_link,
    in_buckets,
    ring_s,
    update_s,
)
from synthetic import Shape, Training, together

from transformer.config import Precision
from transformer.errors import InputError
from transformer.training.gradients import groups

LINK = Link(latency_s=1e-3, bandwidth=1e6)
SLOW = Link(latency_s=1e-2, bandwidth=1e5)
CLUSTER = Cluster(inside=LINK, between=SLOW, node_size=4)
WORK = UpdateWork(
    forward_s=0.5,
    backward_s=1.0,
    optimizer_s=0.25,
    gradients=[Gradient(0.25, 4e4), Gradient(0.5, 4e4), Gradient(1.0, 8e4)],
)


def test_a_ring_sends_each_byte_almost_twice() -> None:
    assert ring_s(1e6, 4, LINK) == pytest.approx(6 * (1e-3 + 0.25))
    assert ring_s(1e6, 1, LINK) == 0


def test_nodes_sum_their_shares_between_them() -> None:
    by_hand = 6 * (1e-3 + 1e4 / 1e6) + 2 * (1e-2 + 5e3 / 1e5)  # rings of 4, then of 2
    assert all_reduce_s(4e4, 8, CLUSTER) == pytest.approx(by_hand)


def test_nodes_must_be_full() -> None:
    with pytest.raises(InputError, match="6 processes"):
        all_reduce_s(1.0, 6, CLUSTER)


def test_buckets_are_as_large_as_may_be_and_wait_for_their_last_gradient() -> None:
    assert in_buckets(WORK.gradients, 8e4) == [Gradient(0.5, 8e4), Gradient(1.0, 8e4)]
    assert in_buckets(WORK.gradients, 1.0) == list(WORK.gradients)
    assert in_buckets(WORK.gradients, 1e9) == [Gradient(1.0, 1.6e5)]


@given(st.lists(st.integers(1, 300), min_size=1, max_size=12), st.sampled_from([1e-4, 5e-4, 2e-3]))
def test_buckets_are_the_groups_of_the_trainer(sizes: list[int], megabytes: float) -> None:
    parameters = [torch.nn.Parameter(torch.empty(n, device="meta")) for n in sizes]
    expected = [sum(p.nbytes for p in group) for group in groups(parameters, megabytes)]
    gradients = [Gradient(1.0, p.nbytes) for p in parameters]
    assert [bucket.n_bytes for bucket in in_buckets(gradients, megabytes * 2**20)] == expected


def test_without_overlap_the_messages_come_after_the_backward_pass() -> None:
    found = update_s(WORK, 2, CLUSTER, bucket_bytes=8e4, overlap=False)
    assert found == pytest.approx(1.75 + 2 * 2 * (1e-3 + 4e4 / 1e6))


def test_with_overlap_the_last_bucket_alone_shows() -> None:
    found = update_s(WORK, 2, CLUSTER, bucket_bytes=8e4)
    assert found == pytest.approx(1.75 + 2 * (1e-3 + 4e4 / 1e6))


def test_a_network_slower_than_the_backward_pass_shows() -> None:
    slow = Cluster(inside=replace(LINK, bandwidth=1e5), between=SLOW)
    found = update_s(WORK, 2, slow, bucket_bytes=8e4)
    assert found == pytest.approx(0.5 + 0.5 + 2 * 2 * (1e-3 + 0.4) + 0.25)


def test_messages_that_end_before_the_backward_pass_are_hidden_whole() -> None:
    work = replace(WORK, gradients=[Gradient(0.25, 4e4)])
    assert efficiency(work, 2, CLUSTER, bucket_bytes=4e4) == 1


def test_one_process_waits_for_nobody() -> None:
    assert efficiency(WORK, 1, CLUSTER, bucket_bytes=1e4) == 1


def test_an_infinite_network_costs_nothing() -> None:
    free = Link(latency_s=0.0, bandwidth=float("inf"))
    cluster = Cluster(inside=free, between=free)
    assert efficiency(WORK, 64, cluster, bucket_bytes=1e4, overlap=False) == 1


@given(
    st.sampled_from([1, 2, 3, 4, 8, 16, 64]),
    st.floats(1e4, 1e9),
    st.floats(1.0, 1e3),
    st.sampled_from([1e4, 8e4, 1e6]),
)
def test_a_faster_network_and_overlap_never_hurt(
    n: int, bandwidth: float, factor: float, size: float
) -> None:
    slow = replace(LINK, bandwidth=bandwidth)
    fast = slow.share(factor)
    slower, faster = (
        efficiency(WORK, n, Cluster(inside=link, between=link), bucket_bytes=size)
        for link in (slow, fast)
    )
    plain = efficiency(
        WORK, n, Cluster(inside=slow, between=slow), bucket_bytes=size, overlap=False
    )
    assert 0 < plain <= slower * (1 + 1e-12)
    assert slower <= faster * (1 + 1e-12) <= 1 + 1e-9


def test_more_processes_are_never_more_efficient() -> None:
    found = [efficiency(WORK, n, CLUSTER, bucket_bytes=4e4) for n in (1, 2, 4, 8, 16, 64)]
    assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("n", [2, 8])
def test_a_fit_gives_back_the_link_of_exact_times(n: int) -> None:
    sizes = [4**i * 1024 for i in range(9)]
    found = fit_link(sizes, [ring_s(size, n, LINK) for size in sizes], n)
    assert found.latency_s == pytest.approx(LINK.latency_s, rel=1e-10)
    assert found.bandwidth == pytest.approx(LINK.bandwidth, rel=1e-10)


def test_times_that_do_not_grow_with_the_size_are_refused() -> None:
    with pytest.raises(InputError, match="4,096 bytes"):
        fit_link([1024, 4096], [2.0, 1.0], 2)


@pytest.mark.parametrize("name", MODELS)
def test_a_gpu_alone_computes_at_the_assumed_share(name: str) -> None:
    config = MODELS[name]
    work = gpu_work(config, 0.5, GPU(matmul_flops=100e12))
    flops = training_flops(config, 32_000, [25] * 1000, [25] * 1000)
    assert work.forward_s + work.backward_s == pytest.approx(flops / 50e12)


def test_the_shared_embedding_comes_last_and_all_gradients_are_counted() -> None:
    gradients = list(gradients_of(MODELS["base"]))
    assert gradients[-1] == Gradient(1.0, 4 * 32_000 * 512)
    assert [g.ready for g in gradients] == sorted(g.ready for g in gradients)
    # Layers of 512 and 2,048: weights, biases, two norms an encoder layer and three a decoder's.
    attention, feed_forward = 4 * 512 * 512 + 4 * 512, 2 * 512 * 2048 + 2048 + 512
    encoder = attention + feed_forward + 2 * 2 * 512
    decoder = 2 * attention + feed_forward + 3 * 2 * 512
    total = 6 * (encoder + decoder) + 32_000 * 512
    assert sum(g.n_bytes for g in gradients) == 4 * total


def test_the_card_of_a_node_is_shared_by_its_gpus() -> None:
    found = clusters(1.0)
    assert found["NVLink 4, 100 Gb/s Ethernet a node"].between.bandwidth == 12.5e9 / 8
    assert found["NVLink 4, InfiniBand NDR a GPU"].between.bandwidth == 50e9


def test_a_prediction_has_every_number_of_gpus_and_begins_at_one() -> None:
    rows = predict(GPU(), 25 * 2**20)
    assert [row["n_gpus"] for row in rows[: len(N_GPUS)]] == list(N_GPUS)
    assert all(row["efficiency"] == 1 for row in rows if row["n_gpus"] == 1)
    assert all(row["efficiency"] >= row["efficiency_without_overlap"] for row in rows)


def updates_of(seconds: float, n: int = 3) -> list[dict[str, Any]]:
    """What processes measure in `n` updates, `seconds` the median; two gradients."""
    parts = {"forward_s": 0.25, "backward_s": 0.5, "optimizer_s": 0.125}
    gradients = [(0.5, 4e4), (1.0, 8e4)]
    return [{"update_s": seconds + i - n // 2, "gradients": gradients, **parts} for i in range(n)]


def test_a_row_compares_what_was_measured_with_what_was_predicted() -> None:
    found = {"alone": updates_of(2.0), "apart": updates_of(4.0), "together": updates_of(5.0)}
    row = row_of(Shape(), found, LINK, bucket_mb=1e-3)
    assert (row["machine"], row["communication"], row["efficiency"]) == (0.5, 0.8, 0.4)
    assert row["gradient_bytes"] == 1.2e5
    # The first message has gone when the second gradient is made: 0.25 s are enough for 42 ms.
    message_s = {size: 2 * (1e-3 + size / 2 / 1e6) for size in (4e4, 8e4)}
    assert row["predicted_hidden_s"] == pytest.approx(0.875 + message_s[8e4])
    assert row["predicted_exposed_s"] == pytest.approx(0.875 + sum(message_s.values()))
    assert row["error_hidden"] == pytest.approx(row["predicted_hidden_s"] / 5 - 1)


@pytest.mark.slow
def test_two_processes_sum_what_the_model_is_told_of() -> None:
    point = Shape(d_model=16, layers=1, length=4, vocab_size=20, batch_tokens=8)
    calls = [("together", point, 25.0, 1)] * 2
    for updates in together(visit, *calls):
        assert [update.keys() for update in updates] == [{"update_s"}]
        assert updates[0]["update_s"] > 0


def in_process(work: Callable[..., Any], *calls: Sequence[Any]) -> list[Any]:
    """What `together` gives, without processes."""
    return [work(*call) for call in calls]


def times(sizes: Sequence[int], repeats: int) -> list[float]:
    assert repeats == 2
    return [ring_s(size, 2, LINK) for size in sizes]


def call(monkeypatch: pytest.MonkeyPatch, *options: object) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark_parallel.py", *map(str, options)])
    run(benchmark_parallel.main)


def test_the_script_measures_predicts_and_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(benchmark_parallel, "together", in_process)
    monkeypatch.setattr(benchmark_parallel, "time_messages", times)
    point = {"d_model": 16, "layers": 1, "length": 4, "vocab_size": 20, "batch_tokens": 8}
    measured = ["--rounds", 1, "--updates", 2, "--repeats", 2, "--sizes", "[1024, 65536]"]
    points = ["--points", json.dumps([point])]
    for _ in range(2):
        call(monkeypatch, "--output", tmp_path, "--markdown", *measured, *points)
    words = capsys.readouterr().out
    assert "1,000 us a message and 0.00 GB/s fitted" in words
    assert "| D = 16, 1 + 1 layers, 8 tokens, 0 MB |" in words
    assert "| big | NVLink 4 | 8 |" in words
    (row,) = json.loads((tmp_path / "parallel.json").read_text())
    assert row["all_reduce"]["bandwidth"] == pytest.approx(LINK.bandwidth)
    (point_row,) = row["points"]
    assert point_row["shape"] == point
    parameters = Training(Shape(**point), torch.device("cpu"), Precision.fp32).updater.parameters
    assert point_row["gradient_bytes"] == sum(p.nbytes for p in parameters)
    assert (tmp_path / "parallel.svg").read_text().startswith("<?xml")


def test_predictions_leave_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "parallel.json"
    file.write_text("[1]", encoding="utf-8")
    call(monkeypatch, "--output", tmp_path, "--predict-only", "--markdown")
    assert "| big | NVLink 4 | 8 |" in capsys.readouterr().out
    assert file.read_text(encoding="utf-8") == "[1]"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (["--points", '[{"width": 1}]'], "width"),
        (["--points", '[{"d_model": "x"}]'], "d_model='x'"),
        (["--points", "[]"], "--points=[]"),
        (["--sizes", "5"], "--sizes=5"),
        (["--sizes", "[1024, 1023]"], "--sizes="),
        (["--sizes", "[1024]"], "--sizes="),
        (["--base-share", "0"], "base_share=0"),
        (["--link-share", "1.5"], "link_share=1.5"),
        (["--matmul-tflops", "0"], "0.0 FLOP/s"),
        (["--bucket-mb", "0"], "bucket_mb=0"),
        (["--output", "file"], "file"),
        (["--rounds", "2", "--predict-only"], "--rounds"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_leaves_all_files(
    options: list[str], word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    for name in ("file", "parallel.json"):
        (tmp_path / name).write_text("[1]", encoding="utf-8")
    monkeypatch.delattr(benchmark_parallel, "together")
    with pytest.raises(SystemExit) as ended:
        call(monkeypatch, "--output", ".", *options)
    line = str(ended.value)
    assert word in line
    assert "\n" not in line
    assert (tmp_path / "parallel.json").read_text(encoding="utf-8") == "[1]"


@pytest.mark.parametrize("option", ["--rounds", "--updates", "--repeats"])
def test_counts_of_none_are_refused(option: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SystemExit):
        call(monkeypatch, "--output", "unused", option, 0)
