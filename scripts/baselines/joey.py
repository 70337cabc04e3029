"""JoeyNMT: its model, loss, optimizer and training step."""

import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from baselines.loop import (
    BETAS,
    BOS_ID,
    CLIP_NORM,
    DROPOUT,
    EOS_ID,
    EPSILON,
    HALF,
    LR,
    PAD_ID,
    SMOOTHING,
    UNK_ID,
    System,
    Task,
    Tensors,
    compete,
    n_padded,
    n_parameters,
    set_dropout,
    tensors_of,
)
from serving import LeftOut
from torch import Tensor, nn


def build(task: Task) -> System:
    """JoeyNMT at `task`."""
    try:
        from joeynmt.training import TrainManager  # noqa: PLC0415
    except ImportError as error:
        raise LeftOut(
            f"joeynmt cannot be imported ({error}); pip install joeynmt into an environment of "
            "its own, and name its interpreter by --python joey=PYTHON"
        ) from error
    if task.precision == "fp16":
        raise LeftOut("its step is measured in fp32, tf32 and bf16 alone; choose one of them")
    device = torch.device(task.device)
    model = build_model(task).to(device)
    manager: Any = SimpleNamespace(
        model=model,
        autocast={
            "device_type": device.type,
            "dtype": HALF.get(task.precision),
            "enabled": task.precision in HALF,
        },
        args=SimpleNamespace(normalization="tokens", batch_multiplier=1),
        n_gpu=int(device.type == "cuda"),
        scaler=None,
    )
    step = step_of(model, lambda batch: TrainManager._train_step(manager, batch), device)
    words = {
        "joeynmt": version("joeynmt"),
        "parameters": n_parameters(model),
        "differs": "spreads label smoothing over V - 2 pieces; LayerNorm's epsilon is 1e-6",
    }
    return System(tensors_of, n_padded, step, words)


def build_model(task: Task) -> Any:
    """Its model in the shape of `task`; drops out on residuals and embeddings."""
    from joeynmt.model import build_model as joey_model  # noqa: PLC0415
    from joeynmt.transformer_layers import (  # noqa: PLC0415
        MultiHeadedAttention,
        PositionwiseFeedForward,
    )

    vocabulary = build_vocabulary(task.vocab_size)
    config = {
        "initializer": "xavier_uniform",
        "embed_initializer": "normal",
        "embed_init_weight": task.model["d_model"] ** -0.5,
        "tied_embeddings": True,
        "tied_softmax": True,
        **{side: side_config(task.model, side) for side in ("encoder", "decoder")},
    }
    model = joey_model(config, src_vocab=vocabulary, trg_vocab=vocabulary)
    model.loss_function = ("crossentropy", SMOOTHING)
    for module in model.modules():
        if isinstance(module, MultiHeadedAttention):
            set_dropout([module.dropout], 0.0)
        if isinstance(module, PositionwiseFeedForward):
            inner = next(part for part in module.pwff_layer if isinstance(part, nn.Dropout))
            set_dropout([inner], 0.0)
    return model


def side_config(shape: dict[str, Any], side: str) -> dict[str, Any]:
    """The settings of the `encoder` or the `decoder`."""
    d_model = shape["d_model"]
    return {
        "type": "transformer",
        "num_layers": shape[f"{side}_layers"],
        "num_heads": shape["n_heads"],
        "embeddings": {"embedding_dim": d_model, "scale": True, "dropout": DROPOUT},
        "hidden_size": d_model,
        "ff_size": shape["d_feed_forward"],
        "dropout": DROPOUT,
        "layer_norm": shape["norm"],
        "activation": "relu",
    }


def build_vocabulary(size: int) -> Any:
    """A vocabulary of `size` pieces; its ids of PAD and UNK are those of the task, swapped."""
    from joeynmt.vocabulary import Vocabulary  # noqa: PLC0415

    names = {"unk": PAD_ID, "pad": UNK_ID, "bos": BOS_ID, "eos": EOS_ID}
    config = SimpleNamespace(lang_tags=[], sep_token=None, sep_id=None)
    for name, id_ in names.items():
        setattr(config, f"{name}_token", f"<{name}>")
        setattr(config, f"{name}_id", id_)
    return Vocabulary([f"p{i}" for i in range(len(names), size)], config)


def step_of(
    model: nn.Module, train_step: Callable[[Any], Any], device: torch.device
) -> Callable[[Tensors], None]:
    """An update as its loop makes it: its training step, clipping and optimizer."""
    from joeynmt.batch import Batch  # noqa: PLC0415
    from joeynmt.builders import build_gradient_clipper, build_optimizer  # noqa: PLC0415

    config = {"optimizer": "adam", "learning_rate": LR, "adam_betas": BETAS}
    optimizer = build_optimizer(config, model.parameters())
    optimizer.param_groups[0]["eps"] = EPSILON
    clip = build_gradient_clipper({"clip_grad_val": None, "clip_grad_norm": CLIP_NORM})

    def step(batch: Tensors) -> None:
        B = len(batch.source)
        starts = torch.full((B, 1), BOS_ID)
        train_step(
            Batch(
                src=swapped(batch.source),
                src_length=(batch.source != PAD_ID).sum(1),
                src_prompt_mask=None,
                trg=swapped(torch.cat([starts, batch.labels], dim=1)),
                trg_prompt_mask=None,
                indices=torch.arange(B),
                device=device,
                pad_index=UNK_ID,
                eos_index=EOS_ID,
            )
        )
        clip(parameters=model.parameters())
        optimizer.step()
        model.zero_grad()

    return step


def swapped(ids: Tensor) -> Tensor:
    """`ids` with those of PAD and UNK, 0 and 1, in each other's place."""
    return torch.where(ids < 2, 1 - ids, ids)


if __name__ == "__main__":
    compete(Task.read(Path(sys.argv[1])), build)
