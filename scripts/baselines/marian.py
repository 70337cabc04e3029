"""A plain loop over the MarianMT model of Hugging Face's transformers."""

import sys
from pathlib import Path
from typing import Any

from baselines.loop import (
    BOS_ID,
    DROPOUT,
    EOS_ID,
    PAD_ID,
    System,
    Task,
    compete,
    n_padded,
    n_parameters,
    plain_step,
    tensors_of,
)
from serving import LeftOut
from torch import Tensor


def library() -> Any:
    """The module `transformers`; LeftOut where it is not installed."""
    try:
        import transformers  # noqa: PLC0415
    except ImportError as error:
        raise LeftOut(
            "transformers is not installed; pip install 'transformer-mt[bench]', or name an "
            "interpreter that has it by --python marian=PYTHON"
        ) from error
    return transformers


def build(task: Task) -> System:
    """MarianMT at `task`."""
    transformers = library()
    model = transformers.MarianMTModel(configuration(transformers, task)).to(task.device)

    def logits(source: Tensor, target: Tensor) -> Tensor:
        found = model(
            input_ids=source,
            attention_mask=(source != PAD_ID).long(),
            decoder_input_ids=target,
            use_cache=False,
        )
        return found.logits  # type: ignore[no-any-return]

    words = {"transformers": transformers.__version__, "parameters": n_parameters(model)}
    if task.model["norm"] == "pre":
        words["differs"] = "normalises after the residual sum, as it knows nothing else"
    return System(tensors_of, n_padded, plain_step(model, logits, task), words)


def configuration(transformers: Any, task: Task) -> Any:
    """The shape of `task` in Marian's own words."""
    shape = task.model
    return transformers.MarianConfig(
        vocab_size=task.vocab_size,
        d_model=shape["d_model"],
        encoder_layers=shape["encoder_layers"],
        decoder_layers=shape["decoder_layers"],
        encoder_attention_heads=shape["n_heads"],
        decoder_attention_heads=shape["n_heads"],
        encoder_ffn_dim=shape["d_feed_forward"],
        decoder_ffn_dim=shape["d_feed_forward"],
        max_position_embeddings=task.longest(),
        activation_function="relu",
        dropout=DROPOUT,
        attention_dropout=0.0,
        activation_dropout=0.0,
        scale_embedding=True,
        share_encoder_decoder_embeddings=True,
        tie_word_embeddings=True,
        init_std=shape["d_model"] ** -0.5,
        pad_token_id=PAD_ID,
        bos_token_id=BOS_ID,
        eos_token_id=EOS_ID,
        forced_eos_token_id=None,
        decoder_start_token_id=BOS_ID,
    )


if __name__ == "__main__":
    compete(Task.read(Path(sys.argv[1])), build)
