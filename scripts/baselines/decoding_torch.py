"""torch.nn.Transformer as a decoding contender: a plain loop, which has no cache.

At each token the decoder reads the whole prefix again. Weights are random; EOS is forbidden, and
the loop runs for as many tokens as are to be written.
"""

import math
from typing import cast

import torch
import torch.nn.functional as F
from baselines.decoding_worker import System, Work, forced_length, serve_decoding
from baselines.loop import BOS_ID, EOS_ID, HALF, PAD_ID, final_words, pad
from baselines.plain import PlainTransformer
from torch import Tensor, nn


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


def search(model: PlainTransformer, source: Tensor, length: int, K: int) -> Tensor:
    """The best of K prefixes of each row of `source` [B, S] after `length` tokens: [B, length]."""
    B = len(source)
    memory = encode(model, source).repeat_interleave(K, 0)
    padding = (source == PAD_ID).repeat_interleave(K, 0)
    first_rows = torch.arange(0, B * K, K, device=source.device)[:, None]
    target = torch.full((B * K, 1), BOS_ID, device=source.device)
    totals = torch.full((B, K), -math.inf, device=source.device)
    totals[:, 0] = 0.0
    for _ in range(length):
        logits = next_logits(model, target, memory, padding).float()
        logits[:, EOS_ID] = -math.inf
        scores = logits.log_softmax(-1).view(B, K, -1) + totals[:, :, None]  # [B, K, V]
        V = scores.shape[2]
        totals, places = scores.flatten(1).topk(K)  # [B, K]
        rows = (first_rows + places // V).flatten()
        target = torch.cat([target[rows], (places % V).view(-1, 1)], dim=1)
    return target.view(B, K, -1)[:, 0, 1:]


def build(work: Work) -> System:
    """The loop over a model of random weights, and what there is to say of it."""
    torch.set_num_threads(work["threads"])
    torch.set_float32_matmul_precision("high" if work["precision"] == "tf32" else "highest")
    torch.manual_seed(1)
    device = torch.device(work["device"])
    dtype = HALF.get(work["precision"])
    longest = max(512, forced_length(work["sources"]))
    model = PlainTransformer(work["model"], work["vocab_size"], longest).to(device).eval()

    @torch.inference_mode()
    def decode(sources: list[list[int]], length: int, beam_size: int) -> list[int]:
        source = pad([[*ids, EOS_ID] for ids in sources])
        with torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
            found = search(model, source.to(device), length, beam_size)
        return [len(row) for row in found.tolist()]

    return decode, lambda: final_words(device)


if __name__ == "__main__":
    serve_decoding(build)
