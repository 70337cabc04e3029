"""The training benchmark, on models and batches that take no time."""

import io
import json
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any, cast

import benchmark_training
import pytest
from baselines.loop import Pairs, Task
from benchmark_training import Measured, Round, figures, main, take_turns, variants_of
from contenders import Contender, tuning
from measuring import training_flops

from transformer.config import ModelConfig
from transformer.errors import InputError

TINY = [
    *("--model=tiny", "--vocab-size=50", "--batch-tokens=64", "--device=cpu", "--threads=1"),
    *("--updates=1", "--rounds=2", "--warmup=1", "--set=model.d_model=8"),
    *("--set=model.d_feed_forward=8", "--set=model.encoder_layers=1"),
]


@pytest.fixture(autouse=True)
def _quick_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Matrix products that take no time either."""
    monkeypatch.setattr("measuring.CPU_SHAPES", [(64, 32, 32)])
    monkeypatch.setattr("measuring.TIMED_FLOPS", 1e6)


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    """Run the script."""
    monkeypatch.setattr(sys, "argv", ["benchmark_training.py", *TINY, *arguments])
    main()


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """What a run without transformers prints, and the file that it adds a row to."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "transformers.py").write_text("raise ImportError('none here')")
    file = folder / "rows.json"
    file.write_text('[{"earlier": 1}]')
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out):
        patch.setattr("measuring.CPU_SHAPES", [(64, 32, 32)])
        patch.setenv("PYTHONPATH", str(folder))
        run(patch, "--baselines=plain,marian", "--tuned", f"--json={file}")
    return out.getvalue().splitlines(), file


def test_a_run_prints_all_figures_and_adds_a_row(ran: tuple[list[str], Path]) -> None:
    lines, file = ran
    row = json.loads(lines[-1])
    assert json.loads(file.read_text()) == [{"earlier": 1}, row]
    assert {"commit", "device", "threads", "torch", "date", "precision"} <= row.keys()
    assert len(row["matmul_gflops"]) == 2
    assert list(row["contenders"]) == ["transformer-mt", "torch.nn.Transformer"]
    for name, found in row["contenders"].items():
        assert any(line.startswith(f"| {name} |") for line in lines)
        assert len(found["source_rounds"]) == len(found["target_rounds"]) == 2
        assert 0 <= found["padding_share"] < 1
        assert found["peak_memory"] > 1e7
        assert found["first_update_s"] > 0
    assert row["contenders"]["transformer-mt"]["ratio"] == 1
    assert row["tuned"] == tuning()
    assert "all contenders with MALLOC_MMAP_MAX_=0 MALLOC_TRIM" in "\n".join(lines)


def test_tuning_is_that_of_every_contender(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []

    class Watched(Exception):  # noqa: N818
        pass

    def begin(name: str, _: Any, *, variables: dict[str, str]) -> Contender:
        seen.append(variables)
        if name == "torch.nn.Transformer":
            raise Watched
        return cast(Contender, Fake(name, []))

    monkeypatch.setattr(benchmark_training, "Contender", begin)
    for words in (["--tuned"], []):
        with pytest.raises(Watched):
            run(monkeypatch, "--baselines=plain", *words)
    assert seen == [tuning(), tuning(), {}, {}]


def test_a_baseline_that_is_not_installed_is_left_out_in_one_line(
    ran: tuple[list[str], Path],
) -> None:
    (line,) = (line for line in ran[0] if line.startswith("MarianMT"))
    assert line.startswith("MarianMT is left out: transformers is not installed; pip install ")


def test_a_broken_file_is_refused_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "rows.json"
    file.write_text("{")
    monkeypatch.setattr(benchmark_training, "read_batches", None)
    with pytest.raises(InputError, match=r"^[^\n]*rows\.json is not JSON[^\n]*$"):
        run(monkeypatch, f"--json={file}")


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("--baselines=fairseq", "there is no fairseq; give all, none"),
        ("--python=marian=/nowhere/python", "is not NAME=INTERPRETER"),
        ("--variant=training.packing", "is not NAME:OVERRIDE"),
        ("--variant=odd:training.paking=true", "odd: training.paking has no effect here"),
        ("--variant=odd:optim.lrr=1", "lrr"),
        ("--variant=wide:model.d_model=16", "wide: model.d_model has no effect here"),
        ("--set=training.accumulate=2", "--set training.accumulate has no effect here"),
        ("--set=seed=3", "--set seed has no effect here"),
    ],
)
def test_a_wrong_option_is_one_line(
    monkeypatch: pytest.MonkeyPatch, argument: str, message: str
) -> None:
    monkeypatch.setattr(benchmark_training, "start", no_contender)
    with pytest.raises(InputError, match=f"^[^\n]*{message}[^\n]*$"):
        run(monkeypatch, argument)


