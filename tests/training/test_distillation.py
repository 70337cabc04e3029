"""Properties of word-level distillation: a student that learns a teacher's distributions."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from transformer.checkpoint import Contents, model_weights, save_checkpoint
from transformer.config import (
    ContextConfig,
    DistillationConfig,
    FilesConfig,
    Precision,
    TrainSettings,
    Tying,
)
from transformer.errors import InputError
from transformer.model import Transformer
from transformer.text.batching import Batch
from transformer.text.dataset import PreparedData, prepare_data
from transformer.text.tokenizer import PAD_ID, Tokenizers
from transformer.training import objective, objectives
from transformer.training.objective import Objective, batch_loss
from transformer.training.objectives import build_objective, find_teacher

CPU = torch.device("cpu")
VOCAB_SIZE = 18
MANY = ["a", {"path": "b", "target": "zh"}]  # corpora of two directions
DROPOUT = {"dropout": 0.2, "embedding_dropout": 0.1, "attention_dropout": 0.2}
Build = Callable[..., Transformer]
Distil = Callable[..., Objective]


@pytest.fixture
def data(settings: TrainSettings) -> PreparedData:
    return prepare_data(settings.data, settings.tokenizer, settings.cleaning)


@pytest.fixture
def batch(make_batch: Callable[..., Batch]) -> Batch:
    """Three pairs of unequal length with padding to spare."""
    pairs = [([5, 7], [9, 4, 8, 15, 6]), ([16], [5]), ([4, 5, 6, 7], [11, 12])]
    return make_batch(pairs, extra=1)


@pytest.fixture
def teacher(settings: TrainSettings) -> Transformer:
    """A teacher, wider than the student, in evaluation mode."""
    return build_teacher(settings, VOCAB_SIZE, VOCAB_SIZE).double().eval()


def build_teacher(settings: TrainSettings, source_size: int, target_size: int) -> Transformer:
    torch.manual_seed(5)
    return Transformer(
        settings.model,
        source_vocab_size=source_size,
        target_vocab_size=target_size,
        pad_id=PAD_ID,
    )


@pytest.fixture
def save_teacher(settings: TrainSettings, tmp_path: Path) -> Callable[..., str]:
    """Saves a checkpoint with the given vocabularies; gives its folder."""

    def save(tokenizers: Tokenizers, **changes: Any) -> str:
        own = replace(settings, model=replace(settings.model, tying=Tying.two_way), **changes)
        model = build_teacher(own, tokenizers.source.vocab_size, tokenizers.target.vocab_size)
        contents = Contents(model_weights(model), own, tokenizers, {}, None)
        save_checkpoint(tmp_path / "teacher", contents)
        return str(tmp_path / "teacher")

    return save


@pytest.fixture
def distil(
    monkeypatch: pytest.MonkeyPatch,
    settings: TrainSettings,
    data: PreparedData,
    teacher: Transformer,
) -> Distil:
    """Builds the objective with `teacher`, or another model in its place."""

    def build(model: Transformer = teacher, rdrop: float = 0.0, **values: Any) -> Objective:
        monkeypatch.setattr(objectives, "load_teacher", lambda *_: model)
        config = DistillationConfig(teacher="runs/teacher", **values)
        training = replace(settings.training, distillation=config, rdrop=rdrop)
        return build_objective(
            replace(settings, training=training), data, CPU, precision=Precision.fp32
        )

    return build


def logits_at_labels(model: Transformer, batch: Batch, n_passes: int) -> Tensor:
    """[passes, N, V], of several dropouts in one forward pass."""
    source, target = batch.source.repeat(n_passes, 1), batch.target.repeat(n_passes, 1)
    logits = model.step(target, model.start(source)).chunk(n_passes)
    return torch.stack([part.flatten(0, 1)[batch.label_positions] for part in logits])


def naive(
    student: Transformer, teacher: Transformer, batch: Batch, config: dict[str, float]
) -> Tensor:
    """The loss in the words of its papers, from all logits at once."""
    rdrop, w, T = config["rdrop"], config["weight"], config["temperature"]
    labels = batch.labels.flatten()[batch.label_positions]
    logits = logits_at_labels(student, batch, 2 if rdrop else 1)
    with torch.no_grad():
        expected = (logits_at_labels(teacher, batch, 1)[0] / T).softmax(-1)
    total = logits.new_zeros(())
    for one in logits:
        smoothed = F.cross_entropy(one, labels, label_smoothing=0.1, reduction="sum")
        taught = F.cross_entropy(one / T, expected, reduction="sum")
        total = total + ((1 - w) * smoothed + w * T**2 * taught) / len(logits)
    first, second = logits[0].log_softmax(-1), logits[-1].log_softmax(-1)
    there = F.kl_div(second, first, log_target=True, reduction="sum")
    back = F.kl_div(first, second, log_target=True, reduction="sum")
    return total + rdrop * (there + back) / 2


def gradients(model: Transformer, loss: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(loss, list(model.parameters()))


@pytest.mark.parametrize("chunk", [1, 5, 512])
@pytest.mark.parametrize("rdrop", [0.0, 2.0])
@pytest.mark.parametrize(("weight", "temperature"), [(0.5, 1.0), (0.7, 2.0), (1.0, 0.5)])
def test_loss_and_gradients_are_those_of_the_papers(
    monkeypatch: pytest.MonkeyPatch,
    build_model: Build,
    teacher: Transformer,
    batch: Batch,
    distil: Distil,
    chunk: int,
    rdrop: float,
    weight: float,
    temperature: float,
) -> None:
    monkeypatch.setattr(objective, "chunk_rows", lambda *_: chunk)
    student = build_model(vocab_size=VOCAB_SIZE, **DROPOUT)
    config = {"rdrop": rdrop, "weight": weight, "temperature": temperature}
    torch.manual_seed(1)
    found = distil(**config)(student, batch).smoothed
    torch.manual_seed(1)
    expected = naive(student, teacher, batch, config)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    ours, theirs = gradients(student, found), gradients(student, expected)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_a_student_that_equals_its_teacher_has_nothing_to_learn(
    build_model: Build, batch: Batch, distil: Distil, temperature: float
) -> None:
    student, teacher = (build_model(vocab_size=VOCAB_SIZE) for _ in range(2))
    loss = distil(teacher.eval(), weight=1.0, temperature=temperature)(student, batch)
    for gradient in gradients(student, loss.smoothed):
        assert float(gradient.abs().max()) < 1e-12


def test_the_teacher_does_not_disturb_the_students_dropout(
    build_model: Build, batch: Batch, distil: Distil
) -> None:
    student = build_model(vocab_size=VOCAB_SIZE, **DROPOUT)
    torch.manual_seed(8)
    plain = batch_loss(student, batch, 0.1)
    after = torch.get_rng_state()
    torch.manual_seed(8)
    taught = distil()(student, batch)
    assert torch.equal(torch.get_rng_state(), after)
    torch.testing.assert_close(taught.nll, plain.nll, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.bfloat16, 5e-2), (torch.float16, 1e-2)], ids=["bf16", "fp16"]
)
def test_half_precision_stays_near_full_precision(
    build_model: Build, batch: Batch, distil: Distil, dtype: torch.dtype, tolerance: float
) -> None:
    student = build_model(torch.float32, vocab_size=4000)
    teacher = build_model(torch.float32, vocab_size=4000, d_model=24).eval()
    loss = distil(teacher, temperature=4.0)
    exact = loss(student, batch)
    with torch.autocast("cpu", dtype=dtype):
        found = loss(student, batch)
    torch.testing.assert_close(found, exact, rtol=tolerance, atol=0)
    (ours,) = torch.autograd.grad(found.smoothed, [student.output.weight])
    (theirs,) = torch.autograd.grad(exact.smoothed, [student.output.weight])
    assert ours.isfinite().all()
    assert float((ours - theirs).norm() / theirs.norm()) < tolerance


def configured(settings: TrainSettings, teacher: str) -> TrainSettings:
    config = DistillationConfig(teacher=teacher)
    return replace(settings, training=replace(settings.training, distillation=config))


def test_the_teacher_is_read_once_and_never_learns(
    settings: TrainSettings, data: PreparedData, save_teacher: Callable[[Tokenizers], str]
) -> None:
    path = save_teacher(data.tokenizers)
    first = objectives.load_teacher(path, data.tokenizers, CPU)
    assert objectives.load_teacher(path, data.tokenizers, CPU) is first
    assert not first.training
    assert not any(parameter.requires_grad for parameter in first.parameters())


def test_an_objective_is_built_from_a_checkpoint(
    settings: TrainSettings,
    data: PreparedData,
    save_teacher: Callable[[Tokenizers], str],
    build_model: Build,
    batch: Batch,
) -> None:
    path = save_teacher(data.tokenizers)
    student = build_model(torch.float32, vocab_size=data.tokenizers.source.vocab_size)
    loss = build_objective(configured(settings, path), data, CPU, Precision.fp32)(student, batch)
    teacher = objectives.load_teacher(path, data.tokenizers, CPU)
    config = {"rdrop": 0.0, "weight": 0.5, "temperature": 1.0}
    expected = naive(student, teacher, batch, config)
    torch.testing.assert_close(loss.smoothed, expected, rtol=1e-5, atol=0)


@pytest.mark.parametrize("side", ["source", "target"])
def test_a_teacher_with_another_vocabulary_is_refused(
    settings: TrainSettings,
    data: PreparedData,
    save_teacher: Callable[[Tokenizers], str],
    side: str,
) -> None:
    own = data.tokenizers.source
    config = replace(settings.tokenizer, user_symbols=["<2yy>"])
    other = prepare_data(settings.data, config, settings.cleaning).tokenizers.source
    assert other.model != own.model
    tokenizers = Tokenizers(other, own) if side == "source" else Tokenizers(own, other)
    path = save_teacher(tokenizers)
    with pytest.raises(InputError, match=f"another vocabulary.*tokenizer.init_from={path}"):
        build_objective(configured(settings, path), data, CPU, Precision.fp32)


@pytest.mark.parametrize(
    ("teacher", "student", "message"),
    [
        ({}, {}, None),
        ({"train": MANY}, {"train": MANY}, None),
        ({"train": [*MANY, {"path": "c", "target": "fr"}]}, {"train": MANY}, None),
        ({"train": MANY}, {}, "the teacher translates into de, zh, this run into de alone"),
        ({}, {"train": MANY}, "the teacher translates into de alone, this run into de, zh"),
        ({}, {"context": ContextConfig(source=1)}, r"data\.context 0, 0, this run has 1, 0"),
    ],
)
def test_a_teacher_reads_what_its_student_does(
    settings: TrainSettings,
    data: PreparedData,
    save_teacher: Callable[..., str],
    teacher: dict[str, Any],
    student: dict[str, Any],
    message: str | None,
) -> None:
    theirs, ours = (
        FilesConfig(**{"source": "en", "target": "de", "train": "a", "valid": "v", **each})
        for each in (teacher, student)
    )
    path = save_teacher(data.tokenizers, data=theirs)
    run = replace(configured(settings, path), data=ours)
    if message is None:
        assert find_teacher(run) == Path(path)
        return
    with pytest.raises(InputError, match=f"^training.distillation.teacher={path}: .*{message}"):
        find_teacher(run)


def test_a_missing_teacher_is_named_by_its_key(
    settings: TrainSettings, data: PreparedData, tmp_path: Path
) -> None:
    path = str(tmp_path / "nothing")
    with pytest.raises(InputError, match=r"^training.distillation.teacher=.*does not exist"):
        build_objective(configured(settings, path), data, CPU, Precision.fp32)
