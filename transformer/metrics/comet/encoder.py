"""The encoder of a COMET model: its settings and tokenizer, without weights."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from transformer.errors import InputError, require
from transformer.metrics.comet.checkpoint import Checkpoint

# By the format's name: classes of configuration and of model, and whose tokenizer it has where
# not its own.
ENCODERS = {
    "XLM-RoBERTa": ("XLMRobertaConfig", "XLMRobertaModel", None),
    "XLM-RoBERTa-XL": ("XLMRobertaXLConfig", "XLMRobertaXLModel", None),
    "MiniLM": ("BertConfig", "BertModel", "xlm-roberta-base"),
}
TOKENIZER_FILES = ("tokenizer.json", "sentencepiece.bpe.model")
OWNER = "FacebookAI"  # of models that the hub has under their names alone, too


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """An untrained encoder, and what makes token ids of text for it."""

    model: nn.Module
    tokenizer: Any  # of the library tokenizers
    max_positions: int  # tokens that it can encode
    pad_id: int
    separator_id: int
    n_layers: int  # the embeddings among them
    width: int

    def token_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of each text, between those of its beginning and end; cut where too long."""
        encodings = self.tokenizer.encode_batch(list(texts))
        return [encoding.ids for encoding in encodings]

    def join(self, segments: Sequence[list[int]]) -> list[int]:
        """One sequence of all segments, with two separators between them; cut where too long."""
        first, *others = ([i for i in ids if i != self.pad_id] for ids in segments)
        for ids in others:
            first = [*first, self.separator_id, *ids[1:]]
        return first[: self.max_positions]


def build_encoder(checkpoint: Checkpoint) -> Encoder:
    """The encoder that `checkpoint` names, from this machine alone.

    Its settings and tokenizer lie in a folder `encoder` beside hparams.yaml, in the folder that
    is the encoder's name, or in the cache of the Hugging Face hub. InputError where they do not,
    or cannot be read.
    """
    transformers = _library()
    name, root = checkpoint.design.encoder, checkpoint.root
    require(
        name in ENCODERS,
        f"{checkpoint.file}: encoder_model={name} must be one of {', '.join(ENCODERS)}",
    )
    of_config, of_model, tokenizer_name = ENCODERS[name]
    folder = _folder(root, checkpoint.design.pretrained, ("config.json",))
    try:
        config = getattr(transformers, of_config).from_pretrained(folder, local_files_only=True)
        model = getattr(transformers, of_model)(config, add_pooling_layer=False)
    except Exception as error:  # the library's own checks have classes of their own
        raise _unusable(folder / "config.json", error) from error
    tokenizer = _read_tokenizer(
        transformers, _folder(root, tokenizer_name or checkpoint.design.pretrained, TOKENIZER_FILES)
    )
    # The format keeps two positions unused, and two more of each text.
    max_positions = config.max_position_embeddings - 2
    tokenizer.enable_truncation(max_positions - 2)
    tokenizer.no_padding()
    return Encoder(
        model=model,
        tokenizer=tokenizer,
        max_positions=max_positions,
        pad_id=_id(tokenizer, folder, "<pad>"),
        separator_id=_id(tokenizer, folder, "</s>"),
        n_layers=config.num_hidden_layers + 1,
        width=config.hidden_size,
    )


def _library() -> Any:
    try:
        import transformers  # noqa: PLC0415
    except ImportError as error:
        raise InputError("COMET needs transformers; pip install 'transformer-mt[comet]'") from error
    return transformers


def _folder(root: Path, name: str, files: Sequence[str]) -> Path:
    """The first folder for `name` that has one of `files`."""
    for folder in (root / "encoder", root / name, Path(name).expanduser(), *_cached(name)):
        if any((folder / file).is_file() for file in files):
            return folder
    raise InputError(
        f"the encoder {name} is not on this machine, or without {' or '.join(files)}; put its "
        f"config.json and {' or '.join(TOKENIZER_FILES)} into {root / 'encoder'}"
    )


def _cached(name: str) -> list[Path]:
    """Where the Hugging Face hub's cache has the model `name`."""
    from huggingface_hub import try_to_load_from_cache  # noqa: PLC0415

    found = []
    for repository in (name, f"{OWNER}/{name}"):
        try:
            file = try_to_load_from_cache(repository, "config.json")
        except ValueError:  # a path, which no repository has for its name
            continue
        if isinstance(file, str):
            found.append(Path(file).parent)
    return found


def _read_tokenizer(transformers: Any, folder: Path) -> Any:
    """The tokenizer in `folder`, as its own file says; else made from SentencePiece's model."""
    file = folder / TOKENIZER_FILES[0]
    try:
        if file.is_file():
            made = transformers.PreTrainedTokenizerFast(tokenizer_file=str(file))
        else:
            made = transformers.XLMRobertaTokenizer.from_pretrained(folder, local_files_only=True)
    except Exception as error:  # of a file that it cannot use the library says no more
        raise _unusable(folder, error) from error
    return made.backend_tokenizer


def _unusable(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path} is of no use as encoder or tokenizer: {' '.join(str(error).split())}"
    )


def _id(tokenizer: Any, folder: Path, token: str) -> int:
    found = tokenizer.token_to_id(token)
    if found is None:
        raise InputError(f"the tokenizer in {folder} has no {token}, so it is not XLM-R's")
    return int(found)