def no_contender(*_: Any, **__: Any) -> Measured:
    """A contender that is not there."""
    return Measured(cast(Contender, None), ModelConfig())


class Fake:
    """A contender that writes down when it is asked."""

    def __init__(self, name: str, log: list[tuple[str, list[int]]]) -> None:
        self.name = name
        self.log = log

    def turn(self, request: dict[str, Any]) -> dict[str, Any]:
        """A turn of a second."""
        self.log.append((self.name, request["batches"]))
        return {"seconds": 1.0, "n_padded_tokens": 4}

    def kill(self) -> None:
        """Nothing runs."""


def test_contenders_take_turns_at_the_same_batches_and_at_the_first_place() -> None:
    log: list[tuple[str, list[int]]] = []
    measured = [Measured(cast(Contender, Fake(name, log)), ModelConfig()) for name in "ab"]
    take_turns(measured, [Round([1], [3], [3]), Round([2], [3], [3]), Round([3], [3], [3])])
    assert log == [("a", [1]), ("b", [1]), ("b", [2]), ("a", [2]), ("a", [3]), ("b", [3])]


def test_figures_are_medians_of_real_tokens_and_shares_of_the_rate() -> None:
    model = ModelConfig(d_model=16, n_heads=2)
    rounds = [Round([n], [5, 3], [2, 4]) for n in range(3)]
    one = Measured(cast(Contender, None), model, seconds=[1.0, 2.0, 4.0], padded=56)
    rate = training_flops(model, 50, [5, 3], [2, 4])  # a second a round
    found = figures(one, rounds, 50, rate)
    assert (found["source_tokens_per_s"], found["target_tokens_per_s"]) == (4, 3)
    assert found["target_rounds"] == [6, 3, 2]
    assert found["matmul_share"] == 0.5
    assert found["outside_ms"] == 1000
    assert found["padding_share"] == 0.25


def test_a_variant_adds_its_overrides_to_those_of_all() -> None:
    found = variants_of(["model=tiny"], ["both:training.packing=true,training.compile=true"])
    assert found == [
        ("transformer-mt", ["model=tiny"]),
        (
            "transformer-mt both",
            ["model=tiny", "training.packing=true", "training.compile=true"],
        ),
    ]
    with pytest.raises(InputError, match="one name"):
        variants_of([], ["a:optim.lr=1", "a:optim.lr=2"])


@pytest.mark.filterwarnings("ignore")
def test_all_systems_train_equally_many_numbers(tmp_path: Path) -> None:
    from baselines import plain, project

    shape = {"encoder_layers": 1, "decoder_layers": 2, "d_model": 8, "d_feed_forward": 12}
    pairs = [Pairs([[5, 6, 3], [7, 3]], [[8, 3], [9, 8, 7, 3]])]
    model = {**shape, "n_heads": 2, "norm": "pre"}
    task = Task(model, 20, "cpu", "fp32", 1, 1, pairs)
    overrides = ["device=cpu", "precision=fp32", f"run_dir={tmp_path / 'run'}"]
    overrides += [f"model.{name}={value}" for name, value in model.items()]
    ours, theirs = project.build(task, overrides, tmp_path), plain.build(task)
    for system in (ours, theirs):
        system.step(system.prepare(pairs[0]))
        assert system.n_padded(system.prepare(pairs[0])) == 6 + 8
    assert ours.words["parameters"] == theirs.words["parameters"]
