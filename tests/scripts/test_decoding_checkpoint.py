"""The decoding benchmark with a checkpoint: what systems write, and how it is judged."""

import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

import benchmark_decoding
import pytest
import torch
from baselines import decoding_marian, decoding_project, decoding_torch, decoding_worker
from baselines.decoding_report import Report
from baselines.decoding_work import Judge, exported, make_job
from baselines.plain import PlainTransformer
from baselines.weights import write
from serving import LeftOut

from transformer.checkpoint import Contents, model_weights, save_checkpoint
from transformer.config import (
    LengthNormalization,
    ModelConfig,
    PhrasebookConfig,
    Precision,
    SearchConfig,
    TokenizerConfig,
    TrainSettings,
    TranslateSettings,
    to_mapping,
)
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, Tokenizers, train_tokenizers

SHAPE = ModelConfig(encoder_layers=1, decoder_layers=2, d_model=16, d_feed_forward=24, n_heads=2)
V = 276
LINES = ["a cat sees the dog", "the dog sees a cat", "a tree", "the tree is a home"]
SOURCES = [[number, 9, 30] for number in range(EOS_ID + 1, 20)]
PLAIN = SearchConfig(normalization=LengthNormalization.plain)

# torch.nn.Transformer makes them of padded sources by itself.
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors:UserWarning")


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    return train_tokenizers([(x, x) for x in LINES], TokenizerConfig(vocab_size=V))


def request(folder: Path, search: SearchConfig) -> dict[str, Any]:
    checkpoint = str(folder / "checkpoint")
    return to_mapping(TranslateSettings(checkpoint=checkpoint, search=search, device="cpu"))


def make_model(weight: float = 1.0) -> Transformer:
    torch.manual_seed(3)
    model = Transformer(SHAPE, source_vocab_size=V, target_vocab_size=V, pad_id=PAD_ID).eval()
    with torch.no_grad():  # on EOS, which the search then finds or not
        model.output.weight[EOS_ID] *= weight
    return model


def save(model: Transformer, tokenizers: Tokenizers, folder: Path) -> dict[str, Any]:
    """The work of a checkpoint of `model` in `folder`."""
    data = PhrasebookConfig(source="en", target="de")
    settings = TrainSettings(data=data, model=SHAPE, run_dir=str(folder))
    contents = Contents(model_weights(model), settings, tokenizers, {}, None)
    save_checkpoint(folder / "checkpoint", contents)
    write(exported(model, 600), folder / "weights.npz")
    return {
        "sources": SOURCES,
        "model": to_mapping(SHAPE),
        "vocab_size": V,
        "device": "cpu",
        "precision": "fp32",
        "threads": 1,
        "search": to_mapping(PLAIN),
        "request": request(folder, PLAIN),
        "checkpoint": str(folder / "checkpoint"),
        "weights": str(folder / "weights.npz"),
    }


@torch.no_grad()
def greedy(model: Transformer, source: list[int], limit: int) -> list[int]:
    ids = [BOS_ID]
    memory = torch.tensor([[*source, EOS_ID]])
    while len(ids) <= limit and ids[-1] != EOS_ID:
        logits = model.step(torch.tensor([ids]), model.start(memory))[0, -1]
        logits[[PAD_ID, BOS_ID]] = -torch.inf
        ids.append(int(logits.argmax()))
    return ids[1:]


@pytest.mark.parametrize(("weight", "finished"), [(1, False), (4, True)])
@pytest.mark.parametrize("system", [decoding_project, decoding_torch])
def test_a_checkpoint_writes_what_its_model_finds(
    tmp_path: Path, tokenizers: Tokenizers, system: Any, weight: int, finished: bool
) -> None:
    model = make_model(weight)
    work = save(model, tokenizers, tmp_path)
    decode, _ = system.build(work)
    limit = decoding_worker.natural_length(work, SOURCES)
    assert limit == 34
    found = decode(SOURCES, limit, 1)
    assert found == [greedy(model, source, limit) for source in SOURCES]
    assert any(row[-1] == EOS_ID for row in found) is finished


@pytest.mark.parametrize("power", [0.0, 1.0, 3.0])
@torch.no_grad()
def test_the_plain_loop_with_a_beam_of_all_finds_the_best_by_a_power_of_the_length(
    power: float,
) -> None:
    torch.manual_seed(1)
    n = 12
    model = PlainTransformer(to_mapping(SHAPE), n, 9).eval()
    source = torch.tensor([[5, 6, 7, EOS_ID], [8, EOS_ID, PAD_ID, PAD_ID]])
    found = decoding_torch.search(model, source, 2, n * n, endless=False, power=power)
    tokens = [id_ for id_ in range(n) if id_ != PAD_ID]
    others = [id_ for id_ in tokens if id_ != EOS_ID]
    for row, best in zip(source, found, strict=True):
        scores = {}
        for ids in [(EOS_ID,), *product(others, tokens)]:
            target = torch.tensor([[BOS_ID, *ids[:-1]]])
            steps = model(row[None], target).log_softmax(-1)[0]
            total = sum(float(steps[t, id_]) for t, id_ in enumerate(ids))
            scores[ids] = total / len(ids) ** power
        assert tuple(id_ for id_ in best.tolist() if id_ != PAD_ID) == max(
            scores, key=lambda ids: scores[ids]
        )


