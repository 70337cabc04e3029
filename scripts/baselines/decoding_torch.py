"""torch.nn.Transformer as a decoding contender: a plain loop, which has no cache.

At each token the decoder reads the whole prefix again. With random weights EOS is forbidden, and
the loop runs for as many tokens as are to be written; else it runs until all K outputs of each
sentence have ended.
"""

import math
import warnings
from typing import cast

import torch
import torch.nn.functional as F
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
from baselines.plain import PlainTransformer
from baselines.weights import PARTS, Shape, Weights, projections, read
from serving import LeftOut, products
from torch import Tensor, nn

ATTENTIONS = {
    "attention": "self_attn",
    "self_attention": "self_attn",
    "cross_attention": "multihead_attn",
}


def encode(model: PlainTransformer, source: Tensor) -> Tensor:
    """[B, S] to [B, S, D]."""
    embedded = model.embed(source)
    padding = source == PAD_ID
    return cast(Tensor, model.transformer.encoder(embedded, src_key_padding_mask=padding))


def next_logits(model: PlainTransformer, target: Tensor, memory: Tensor, padding: Tensor) -> Tensor:
    """Logits [B, V] of what follows the prefixes `target` [B, T]."""
    causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1], target.device)
    hidden = model.transformer.decoder(
        model.embed(target),
        memory,
        tgt_mask=causal,
        tgt_is_causal=True,
        memory_key_padding_mask=padding,
    )
    return F.linear(hidden[:, -1], model.embedding.weight)


def search(
    model: PlainTransformer, source: Tensor, length: int, K: int, *, endless: bool, power: float
) -> Tensor:
    """The best of K outputs of each row of `source` [B, S], at most `length` tokens: [B, T].

    Those that have ended are filled up with PAD and keep their place in the beam; the best has the
    greatest log-probability / T ** power. Where they are `endless`, none has EOS.
    """
    B = len(source)
    memory = encode(model, source).repeat_interleave(K, 0)
    padding = (source == PAD_ID).repeat_interleave(K, 0)
    first_rows = torch.arange(0, B * K, K, device=source.device)[:, None]
    target = torch.full((B * K, 1), BOS_ID, device=source.device)
    ended = torch.zeros(B * K, dtype=torch.bool, device=source.device)
    n_written = torch.zeros(B * K, device=source.device)
    totals = torch.full((B, K), -math.inf, device=source.device)
    totals[:, 0] = 0.0
    for _ in range(length):
        steps = next_logits(model, target, memory, padding).float().log_softmax(-1)
        steps[:, [PAD_ID, EOS_ID] if endless else [PAD_ID]] = -math.inf
        steps[ended] = -math.inf
        steps[ended, PAD_ID] = 0.0
        scores = steps.view(B, K, -1) + totals[:, :, None]  # [B, K, V]
        V = scores.shape[2]
        totals, places = scores.flatten(1).topk(K)  # [B, K]
        rows = (first_rows + places // V).flatten()
        tokens = (places % V).view(-1, 1)
        target = torch.cat([target[rows], tokens], dim=1)
        n_written = n_written[rows] + ~ended[rows]
        ended = ended[rows] | (tokens[:, 0] == EOS_ID)
        if not endless and ended.all():
            break
    best = (totals / n_written.view(B, K) ** power).argmax(1, keepdim=True)  # [B, 1]
    return target[(first_rows + best)[:, 0], 1:]


def build(work: Work) -> System:
    """The loop over the model of `work`, and what there is to say of it."""
    require_shared_embeddings(work)
    if not work["model"]["embedding_scale"]:
        raise LeftOut("it scales its embeddings, which the checkpoint was trained without")
    torch.set_num_threads(work["threads"])
    torch.set_float32_matmul_precision(products(work["precision"]))
    torch.manual_seed(1)
    device = torch.device(work["device"])
    dtype = HALF.get(work["precision"])
    # Its encoder would use nested tensors where nothing is normalised first.
    warnings.filterwarnings("ignore", message="enable_nested_tensor is True")
    model = PlainTransformer(work["model"], work["vocab_size"], most_positions(work))
    if work["weights"]:
        load(model, work["model"], read(work["weights"]))
    model = model.to(device).eval()
    endless, power = not work["checkpoint"], exponent(work)

    @torch.inference_mode()
    def decode(sources: Rows, length: int, beam_size: int) -> Rows:
        source = pad([[*ids, EOS_ID] for ids in sources]).to(device)
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            found = search(model, source, length, beam_size, endless=endless, power=power)
        return [[id_ for id_ in row if id_ != PAD_ID] for row in found.tolist()]

    keeps = "lets ended outputs keep their places in the beam"
    return decode, lambda: final_words(device) | differences(work, keeps)


def load(model: PlainTransformer, shape: Shape, weights: Weights) -> None:
    """Copy the project's `weights` into `model`, all of them."""
    positions = torch.from_numpy(weights["positions"])
    model.positions = nn.Buffer(positions)
    given = {"positions": positions, "embedding.weight": torch.from_numpy(weights["output.weight"])}
    for stack, parts in PARTS.items():
        modules = getattr(model.transformer, stack)
        if shape["norm"] != "pre":
            modules.norm = None
        names = {f"transformer.{stack}.norm": f"{stack}_norm"} if modules.norm is not None else {}
        for number in range(shape[f"{stack}_layers"]):
            to, own = f"transformer.{stack}.layers.{number}", f"{stack}.{number}"
            names |= {f"{to}.linear1": f"{own}.feed_forward.inner"}
            names |= {f"{to}.linear2": f"{own}.feed_forward.outer"}
            for place, (part, residual) in enumerate(parts.items(), start=1):
                names[f"{to}.norm{place}"] = f"{own}.{residual}.norm"
                if part in ATTENTIONS:
                    found = attention(weights, f"{own}.{part}")
                    given |= {f"{to}.{ATTENTIONS[part]}.{name}": x for name, x in found.items()}
        for to, own in names.items():
            for kind in ("weight", "bias"):
                given[f"{to}.{kind}"] = torch.from_numpy(weights[f"{own}.{kind}"])
    model.load_state_dict(given)


def attention(weights: Weights, name: str) -> dict[str, Tensor]:
    """The weights of nn.MultiheadAttention that is to be the attention `name`."""
    *inner, outer = [
        tuple(torch.from_numpy(array) for array in found) for found in projections(weights, name)
    ]
    found = {"in_proj_weight": torch.cat([weight for weight, _ in inner])}
    found["in_proj_bias"] = torch.cat([bias for _, bias in inner])
    return found | {"out_proj.weight": outer[0], "out_proj.bias": outer[1]}


if __name__ == "__main__":
    serve_decoding(build)
