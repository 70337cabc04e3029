"""The model of several processes: its limits, sums by hand, its fit; the script end to end."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark_parallel import main
from hypothesis import given
from hypothesis import strategies as st
from interconnects import GPU, MODELS, N_GPUS, clusters, gpu_work, gradients_of, predict
from measuring import training_flops
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

from transformer.errors import InputError

SCRIPT = Path(__file__).parents[2] / "scripts" / "benchmark_parallel.py"
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


def test_two_processes_are_measured_and_predicted(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    point = {"d_model": 16, "layers": 1, "length": 4, "vocab_size": 20, "batch_tokens": 8}
    command = [sys.executable, str(SCRIPT), "--output", str(tmp_path), "--markdown"]
    command += ["--rounds", "1", "--updates", "1", "--repeats", "2", "--sizes", "[1024, 65536]"]
    command += ["--points", json.dumps([point])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "| big | NVLink 4 | 8 |" in done.stdout
    (row,) = json.loads((tmp_path / "parallel.json").read_text())
    (point_row,) = row["points"]
    product = point_row["machine"] * point_row["communication"]
    assert point_row["efficiency"] == pytest.approx(product)
    assert point_row["predicted_hidden_s"] <= point_row["predicted_exposed_s"]
    assert (tmp_path / "parallel.svg").read_text().startswith("<?xml")


def test_points_that_are_none_are_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--output", "unused", "--points", '[{"width": 1}]']
    monkeypatch.setattr(sys, "argv", ["benchmark_parallel.py", *arguments])
    with pytest.raises(SystemExit):
        main()
    assert "width" in capsys.readouterr().err.splitlines()[-1]
