"""Corpora that were prepared before, perhaps on other machines."""

import json
from pathlib import Path
from typing import Any

from transformer.config import CorpusConfig, DataConfig, to_mapping
from transformer.errors import InputError, require
from transformer.text.cache import is_whole
from transformer.text.encoded import EncodedSplit
from transformer.text.preparing.store import SplitWriter
from transformer.text.tokenizer import Tokenizers

MAKING = "making.json"  # in the folder of prepared data
BLOCK = 100_000  # pairs copied at once


def write_making(folder: Path, data: DataConfig) -> None:
    """Write down by what settings the pairs in `folder` are encoded, but for their pieces."""
    corpora = data.corpora("train")
    making = {
        "directions": [list(direction) for direction in data.directions],
        "tags": sorted({corpus.tag for corpus in corpora if corpus.tag}),
        **_common(data),
    }
    (folder / MAKING).write_text(json.dumps(making), encoding="utf-8")


def _common(data: DataConfig) -> dict[str, Any]:
    """What has to be the same in all parts."""
    return {
        "target languages told apart": sorted(data.tagged_languages),
        "data.context": to_mapping(data.context),
    }


def require_fitting(corpus: CorpusConfig, data: DataConfig, tokenizers: Tokenizers) -> None:
    """Raise InputError where prepared data is damaged, or encoded otherwise than `data` asks."""
    folder = Path(corpus.path).expanduser()
    setting = f"data.train={corpus.path}"
    require(is_whole(folder), f"{setting} is damaged, or no prepared data; prepare it again")
    try:
        same = Tokenizers.load(folder / "tokenizer").digests() == tokenizers.digests()
        making = json.loads((folder / MAKING).read_text(encoding="utf-8"))
    except (InputError, FileNotFoundError) as error:
        raise InputError(f"{setting} is no prepared data: {error}") from error
    require(
        same,
        f"{setting} was prepared with other pieces; prepare all parts with tokenizer.init_from of "
        "one of them",
    )
    for name, value in _common(data).items():
        require(
            making[name] == value,
            f"{setting} was prepared with other settings: {name} was {making[name]} and is {value}",
        )
    require(
        list(corpus.direction) in making["directions"],
        f"{setting} was not prepared from {corpus.source} to {corpus.target} but "
        + ", ".join(f"from {source} to {target}" for source, target in making["directions"]),
    )
    require(
        corpus.tag is None or making["tags"] == [corpus.tag],
        f"{setting} is encoded, but not with tag={corpus.tag}; prepare it with that",
    )


def copy_prepared(corpus: CorpusConfig, writer: SplitWriter) -> int:
    """Write the training pairs of prepared data; gives their number."""
    split = EncodedSplit(Path(corpus.path).expanduser() / "train")
    return sum(
        writer.append(split.lists(start, min(start + BLOCK, len(split))))
        for start in range(0, len(split), BLOCK)
    )
