"""What the decoding benchmark hands to its contenders, and what it knows of it that they do not."""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from baselines.decoding_report import Batches
from baselines.decoding_worker import most_positions
from baselines.weights import write
from measuring import draw_split

from transformer.checkpoint import Checkpoint, find_checkpoint, model_weights
from transformer.cli.compose import Composer
from transformer.config import (
    ModelConfig,
    Precision,
    SearchConfig,
    TokenizerConfig,
    TrainSettings,
    TranslateSettings,
    to_mapping,
)
from transformer.errors import require
from transformer.metrics import bleu
from transformer.model import Transformer
from transformer.text.files import read_lines
from transformer.text.tokenizer import EOS_ID, PAD_ID, Tokenizer, train_tokenizers
from transformer.translation.batches import plan

# What all systems can do alike: log-probability / T ** length_penalty, and an end with so many
# finished outputs as the beam is wide.
ALIKE = ("normalization=plain", "patience=1")


@dataclass(frozen=True)
class Judge:
    """Makes text of what systems write, and compares it with what people wrote."""

    tokenizer: Tokenizer
    language: str
    references: list[str] | None  # of each source

    def quality(self, outputs: Sequence[list[int]], own: Sequence[list[int]]) -> dict[str, Any]:
        """BLEU of the `outputs` of a system, and how many of them the project's `own` equal."""
        same = sum(map(list.__eq__, outputs, own)) / len(own)
        words: dict[str, Any] = {"same_outputs": round(same, 4)}
        if self.references is not None:
            texts = self.tokenizer.decode(
                [[id_ for id_ in ids if id_ != EOS_ID] for ids in outputs]
            )
            score = bleu(texts, self.references, self.language)
            words |= {"bleu": round(score.value, 2), "signature": score.signature}
        return words


@dataclass(frozen=True)
class Job:
    """The work as contenders read it, the shape of its model, and what judges their outputs."""

    work: dict[str, Any]
    config: ModelConfig
    judge: Judge | None  # None: outputs of random weights


def make_job(
    arguments: argparse.Namespace, device: torch.device, precision: Precision, folder: Path
) -> Job:
    """What every contender is to do; the weights of a checkpoint lie in `folder`."""
    settings = settings_of(arguments, device, precision)
    work: dict[str, Any] = {
        "search": to_mapping(settings.search),
        "request": to_mapping(settings) if arguments.checkpoint else None,
        "device": str(device),
        "precision": precision.name,
        "threads": torch.get_num_threads(),
        "warm_up": arguments.warmup,
        "checkpoint": arguments.checkpoint,
        "weights": None,
    }
    job = from_checkpoint(arguments, work) if arguments.checkpoint else at_random(arguments, work)
    work["model"] = to_mapping(job.config)
    sources = work["sources"]
    work["batches"] = {
        str(k): cut(sources, arguments, replace(settings.search, beam_size=k))
        for k in arguments.beam_size
    }
    if arguments.checkpoint:
        work["weights"] = str(folder / "weights.npz")
        model = Checkpoint(find_checkpoint(arguments.checkpoint)).model(torch.device("cpu"))
        write(exported(model, most_positions(work)), folder / "weights.npz")
    return job


def at_random(arguments: argparse.Namespace, work: dict[str, Any]) -> Job:
    """The job of a model of random weights."""
    for name in ("reference", "search", "shortlist"):
        value = getattr(arguments, name)
        require(not value, f"--{name}={value} is for --checkpoint; lengths are forced without one")
    work["vocab_size"] = arguments.vocab_size
    work["sources"] = encode(arguments, None) if arguments.source else draw(arguments)
    return Job(work, model_config(arguments.model), None)


