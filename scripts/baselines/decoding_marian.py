"""Hugging Face's MarianMT as a decoding contender: `generate` with its cache.

Weights are random, and always post-norm: Marian knows no other. A bias forbids EOS and padding, so
that outputs go on to `max_new_tokens` without a processor of logits on the clock. In half
precision the weights themselves are half, as its users load them.
"""

from typing import Any

import torch
from baselines.decoding_worker import System, Work, forced_length, serve_decoding
from baselines.loop import EOS_ID, HALF, PAD_ID, final_words, pad
from baselines.marian import library

NEVER = -1e4  # a logit that no token in reach of a beam has, also in fp16


def build(work: Work) -> System:
    """`generate` of a model of random weights, and what there is to say of it."""
    transformers = library()
    torch.set_num_threads(work["threads"])
    torch.set_float32_matmul_precision("high" if work["precision"] == "tf32" else "highest")
    torch.manual_seed(1)
    device = torch.device(work["device"])
    model: Any = transformers.MarianMTModel(make_config(transformers, work))
    model.final_logits_bias[0, [EOS_ID, PAD_ID]] = NEVER
    model = model.to(device, HALF.get(work["precision"], torch.float32)).eval()

    @torch.inference_mode()
    def decode(sources: list[list[int]], length: int, beam_size: int) -> list[int]:
        source = pad([[*ids, EOS_ID] for ids in sources]).to(device)
        found = model.generate(
            input_ids=source,
            attention_mask=(source != PAD_ID).long(),
            num_beams=beam_size,
            do_sample=False,
            max_new_tokens=length,
            early_stopping=False,
        )
        return [n_written(row[1:]) for row in found.tolist()]

    words = {"transformers": transformers.__version__}
    if work["model"]["norm"] == "pre":
        words["differs"] = "normalises after the residual sum, as it knows nothing else"
    return decode, lambda: final_words(device) | words


def make_config(transformers: Any, work: Work) -> Any:
    """The shape of the model of `work`."""
    shape = work["model"]
    sides = {}
    for side in ("encoder", "decoder"):
        sides[f"{side}_layers"] = shape[f"{side}_layers"]
        sides[f"{side}_attention_heads"] = shape["n_heads"]
        sides[f"{side}_ffn_dim"] = shape["d_feed_forward"]
    return transformers.MarianConfig(
        **sides,
        vocab_size=work["vocab_size"],
        decoder_vocab_size=work["vocab_size"],
        d_model=shape["d_model"],
        activation_function="relu",
        scale_embedding=True,
        share_encoder_decoder_embeddings=True,
        tie_word_embeddings=True,
        init_std=shape["d_model"] ** -0.5,
        max_position_embeddings=max(512, forced_length(work["sources"]) + 1),
        pad_token_id=PAD_ID,
        eos_token_id=EOS_ID,
        decoder_start_token_id=PAD_ID,
        forced_eos_token_id=None,
        use_cache=True,
    )


def n_written(row: list[int]) -> int:
    """Tokens of an output, EOS counted, what fills it up not."""
    if EOS_ID in row:
        return row.index(EOS_ID) + 1
    return len(row) - row.count(PAD_ID)


if __name__ == "__main__":
    serve_decoding(build)
