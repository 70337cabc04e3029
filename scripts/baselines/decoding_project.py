"""The project's own search as a contender: with a checkpoint that of the translate command.

Ids take the place of text, so that no system's pieces are made or joined on the clock. With random
weights EOS is forbidden and every output is cut at the forced length; a checkpoint writes what it
will, within the limits of the search.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from baselines.decoding_worker import Decode, Rows, System, Work, serve_decoding
from baselines.loop import final_words, pad
from torch import Tensor

from transformer.config import (
    ModelConfig,
    Precision,
    SearchConfig,
    TranslateSettings,
    from_mapping,
)
from transformer.device import autocast, choose_device, choose_precision, set_threads
from transformer.model import DecoderState, Transformer
from transformer.model.prepacked import prepack
from transformer.search import Hypothesis, SpecialIds, Task, search
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from transformer.translation import start
from transformer.translation.jobs import Job

SPECIAL = SpecialIds(pad=PAD_ID, unk=UNK_ID, bos=BOS_ID, eos=EOS_ID)


class Endless:
    """A model that never writes EOS."""

    def __init__(self, model: Transformer) -> None:
        self.model = model

    def start(self, source: Tensor) -> DecoderState:
        """The model's own start."""
        return self.model.start(source)

    def step(self, tokens: Tensor, state: DecoderState) -> Tensor:
        """The model's own logits but for EOS."""
        logits = self.model.step(tokens, state)
        logits[..., EOS_ID] = float("-inf")
        return logits


def build(work: Work) -> System:
    """The search in the model of `work`, and what there is to say of it."""
    set_threads(work["threads"])
    device = choose_device(work["device"])
    decode = natural(work) if work["checkpoint"] else forced(work, device)
    return decode, lambda: final_words(device)


def natural(work: Work) -> Decode:
    """The checkpoint's translator, which writes what it will."""
    settings = from_mapping(TranslateSettings, work["request"])
    translator = start(settings)

    def decode(sources: Rows, _: int, beam_size: int) -> Rows:
        config = replace(settings.search, beam_size=beam_size)
        jobs = [Job(ids, task(len(ids), config)) for ids in sources]
        return [written(hypotheses) for hypotheses in translator.search_jobs(jobs, config)]

    return decode


def task(n_source: int, config: SearchConfig) -> Task:
    """What is asked of the output of a sentence of so many pieces."""
    longest = int(config.max_length_ratio * n_source) + config.max_length_offset
    shortest = max(config.min_length, math.ceil(config.min_length_ratio * n_source)) + 1
    longest = min(longest, config.max_length or longest)
    return Task(longest=longest, shortest=min(shortest, longest))


def forced(work: Work, device: torch.device) -> Decode:
    """The search in a model of random weights, which writes as much as it is told."""
    precision = choose_precision(Precision[work["precision"]], device)
    torch.manual_seed(1)
    size = work["vocab_size"]
    model = Transformer(
        from_mapping(ModelConfig, work["model"]),
        source_vocab_size=size,
        target_vocab_size=size,
        pad_id=PAD_ID,
    )
    model = model.to(device).eval()
    if device.type == "cpu" and precision is Precision.fp32:
        prepack(model)
    endless = Endless(model)

    def decode(sources: Rows, length: int, beam_size: int) -> Rows:
        source = pad([[*ids, EOS_ID] for ids in sources]).to(device)
        tasks = [Task(longest=length)] * len(sources)
        config = SearchConfig(beam_size=beam_size)
        with autocast(precision, device):
            return [written(each) for each in search(endless, source, tasks, config, SPECIAL)]

    return decode


def written(hypotheses: Sequence[Hypothesis]) -> list[int]:
    """The tokens of the best one, with its EOS if it has one."""
    best = hypotheses[0]
    return [*best.tokens, *[EOS_ID] * best.finished]


if __name__ == "__main__":
    serve_decoding(build)
