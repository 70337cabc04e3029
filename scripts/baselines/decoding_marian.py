"""`generate` of Hugging Face's transformers as a decoding contender, with its cache.

The model is Marian, or, where sub-layers are normalised on their input, Pegasus, which is Marian
but for that. With random weights a bias forbids EOS and padding, so that outputs go on to
`max_new_tokens` without a processor of logits on the clock. In half precision the weights
themselves are half, as its users load them.
"""

from collections.abc import Iterator
from typing import Any

import torch
from baselines.decoding_worker import (
    Rows,
    System,
    Work,
    differences,
    exponent,
    most_positions,
    require_shared_embeddings,
    serve_decoding,
)
from baselines.loop import BOS_ID, EOS_ID, HALF, PAD_ID, final_words, pad
from baselines.marian import library
from baselines.weights import PARTS, Shape, Weights, projections, read
from serving import products

NEVER = -1e4  # a logit that no token in reach of a beam has, also in fp16
ATTENTIONS = {
    "attention": "self_attn",
    "self_attention": "self_attn",
    "cross_attention": "encoder_attn",
}
PROJECTIONS = ("q_proj", "k_proj", "v_proj", "out_proj")


def build(work: Work) -> System:
    """`generate` of the model of `work`, and what there is to say of it."""
    transformers = library()
    require_shared_embeddings(work)
    torch.set_num_threads(work["threads"])
    torch.set_float32_matmul_precision(products(work["precision"]))
    torch.manual_seed(1)
    device = torch.device(work["device"])
    model = make_model(transformers, work["model"], work["vocab_size"], most_positions(work))
    if work["weights"]:
        load(model, work["model"], read(work["weights"]))
    else:
        model.final_logits_bias[0, [EOS_ID, PAD_ID]] = NEVER
    model = model.to(device, HALF.get(work["precision"], torch.float32)).eval()

    @torch.inference_mode()
    def decode(sources: Rows, length: int, beam_size: int) -> Rows:
        source = pad([[*ids, EOS_ID] for ids in sources]).to(device)
        found = model.generate(
            input_ids=source,
            attention_mask=(source != PAD_ID).long(),
            num_beams=beam_size,
            do_sample=False,
            max_new_tokens=length,
            early_stopping=False,
            length_penalty=exponent(work),
        )
        return [written(row[1:]) for row in found.tolist()]

    words = {"transformers": transformers.__version__, "class": type(model).__name__}
    stops = "ends a sentence where its best live output, as it is, ranks below all finished ones"
    words |= differences(work, stops)
    return decode, lambda: final_words(device) | words


def make_model(transformers: Any, shape: Shape, vocab_size: int, longest: int) -> Any:
    """The model of that shape, with random weights."""
    is_pre = shape["norm"] == "pre"
    name = "Pegasus" if is_pre else "Marian"
    sides = {}
    for side in ("encoder", "decoder"):
        sides[f"{side}_layers"] = shape[f"{side}_layers"]
        sides[f"{side}_attention_heads"] = shape["n_heads"]
        sides[f"{side}_ffn_dim"] = shape["d_feed_forward"]
    own = {} if is_pre else {"share_encoder_decoder_embeddings": True}
    config = getattr(transformers, f"{name}Config")(
        **sides,
        **own,
        vocab_size=vocab_size,
        d_model=shape["d_model"],
        activation_function="relu",
        scale_embedding=shape["embedding_scale"],
        tie_word_embeddings=True,
        init_std=shape["d_model"] ** -0.5,
        max_position_embeddings=longest,
        pad_token_id=PAD_ID,
        eos_token_id=EOS_ID,
        decoder_start_token_id=BOS_ID,
        forced_eos_token_id=None,
        use_cache=True,
    )
    ending = "ForConditionalGeneration" if is_pre else "MTModel"
    return getattr(transformers, name + ending)(config)


def load(model: Any, shape: Shape, weights: Weights) -> None:
    """Copy the project's `weights` into `model`, all of them."""
    given = {name: torch.from_numpy(array) for name, array in renamed(shape, weights)}
    given["final_logits_bias"] = torch.zeros_like(model.final_logits_bias)
    model.load_state_dict(given)


def renamed(shape: Shape, weights: Weights) -> Iterator[tuple[str, Any]]:
    """The project's `weights` by the names of the library."""
    for name in ("shared", "encoder.embed_tokens", "decoder.embed_tokens"):
        yield f"model.{name}.weight", weights["output.weight"]
    yield "lm_head.weight", weights["output.weight"]
    for stack, parts in PARTS.items():
        yield f"model.{stack}.embed_positions.weight", weights["positions"]
        if shape["norm"] == "pre":
            yield from pair(f"model.{stack}.layer_norm", weights, f"{stack}_norm")
        for number in range(shape[f"{stack}_layers"]):
            to, own = f"model.{stack}.layers.{number}", f"{stack}.{number}"
            for part, residual in parts.items():
                norm = f"{ATTENTIONS.get(part, 'final')}_layer_norm"
                yield from pair(f"{to}.{norm}", weights, f"{own}.{residual}.norm")
                if part in ATTENTIONS:
                    found = projections(weights, f"{own}.{part}")
                    for projection, (weight, bias) in zip(PROJECTIONS, found, strict=True):
                        yield f"{to}.{ATTENTIONS[part]}.{projection}.weight", weight
                        yield f"{to}.{ATTENTIONS[part]}.{projection}.bias", bias
            yield from pair(f"{to}.fc1", weights, f"{own}.feed_forward.inner")
            yield from pair(f"{to}.fc2", weights, f"{own}.feed_forward.outer")


def pair(to: str, weights: Weights, name: str) -> Iterator[tuple[str, Any]]:
    """Weight and bias of the module `name`, for the module `to`."""
    for kind in ("weight", "bias"):
        yield f"{to}.{kind}", weights[f"{name}.{kind}"]


def written(row: list[int]) -> list[int]:
    """The tokens of an output, EOS included, what fills it up not."""
    if EOS_ID in row:
        return row[: row.index(EOS_ID) + 1]
    return [id_ for id_ in row if id_ != PAD_ID]


if __name__ == "__main__":
    serve_decoding(build)
