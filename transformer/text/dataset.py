"""Prepared data: cleaned, encoded and kept in a cache, once for each corpus and settings."""

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from transformer.config import (
    CleaningConfig,
    CorpusConfig,
    DataConfig,
    Leaks,
    TokenizerConfig,
    to_mapping,
)
from transformer.errors import InputError, require
from transformer.text.cache import cached_folder
from transformer.text.cleaning import CleaningReport
from transformer.text.corpus import open_corpora
from transformer.text.encoded import EncodedSplit
from transformer.text.folders import cache_root
from transformer.text.mixing import Part
from transformer.text.preparing.build import REPORT, TOKENIZER, Build
from transformer.text.preparing.leaks import leaks_message, refuse_leaks
from transformer.text.preparing.rejects import REJECTED
from transformer.text.preparing.texts import read_columns
from transformer.text.sampling import build_sampling
from transformer.text.tokenizer import Tokenizers
from transformer.text.vocabulary import note_taken, tokenizer_key

__all__ = ["EncodedSplit", "PreparedData", "PreparedSet", "prepare_data"]

LOGGER = logging.getLogger(__name__)
FORMAT = 2  # of the folder in the cache; another number makes all corpora be encoded anew
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class PreparedSet:
    """A validation set: its text as it was read, and its ids."""

    corpus: CorpusConfig
    stem: Path  # of its files
    encoded: EncodedSplit
    n_fields: int = 2

    @property
    def name(self) -> str:
        return self.corpus.label

    @property
    def language(self) -> str:
        """Of the translations."""
        return self.corpus.direction[1]

    def rows(self) -> list[tuple[str, ...]]:
        """Source, target and, where documents have borders, the document of each pair."""
        return list(zip(*read_columns(self.stem, self.n_fields), strict=True))

    def pairs(self) -> list[tuple[str, str]]:
        """Source and target of each pair."""
        return [(source, target) for source, target, *_ in self.rows()]


@dataclass
class PreparedData:
    """All that training and evaluation need to know of the corpora."""

    folder: Path  # in the cache
    fingerprint: str  # of what is trained on: corpora, cleaning, and the pieces themselves
    tokenizers: Tokenizers
    train: EncodedSplit
    parts: list[Part]  # the corpora's rows in `train`, one after another
    valid: list[PreparedSet]
    report: CleaningReport
    leaks: dict[str, int]  # training pairs with text of those sets, by side

    def sampled(self, tokenizer: TokenizerConfig, seed: int) -> Self:
        """The same, with training pairs that are cut anew in each epoch if `tokenizer` says so.

        InputError where the pieces or alignments do not allow it.
        """
        sampling = build_sampling(tokenizer, self.tokenizers, seed=seed, aligned=self.train.aligned)
        if sampling is None:
            return self
        return replace(self, train=EncodedSplit(self.folder / "train", sampling))

    @property
    def report_file(self) -> Path:
        """The report as JSON."""
        return self.folder / REPORT

    def leaks_text(self) -> str:
        """A line that tells of the leaks; empty where they were not looked for."""
        if not self.leaks:
            return ""
        sides = ", ".join(f"{name} {n:,}" for name, n in self.leaks.items())
        return f"training pairs with text of the validation or test sets: {sides}\n"


def prepare_data(
    data: DataConfig, tokenizer: TokenizerConfig, cleaning: CleaningConfig
) -> PreparedData:
    """Read, clean and encode the corpora, or open what was prepared before.

    It is found again by the content of the corpora and by the settings that change what comes out.
    """
    if cleaning.keep_rejected is not None:
        check_rejected(Path(cleaning.keep_rejected))
    tokenizer = with_pieces_of_parts(data, tokenizer)
    content = _content(data, cleaning)
    pieces = tokenizer_key(tokenizer, data.tags)
    counted = data.leaks is not Leaks.ignore
    key = _digest({"format": FORMAT, **content, "leaks counted": counted, "tokenizer": pieces})
    note_taken(tokenizer)
    folder = cached_folder(
        cache_root(data.cache_dir),
        key,
        lambda aside: Build(aside, data, tokenizer, cleaning).run(),
        needed=(REJECTED,) if cleaning.keep_rejected is not None else (),
    )
    if cleaning.keep_rejected is not None:
        keep_rejected(folder, Path(cleaning.keep_rejected))
    told = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    refuse_leaks(told["leaks"], data)
    if data.leaks is Leaks.warn and told["leaks"][data.leaks_side.name]:
        LOGGER.warning("%s", leaks_message(told["leaks"], data))
    tokenizers = Tokenizers.load(folder / TOKENIZER)
    sizes = told["rows"]
    corpora = data.corpora("train")
    return PreparedData(
        folder=folder,
        fingerprint=_digest({**content, "tokenizer": tokenizers.digests()}),
        tokenizers=tokenizers,
        train=EncodedSplit(folder / "train"),
        parts=[
            Part(corpus.label, sum(sizes[:i]), sizes[i], corpus.weight)
            for i, corpus in enumerate(corpora)
        ],
        valid=_sets(data, folder),
        report=CleaningReport.from_dict(told["report"]),
        leaks={} if data.leaks is Leaks.ignore else told["leaks"],
    )


def check_rejected(file: Path) -> None:
    """Raise InputError where the file of rejected pairs cannot be written."""
    require(
        file.parent.is_dir() and not file.is_dir(),
        f"cleaning.keep_rejected={file} cannot be written: "
        + ("it is a folder" if file.is_dir() else f"there is no folder {file.parent}"),
    )


def keep_rejected(folder: Path, file: Path) -> None:
    """Copy what cleaning dropped to `file`; InputError where that cannot be written."""
    try:
        shutil.copyfile(folder / REJECTED, file)
    except OSError as error:
        raise InputError(
            f"cleaning.keep_rejected={file} cannot be written: {error.strerror}"
        ) from error


def with_pieces_of_parts(data: DataConfig, tokenizer: TokenizerConfig) -> TokenizerConfig:
    """The settings of the pieces, which are those of the first part that was prepared before."""
    prepared = [each.config.path for each in open_corpora(data, "train") if each.is_prepared]
    if not prepared or tokenizer.init_from is not None:
        return tokenizer
    return replace(tokenizer, init_from=str(Path(prepared[0]).expanduser()))


def _sets(data: DataConfig, folder: Path) -> list[PreparedSet]:
    stems = [(corpus, folder / f"valid-{i}") for i, corpus in enumerate(data.corpora("valid"))]
    n_fields = 3 if data.context else 2
    return [PreparedSet(corpus, stem, EncodedSplit(stem), n_fields) for corpus, stem in stems]


def _content(data: DataConfig, cleaning: CleaningConfig) -> dict[str, Any]:
    """What the pairs depend on, but for the pieces that they are cut into."""
    rules = to_mapping(cleaning)
    del rules["keep_rejected"], rules["n_examples"]
    removed = data.leaks_side.name if data.leaks is Leaks.remove else None
    return {
        "corpora": {
            split: [
                [
                    *each.config.direction,
                    each.config.label,
                    each.config.tag,
                    each.reader.fingerprint,
                ]
                for each in open_corpora(data, split)
            ]
            for split in SPLITS
        },
        "cleaning": rules,
        "leaks removed": removed,
        "tags": data.tags,
        "context": to_mapping(data.context),
    }


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
