"""Training speed beside a plain loop over torch.nn.Transformer: same shape, batches and threads.

The two take turns on the same batches, so that a machine whose speed drifts favours neither.
Speed is in real target tokens a second (EOS counted, padding not); the ratio is of the medians.

    python scripts/benchmark_training.py                          # the embedded corpus
    python scripts/benchmark_training.py --train DIR/train --source en --target de
"""

import argparse
import json
import math
import platform
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from transformer.config import (
    DataConfig,
    FilesConfig,
    ModelConfig,
    Norm,
    OptimConfig,
    PhrasebookConfig,
    Precision,
    TokenizerConfig,
)
from transformer.device import choose_device, choose_precision, set_threads
from transformer.model import Transformer
from transformer.model.positions import sinusoids
from transformer.text.batching import Batch, make_loader, plan_epoch
from transformer.text.dataset import prepare_data
from transformer.text.tokenizer import PAD_ID
from transformer.training.objective import batch_loss
from transformer.training.schedule import build_schedule
from transformer.training.stream import Position, UpdateBatches, Work
from transformer.training.update import Updater, padded_size

Step = Callable[[Batch], None]  # one update


class PlainTransformer(nn.Module):
    """torch.nn.Transformer with tied embeddings; drops out where the project does."""

    def __init__(self, config: ModelConfig, vocab_size: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, config.d_model)
        nn.init.normal_(self.embedding.weight, std=config.d_model**-0.5)
        self.transformer = nn.Transformer(
            config.d_model,
            config.n_heads,
            config.encoder_layers,
            config.decoder_layers,
            config.d_feed_forward,
            config.dropout,
            batch_first=True,
            norm_first=config.norm is Norm.pre,
        )
        for module in self.transformer.modules():
            if isinstance(module, nn.MultiheadAttention):
                module.dropout = config.attention_dropout
            if isinstance(module, nn.TransformerEncoderLayer | nn.TransformerDecoderLayer):
                module.dropout.p = config.feed_forward_dropout
        self.positions = nn.Buffer(sinusoids(512, config.d_model).float())
        self.dropout = nn.Dropout(config.embedding_dropout)

    def embed(self, tokens: Tensor) -> Tensor:
        """[B, T] to [B, T, D]."""
        x = self.embedding(tokens) * math.sqrt(self.embedding.embedding_dim)
        return self.dropout(x + self.positions[: tokens.shape[1]])  # type: ignore[no-any-return]

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Logits [B, T, V]."""
        padding = source == PAD_ID
        causal = nn.Transformer.generate_square_subsequent_mask(target.shape[1], source.device)
        hidden = self.transformer(
            self.embed(source),
            self.embed(target),
            tgt_mask=causal,
            tgt_is_causal=True,
            src_key_padding_mask=padding,
            memory_key_padding_mask=padding,
        )
        return F.linear(hidden, self.embedding.weight)


def plain_step(config: ModelConfig, vocab_size: int, device: torch.device) -> Step:
    """An update as a plain loop does it, in fp32."""
    model = PlainTransformer(config, vocab_size).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), eps=1e-9)

    def step(batch: Batch) -> None:
        batch = batch.to(device)
        logits = model(batch.source, batch.target).flatten(0, 1)
        labels = batch.labels.flatten()
        loss = F.cross_entropy(logits, labels, ignore_index=PAD_ID, label_smoothing=0.1)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step


def project_step(
    config: ModelConfig, vocab_size: int, device: torch.device, precision: Precision
) -> Step:
    """An update as the project does it."""
    model = Transformer(
        config, source_vocab_size=vocab_size, target_vocab_size=vocab_size, pad_id=PAD_ID
    )
    optim = OptimConfig(lr=1e-4)
    objective = partial(batch_loss, smoothing=0.1)
    updater = Updater(model.to(device), objective, optim, build_schedule(optim, 1000), precision)
    rows = np.arange(0)

    def step(batch: Batch) -> None:
        counts = batch.n_source_tokens, batch.n_target_tokens, padded_size(batch)
        updater.update(UpdateBatches([Work(batch, rows, seed=1)], *counts, Position(1), 0.0))

    return step


def speed(step: Step, batches: Sequence[Batch], device: torch.device) -> float:
    """Real target tokens a second."""
    started = time.perf_counter()
    for batch in batches:
        step(batch)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return sum(b.n_target_tokens for b in batches) / (time.perf_counter() - started)


def main() -> None:
    """Measure, and print one JSON line."""
    arguments = parse()
    torch.manual_seed(1)
    set_threads(arguments.threads)
    device = choose_device(arguments.device)
    precision = choose_precision(Precision[arguments.precision], device)
    config = ModelConfig(
        encoder_layers=3,
        decoder_layers=3,
        d_model=256,
        d_feed_forward=1024,
        n_heads=4,
        norm=Norm.pre,
    )
    batches, vocab_size = read_batches(arguments)
    steps = {
        "transformer-mt": project_step(config, vocab_size, device, precision),
        "torch.nn.Transformer": plain_step(config, vocab_size, device),
    }
    for step in steps.values():
        speed(step, batches[:2], device)
    speeds: dict[str, list[float]] = {name: [] for name in steps}
    for start in range(0, len(batches), arguments.updates):
        for name, step in steps.items():
            speeds[name].append(speed(step, batches[start : start + arguments.updates], device))
    ours, plain = (median(values) for values in speeds.values())
    print(
        json.dumps(
            {
                "target_tokens_per_s": {
                    name: [round(v) for v in values] for name, values in speeds.items()
                },
                "ratio": round(ours / plain, 3),
                "precision": precision.name,
                "device": str(device),
                "threads": torch.get_num_threads(),
                "torch": torch.__version__,
                "processor": platform.processor() or platform.machine(),
            }
        )
    )


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--train", help="stem of two text files; default: the phrasebook")
    parser.add_argument("--source", default="en")
    parser.add_argument("--target", default="de")
    parser.add_argument("--vocab-size", type=int)
    parser.add_argument("--batch-tokens", type=int, default=4096)
    parser.add_argument("--updates", type=int, default=5, help="of each before the other's turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="fp32", choices=[p.name for p in Precision])
    return parser.parse_args()


def read_batches(arguments: argparse.Namespace) -> tuple[list[Batch], int]:
    """Batches of the corpus in training order, and the size of its vocabulary."""
    languages = {"source": arguments.source, "target": arguments.target}
    data: DataConfig = PhrasebookConfig(**languages)
    if arguments.train:
        data = FilesConfig(**languages, train=arguments.train, valid=arguments.train)
    size = arguments.vocab_size or (8000 if arguments.train else 1500)
    prepared = prepare_data(data, TokenizerConfig(vocab_size=size))
    lengths = prepared.train.source_lengths, prepared.train.target_lengths
    plan = plan_epoch(*lengths, arguments.batch_tokens, seed=1, epoch=0)
    n_batches = arguments.updates * arguments.rounds
    return list(islice(make_loader(prepared.train, plan), n_batches)), size


if __name__ == "__main__":
    main()