def from_checkpoint(arguments: argparse.Namespace, work: dict[str, Any]) -> Job:
    """The job of a trained model."""
    require(
        bool(arguments.source),
        f"--checkpoint={arguments.checkpoint} needs --source, a file of sentences to translate",
    )
    found = Checkpoint(find_checkpoint(arguments.checkpoint))
    target = found.tokenizers.target
    work["vocab_size"] = target.vocab_size
    work["sources"] = encode(arguments, found.tokenizers.source)
    judge = Judge(target, found.settings.data.target, references_of(arguments))
    return Job(work, found.settings.model, judge)


def settings_of(
    arguments: argparse.Namespace, device: torch.device, precision: Precision
) -> TranslateSettings:
    """What the project's translate command is asked; InputError where it has no such setting."""
    words = [f"search.{word}" for word in (*ALIKE, *arguments.search)]
    composer = Composer("translate", TranslateSettings)
    composed: TranslateSettings = composer.settings(["checkpoint=none", *words])
    return replace(
        composed,
        checkpoint=arguments.checkpoint or "none",
        device=str(device),
        precision=precision,
        threads=torch.get_num_threads(),
        shortlist=arguments.shortlist,
    )


def exported(model: Transformer, longest: int) -> dict[str, Any]:
    """The weights of `model` as `baselines.weights` says, and positions up to `longest`."""
    weights = model_weights(model) | {
        "target_embedding.weight": model.target_embedding.weight.detach(),
        "output.weight": model.output.weight.detach(),
        "positions": model.positions(0, longest),
    }
    return {name: weight.cpu().numpy() for name, weight in weights.items()}


def model_config(name: str) -> ModelConfig:
    """The shape of configs/model/NAME.yaml."""
    settings: TrainSettings = Composer("train", TrainSettings).settings(
        ["data=phrasebook", f"model={name}"]
    )
    return settings.model


def encode(arguments: argparse.Namespace, tokenizer: Tokenizer | None) -> list[list[int]]:
    """The first sentences of --source in pieces; without a tokenizer, pieces of the file itself."""
    lines = [line for line in read_lines(Path(arguments.source)) if line.strip()]
    require(bool(lines), f"--source={arguments.source} holds no sentence")
    if tokenizer is None:
        config = TokenizerConfig(vocab_size=arguments.vocab_size)
        tokenizer = train_tokenizers([(line, line) for line in lines], config).source
    return tokenizer.encode(lines[: arguments.sentences])


def references_of(arguments: argparse.Namespace) -> list[str] | None:
    """The lines of --reference beside the sentences that `encode` takes from --source."""
    if arguments.reference is None:
        return None
    sources, found = (
        list(read_lines(Path(file))) for file in (arguments.source, arguments.reference)
    )
    require(
        len(sources) == len(found),
        f"--reference={arguments.reference} has {len(found)} lines, but --source="
        f"{arguments.source} {len(sources)}; parallel files hold one sentence a line",
    )
    lines = [line for source, line in zip(sources, found, strict=True) if source.strip()]
    return lines[: arguments.sentences]


def draw(arguments: argparse.Namespace) -> list[list[int]]:
    """Sentences of log-normal lengths whose ids are equally likely."""
    with tempfile.TemporaryDirectory() as folder:
        split = draw_split(Path(folder), arguments.vocab_size, arguments.sentences)
        rows = split.batch(np.arange(len(split))).source.tolist()
    return [[id_ for id_ in row if id_ not in {PAD_ID, EOS_ID}] for row in rows]


def cut(
    sources: Sequence[Sequence[int]],
    arguments: argparse.Namespace,
    config: SearchConfig,
) -> Batches:
    """The batches of the translate command, or of --batch-sentences each, longest first."""
    lengths = [len(source) for source in sources]
    if arguments.batch_sentences:
        order = iter(sorted(range(len(lengths)), key=lambda row: -lengths[row]))
        return list(iter(lambda: list(islice(order, arguments.batch_sentences)), []))
    if arguments.batch_tokens:
        config = replace(config, batch_tokens=arguments.batch_tokens)
    return list(plan(lengths, config))
