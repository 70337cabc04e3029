"""Scores of sentences by a COMET model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from transformer import __version__
from transformer.config.metrics import CometConfig
from transformer.device import choose_device
from transformer.errors import InputError, require
from transformer.metrics.comet.checkpoint import read_checkpoint
from transformer.metrics.comet.design import Design, Kind
from transformer.metrics.comet.encoder import Encoder, build_encoder
from transformer.metrics.comet.model import Estimator, build_estimator

CHUNK = 2048  # sentences whose vectors are held at a time


@dataclass(frozen=True, kw_only=True)
class Comet:
    """A model that is ready to score."""

    signature: str
    design: Design
    encoder: Encoder
    estimator: Estimator
    device: torch.device


def comet_scores(
    sources: Sequence[str],
    hypotheses: Sequence[str],
    references: Sequence[str] | None,
    config: CometConfig,
) -> list[float]:
    """The model's score of each of `hypotheses`, in their order; most lie between 0 and 1.

    Rei et al., 2020; of models with and without references Rei et al., 2022. A model without
    references ignores them. InputError where the counts differ, references that the model needs
    are missing, or the model cannot be read.
    """
    n = len(hypotheses)
    for what, lines in (("sources", sources), ("references", references)):
        require(
            lines is None or len(lines) == n,
            f"COMET scores {n} translations, but there are {len(lines or ())} {what}",
        )
    comet = load_comet(_model(config))
    require(
        references is not None or not comet.design.needs_references,
        f"metrics.comet.model={config.model} is a {comet.design.kind.value}, "
        "which needs references",
    )
    scores: list[float] = []
    for start in range(0, n, CHUNK):
        part = slice(start, start + CHUNK)
        texts = {"mt": hypotheses[part], "src": sources[part]}
        if references is not None:
            texts["ref"] = references[part]
        scores += _score(comet, texts, config.batch_size)
    return scores


def comet_signature(config: CometConfig) -> str:
    """The model's name, class and weights, and who computed: what makes scores comparable."""
    return load_comet(_model(config)).signature


def _model(config: CometConfig) -> str:
    if config.model is None:
        raise InputError("COMET needs a model, as in metrics.comet.model=DIR")
    return config.model


@lru_cache(maxsize=1)
def load_comet(model: str) -> Comet:
    """The model in the folder or file `model`, on the GPU where there is one; the last is kept."""
    checkpoint = read_checkpoint(model)
    encoder = build_encoder(checkpoint)
    estimator = build_estimator(checkpoint, encoder)
    device = choose_device("auto")
    kind = checkpoint.design.kind.value
    return Comet(
        signature=f"model:{checkpoint.name}|class:{kind}|weights:{checkpoint.digest()}|"
        f"version:transformer-mt-{__version__}",
        design=checkpoint.design,
        encoder=encoder,
        estimator=estimator.to(device),
        device=device,
    )


@torch.inference_mode()
def _score(comet: Comet, texts: dict[str, Sequence[str]], batch_size: int) -> list[float]:
    """Scores of `texts`: of translations, mt, and their src and ref."""
    ids = {name: comet.encoder.token_ids(lines) for name, lines in texts.items()}
    if comet.design.kind is Kind.unified:
        return _score_joined(comet, ids, batch_size)
    names = ("mt", "ref", "src") if comet.design.kind is Kind.regression else ("mt", "src")
    vectors = _embed(comet, [line for name in names for line in ids[name]], batch_size)
    translation, *others = vectors.chunk(len(names))
    # Product and difference with each of the others, after the first two alone: the source
    # itself is left out where there are references (Rei et al., 2020, section 2.3).
    features = [translation, others[0]]
    for other in others:
        features += [translation * other, (translation - other).abs()]
    scores: list[float] = comet.estimator.estimate(features).tolist()
    return scores


def _score_joined(comet: Comet, ids: dict[str, list[list[int]]], batch_size: int) -> list[float]:
    """Scores of translations that are read together with source and reference.

    With both, the mean of what is said by source, reference and both (Wan et al., 2022).
    """
    there = [name for name in ("src", "ref") if name in ids and name in comet.design.segments]
    ways = [[name] for name in there] + [there] if len(there) == 2 else [there]
    total = torch.zeros(len(ids["mt"]), device=comet.device)
    for way in ways:
        lines = zip(*(ids[name] for name in ["mt", *way]), strict=True)
        joined = [comet.encoder.join(segments) for segments in lines]
        total += comet.estimator.estimate([_embed(comet, joined, batch_size)])
    scores: list[float] = (total / len(ways)).tolist()
    return scores


def _embed(comet: Comet, lines: Sequence[list[int]], batch_size: int) -> Tensor:
    """[N, D] of N lines of token ids, each different one computed once, the longest first."""
    keys = [tuple(line) for line in lines]
    different = sorted(dict.fromkeys(keys), key=len, reverse=True)
    row_of = {key: row for row, key in enumerate(different)}
    vectors = [
        _embed_batch(comet, different[start : start + batch_size])
        for start in range(0, len(different), batch_size)
    ]
    return torch.cat(vectors)[[row_of[key] for key in keys]]


def _embed_batch(comet: Comet, lines: Sequence[tuple[int, ...]]) -> Tensor:
    lengths = torch.tensor([len(line) for line in lines])
    tokens = torch.full((len(lines), int(lengths.max())), comet.encoder.pad_id)
    for row, line in zip(tokens, lines, strict=True):
        row[: len(line)] = torch.tensor(line)
    is_token = torch.arange(tokens.shape[1]) < lengths[:, None]
    return comet.estimator.embed(tokens.to(comet.device), is_token.to(comet.device))