def test_a_limit_of_the_search_holds_for_all(tmp_path: Path, tokenizers: Tokenizers) -> None:
    work = save(make_model(), tokenizers, tmp_path)
    limited = SearchConfig(max_length=5)
    work |= {"search": to_mapping(limited), "request": request(tmp_path, limited)}
    decode, _ = decoding_project.build(work)
    batches = [[0, 1], [2]]
    assert decoding_worker.timed(decode, work, batches, 2)["written"] == [[5, 5], [5]]
    assert decoding_worker.greatest_length(work, SOURCES) == 5


def test_what_a_system_cannot_do_as_the_project_is_said() -> None:
    work = {"checkpoint": "x", "search": to_mapping(SearchConfig())}
    said = decoding_worker.differences(work, "stops early")["differs"]
    assert "not by wu" in said
    assert "stops early" in said
    work["search"] = to_mapping(PLAIN)
    assert "ranks" not in decoding_worker.differences(work)["differs"]
    assert decoding_worker.differences(work | {"checkpoint": None}) == {}


@pytest.mark.parametrize(
    ("normalization", "power"), [("plain", 0.6), ("none", 0.0), ("wu", 1.0), ("reward", 1.0)]
)
def test_other_systems_divide_by_a_power_of_the_length(normalization: str, power: float) -> None:
    search = {"normalization": normalization, "length_penalty": 0.6}
    assert decoding_worker.exponent({"search": search}) == power


def test_a_system_with_one_embedding_is_left_out_where_there_are_more() -> None:
    work = {"checkpoint": "x", "model": {"tying": "two_way"}}
    with pytest.raises(LeftOut, match="tying=two_way"):
        decoding_worker.require_shared_embeddings(work)
    decoding_worker.require_shared_embeddings(work | {"checkpoint": None})


def test_what_fills_an_output_up_is_not_of_it() -> None:
    assert decoding_marian.written([7, 8, EOS_ID, PAD_ID]) == [7, 8, EOS_ID]
    assert decoding_marian.written([7, 8, 9]) == [7, 8, 9]


def test_outputs_are_judged_as_text_and_beside_the_projects(tokenizers: Tokenizers) -> None:
    ids = [[*row, EOS_ID] for row in tokenizers.target.encode(LINES)]
    judge = Judge(tokenizers.target, "en", LINES)
    found = judge.quality(ids, ids)
    assert found["bleu"] == 100.0
    assert found["same_outputs"] == 1.0
    found = judge.quality([*ids[:3], ids[2]], ids)
    assert found["bleu"] < 100
    assert found["same_outputs"] == 0.75
    assert "bleu" not in Judge(tokenizers.target, "en", None).quality(ids, ids)


def test_outputs_come_back_in_the_order_of_the_sources() -> None:
    work = {"batches": {"2": [[2, 0], [1]]}, "sources": [[7], [8], [9]]}
    report = Report(work, SHAPE, rates=[1.0], beam_size=2)
    assert report.outputs({"outputs": [[[9], [7]], [[8]]]}) == [[7], [8], [9]]


def arguments_of(folder: Path, *words: str) -> Any:
    (folder / "source").write_text("\n".join([*LINES[:2], "", *LINES[2:]]) + "\n")
    files = ["--checkpoint", str(folder / "checkpoint"), "--source", str(folder / "source")]
    return benchmark_decoding.parse([*files, *words])


def test_references_stand_beside_the_sentences_that_are_decoded(
    tmp_path: Path, tokenizers: Tokenizers
) -> None:
    save(make_model(), tokenizers, tmp_path)
    (tmp_path / "reference").write_text("1\n2\nnone\n3\n4\n")
    words = ["--reference", str(tmp_path / "reference"), "--sentences", "3"]
    cpu = torch.device("cpu")
    job = make_job(arguments_of(tmp_path, *words), cpu, Precision.fp32, tmp_path)
    assert job.work["sources"] == tokenizers.source.encode([*LINES[:2], LINES[2]])
    assert job.judge is not None
    assert job.judge.references == ["1", "2", "3"]
    assert job.work["search"]["normalization"] == "plain"
    (tmp_path / "reference").write_text("1\n2\n")
    with pytest.raises(InputError, match="has 2 lines"):
        make_job(arguments_of(tmp_path, *words), cpu, Precision.fp32, tmp_path)


def test_a_checkpoint_is_decoded_by_all_and_judged(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    tmp_path: Path,
    tokenizers: Tokenizers,
) -> None:
    save(make_model(4), tokenizers, tmp_path)
    arguments_of(tmp_path)
    source, file = str(tmp_path / "source"), tmp_path / "rows.json"
    words = [
        *("--checkpoint", str(tmp_path / "checkpoint"), "--source", source, "--reference", source),
        *("--rounds", "1", "--singles", "1", "--threads", "1", "--device", "cpu"),
        *("--beam-size", "1", "--search", "normalization=plain", "max_length=9"),
        *("--json", str(file), "--baselines", "plain"),
    ]
    monkeypatch.setattr(sys, "argv", ["benchmark_decoding.py", *words])
    monkeypatch.setattr(benchmark_decoding, "matmul_rate", lambda *_: 1e12)
    benchmark_decoding.main()
    (row,) = json.loads(file.read_text())
    assert row["lengths"] == "natural"
    assert row["search"] == {"normalization": "plain", "patience": 1.0, "max_length": 9}
    systems = row["systems"]
    assert [found["same_outputs"] for found in systems.values()] == [1, 1]
    assert systems.keys() == {benchmark_decoding.PROJECT, "plain"}
    assert all(found["bleu"] >= 0 for found in systems.values())
    assert "BLEU | same outputs" in capfd.readouterr().out
