"""CTranslate2 as a decoding contender.

With random weights the least and the greatest length of an output are the same. Batches are
decoded as they are, one after another, by all threads.
"""

import tempfile
from typing import Any

from baselines.decoding_worker import (
    Rows,
    System,
    Work,
    differences,
    exponent,
    most_positions,
    serve_decoding,
)
from baselines.weights import LINEAR, PARTS, Shape, Weights, draw, read
from serving import LeftOut, peak_resident

COMPUTE = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
SIDES = ("source", "target")
SPECIAL = ["<pad>", "<unk>", "<s>", "</s>"]


def build(work: Work, kind: str = "{}") -> System:
    """The engine with the model of `work`, and what there is to say of it.

    It computes in `kind`, where the precision takes the place of the braces.
    """
    try:
        import ctranslate2  # noqa: PLC0415
    except ImportError as error:
        raise LeftOut(
            "ctranslate2 is not installed; pip install ctranslate2, or name an interpreter that "
            "has it by --python ctranslate2=PYTHON"
        ) from error
    if work["precision"] not in COMPUTE:
        raise LeftOut(f"it does not compute in {work['precision']}; use fp32, bf16 or fp16")
    compute = kind.format(COMPUTE[work["precision"]])
    device, _, index = work["device"].partition(":")
    weights = weights_of(work)
    with tempfile.TemporaryDirectory() as folder:
        make_model(ctranslate2, work["model"], weights).save(folder)
        translator = ctranslate2.Translator(
            folder,
            device=device,
            device_index=int(index or 0),
            compute_type=compute,
            intra_threads=work["threads"],
        )
    pieces = vocabulary(max(len(weights[f"{side}_embedding.weight"]) for side in SIDES))
    ids_of = {piece: id_ for id_, piece in enumerate(pieces)}

    def decode(sources: Rows, length: int, beam_size: int) -> Rows:
        found = translator.translate_batch(
            [[pieces[id_] for id_ in ids] for ids in sources],
            beam_size=beam_size,
            max_decoding_length=length,
            min_decoding_length=0 if work["checkpoint"] else length,
            length_penalty=exponent(work),
            return_end_token=bool(work["checkpoint"]),
        )
        return [[ids_of[piece] for piece in each.hypotheses[0]] for each in found]

    def final() -> dict[str, Any]:
        peak = peak_resident() if device == "cpu" else None
        words = {"ctranslate2": ctranslate2.__version__, "compute_type": compute}
        stops = "ends a sentence with its first beam_size outputs, whatever could still win"
        return {"peak_memory": peak, **words} | differences(work, stops)

    return decode, final


def weights_of(work: Work) -> Weights:
    """Those of the checkpoint, or random ones."""
    if work["weights"]:
        return read(work["weights"])
    return draw(work["model"], work["vocab_size"], most_positions(work))


def vocabulary(size: int) -> list[str]:
    """The pieces by their ids."""
    return [*SPECIAL, *(f"t{id_}" for id_ in range(len(SPECIAL), size))]


def make_model(ctranslate2: Any, shape: Shape, weights: Weights) -> Any:
    """The model of `weights`, ready to be saved."""
    spec = ctranslate2.specs.TransformerSpec.from_config(
        (shape["encoder_layers"], shape["decoder_layers"]),
        shape["n_heads"],
        pre_norm=shape["norm"] == "pre",
        activation=ctranslate2.specs.common_spec.Activation.RELU,
    )
    given = Given(weights)
    spec.encoder.embeddings[0].weight = weights["source_embedding.weight"]
    spec.decoder.embeddings.weight = weights["target_embedding.weight"]
    spec.decoder.projection.weight = weights["output.weight"]
    for name, stack in (("encoder", spec.encoder), ("decoder", spec.decoder)):
        stack.scale_embeddings = shape["embedding_scale"]
        stack.position_encodings.encodings = weights["positions"]
        if shape["norm"] == "pre":
            given.norm(stack.layer_norm, f"{name}_norm")
        for number, layer in enumerate(stack.layer):
            attentions = [layer.self_attention, *([layer.attention] if name == "decoder" else [])]
            *names, _ = PARTS[name].items()
            for attention, (part, residual) in zip(attentions, names, strict=True):
                given.attention(attention, f"{name}.{number}.{part}")
                given.norm(attention.layer_norm, f"{name}.{number}.{residual}.norm")
            given.norm(layer.ffn.layer_norm, f"{name}.{number}.feed_forward_residual.norm")
            given.linear(layer.ffn.linear_0, f"{name}.{number}.feed_forward.inner")
            given.linear(layer.ffn.linear_1, f"{name}.{number}.feed_forward.outer")
    spec.config.add_source_eos = True
    for side in SIDES:
        pieces = vocabulary(len(weights[f"{side}_embedding.weight"]))
        getattr(spec, f"register_{side}_vocabulary")(pieces)
    spec.validate()
    spec.optimize()
    return spec


class Given:
    """Puts `weights` into the parts of a model by their names."""

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def linear(self, spec: Any, name: str) -> None:
        """A linear layer."""
        spec.weight = self.weights[f"{name}.weight"]
        spec.bias = self.weights[f"{name}.bias"]

    def norm(self, spec: Any, name: str) -> None:
        """A layer norm."""
        spec.gamma = self.weights[f"{name}.weight"]
        spec.beta = self.weights[f"{name}.bias"]

    def attention(self, spec: Any, name: str) -> None:
        """The projections of an attention; its matrices lie on one another as the project's."""
        for linear, part in zip(spec.linear, LINEAR[name.rpartition(".")[2]], strict=True):
            self.linear(linear, f"{name}.{part}")


if __name__ == "__main__":
    serve_decoding(build)
