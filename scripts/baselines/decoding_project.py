"""The project's own search as a contender: `Translator`, as the translate command uses it.

Ids take the place of text, so that no system's pieces are made or joined on the clock. With random
weights EOS is forbidden and every output is cut at the forced length; a checkpoint writes what it
will, within the usual limit.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from baselines.decoding_worker import Decode, System, Work, serve_decoding
from baselines.loop import final_words
from torch import Tensor

from transformer.config import (
    ModelConfig,
    PhrasebookConfig,
    Precision,
    SearchConfig,
    TrainSettings,
    from_mapping,
)
from transformer.device import choose_device, choose_precision, set_threads
from transformer.model import DecoderState, Transformer
from transformer.text.tokenizer import EOS_ID, PAD_ID, Tokenizers
from transformer.translation import Translator
from transformer.translation.translator import max_lengths

WHOLE = 10**9  # search.batch_tokens so large that a batch is not cut again


class IdTokenizer:
    """Text that is ids between spaces."""

    def encode(self, lines: Sequence[str]) -> list[list[int]]:
        """The ids of each line."""
        return [[int(word) for word in line.split()] for line in lines]

    def decode(self, ids: Sequence[Sequence[int]]) -> list[str]:
        """The line of each list of ids."""
        return [" ".join(map(str, row)) for row in ids]


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
    """The translator of `work`, and what there is to say of it."""
    set_threads(work["threads"])
    device = choose_device(work["device"])
    translator = make_translator(work, device)
    sides = cast(Any, IdTokenizer())
    translator.tokenizers = Tokenizers(sides, sides)
    decode = natural(translator) if work["checkpoint"] else forced(translator)
    return decode, lambda: final_words(device)


def make_translator(work: Work, device: torch.device) -> Translator:
    """The translator of the checkpoint, or one of random weights that never writes EOS."""
    precision = Precision[work["precision"]]
    if work["checkpoint"]:
        return Translator.load(work["checkpoint"], str(device), precision)
    torch.manual_seed(1)
    config = from_mapping(ModelConfig, work["model"])
    size = work["vocab_size"]
    model = Transformer(config, source_vocab_size=size, target_vocab_size=size, pad_id=PAD_ID)
    endless = cast(Transformer, Endless(model.to(device).eval()))
    settings = TrainSettings(data=PhrasebookConfig(source="en", target="de"), model=config)
    nothing = cast(Any, None)  # `build` puts its own tokenizers in this place
    return Translator(endless, settings, nothing, device, choose_precision(precision, device))


def forced(translator: Translator) -> Decode:
    """Decoding to a given length."""

    def decode(sources: list[list[int]], length: int, beam_size: int) -> list[int]:
        config = SearchConfig(
            beam_size=beam_size, max_length_ratio=0, max_length_offset=length, batch_tokens=WHOLE
        )
        return translate(translator, sources, config)

    return decode


def natural(translator: Translator) -> Decode:
    """Decoding to where the model ends, EOS counted."""

    def decode(sources: list[list[int]], _: int, beam_size: int) -> list[int]:
        config = SearchConfig(beam_size=beam_size, batch_tokens=WHOLE)
        limits = max_lengths([len(source) for source in sources], config).tolist()
        found = translate(translator, sources, config)
        return [min(n + 1, limit) for n, limit in zip(found, limits, strict=True)]

    return decode


def translate(translator: Translator, sources: list[list[int]], config: SearchConfig) -> list[int]:
    """The number of tokens of each translation, without EOS."""
    lines = IdTokenizer().decode(sources)
    return [len(found.text.split()) for found in translator.translate(lines, config)]


if __name__ == "__main__":
    serve_decoding(build)
