"""CTranslate2 as a decoding contender.

Weights are random, of the project's shape, tied and sinusoidal; the least and the greatest length
of an output are the same. Batches are decoded as they are, one after another, by all threads.
"""

import tempfile
from typing import Any

import numpy as np
from baselines.decoding_worker import System, Work, forced_length, serve_decoding
from serving import LeftOut, peak_resident

COMPUTE = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]


def build(work: Work) -> System:
    """The engine with a model of random weights, and what there is to say of it."""
    try:
        import ctranslate2  # noqa: PLC0415
    except ImportError as error:
        raise LeftOut(
            "ctranslate2 is not installed; pip install ctranslate2, or name an interpreter that "
            "has it by --python ctranslate2=PYTHON"
        ) from error
    if work["precision"] not in COMPUTE:
        raise LeftOut(f"it does not compute in {work['precision']}; use fp32, bf16 or fp16")
    device, _, index = work["device"].partition(":")
    with tempfile.TemporaryDirectory() as folder:
        make_model(ctranslate2, work).save(folder)
        translator = ctranslate2.Translator(
            folder,
            device=device,
            device_index=int(index or 0),
            compute_type=COMPUTE[work["precision"]],
            intra_threads=work["threads"],
        )
    pieces = vocabulary(work)

    def decode(sources: list[list[int]], length: int, beam_size: int) -> list[int]:
        found = translator.translate_batch(
            [[pieces[id_] for id_ in ids] for ids in sources],
            beam_size=beam_size,
            max_decoding_length=length,
            min_decoding_length=length,
        )
        return [len(each.hypotheses[0]) for each in found]

    def final() -> dict[str, Any]:
        peak = peak_resident() if device == "cpu" else None
        return {"peak_memory": peak, "ctranslate2": ctranslate2.__version__}

    return decode, final


def vocabulary(work: Work) -> list[str]:
    """The pieces by their ids."""
    return [*SPECIAL, *(f"t{id_}" for id_ in range(len(SPECIAL), work["vocab_size"]))]


def make_model(ctranslate2: Any, work: Work) -> Any:
    """The model of random weights, ready to be saved."""
    shape = work["model"]
    spec = ctranslate2.specs.TransformerSpec.from_config(
        (shape["encoder_layers"], shape["decoder_layers"]),
        shape["n_heads"],
        pre_norm=shape["norm"] == "pre",
        activation=ctranslate2.specs.common_spec.Activation.RELU,
    )
    drawn = Drawn(shape["d_model"])
    embedding = drawn.matrix(work["vocab_size"], shape["d_model"])
    positions = drawn.matrix(max(512, forced_length(work["sources"]) + 1), shape["d_model"])
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = embedding
    spec.decoder.projection.weight = embedding
    for stack in (spec.encoder, spec.decoder):
        stack.scale_embeddings = True
        stack.position_encodings.encodings = positions
        if shape["norm"] == "pre":
            drawn.norm(stack.layer_norm)
        for layer in stack.layer:
            drawn.attention(layer.self_attention, [3, 1])
            if stack is spec.decoder:
                drawn.attention(layer.attention, [1, 2, 1])
            drawn.norm(layer.ffn.layer_norm)
            drawn.linear(layer.ffn.linear_0, shape["d_feed_forward"], shape["d_model"])
            drawn.linear(layer.ffn.linear_1, shape["d_model"], shape["d_feed_forward"])
    spec.config.add_source_eos = True
    spec.register_source_vocabulary(vocabulary(work))
    spec.register_target_vocabulary(vocabulary(work))
    spec.validate()
    spec.optimize()
    return spec


class Drawn:
    """Draws the weights of a model D wide."""

    def __init__(self, d_model: int) -> None:
        self.d_model = d_model
        self.generator = np.random.Generator(np.random.PCG64(1))

    def matrix(self, n_rows: int, n_columns: int) -> Any:
        """[n_rows, n_columns] with standard deviation D ** -0.5."""
        drawn = self.generator.standard_normal((n_rows, n_columns), dtype=np.float32)
        return drawn * np.float32(self.d_model**-0.5)

    def linear(self, spec: Any, n_out: int, n_in: int) -> None:
        """A linear layer."""
        spec.weight, spec.bias = self.matrix(n_out, n_in), np.zeros(n_out, np.float32)

    def norm(self, spec: Any) -> None:
        """A layer norm."""
        spec.gamma = np.ones(self.d_model, np.float32)
        spec.beta = np.zeros(self.d_model, np.float32)

    def attention(self, spec: Any, widths: list[int]) -> None:
        """The projections of an attention, each some D wide, and its layer norm."""
        self.norm(spec.layer_norm)
        for linear, width in zip(spec.linear, widths, strict=True):
            self.linear(linear, width * self.d_model, self.d_model)


if __name__ == "__main__":
    serve_decoding(build)
