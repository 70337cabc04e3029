"""Prepared data: cleaned, encoded and kept in a cache, once for each corpus and settings."""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from transformer.config import CleaningConfig, DataConfig, TokenizerConfig, to_mapping
from transformer.errors import InputError
from transformer.text.alignment import piece_links
from transformer.text.cache import cache_root, cached_folder
from transformer.text.cleaning import CleaningReport, clean, keep_by_length
from transformer.text.corpus import Corpus, is_aligned, open_corpus, training_rows
from transformer.text.encoded import (
    ALIGNED_IDS,
    ALIGNED_TEXT,
    IDS,
    TEXT,
    EncodedSplit,
    TextFile,
    write_ids,
    write_text,
)
from transformer.text.tokenizer import Tokenizers
from transformer.text.vocabulary import build_tokenizers, note_taken, tokenizer_key

__all__ = ["EncodedSplit", "PreparedData", "prepare_data"]

LOGGER = logging.getLogger(__name__)
FORMAT = 1  # of the folder in the cache; another number makes all corpora be encoded anew
REPORT = "cleaning.json"
TOKENIZER = "tokenizer"


@dataclass
class PreparedData:
    """All that training and evaluation need to know of a corpus."""

    folder: Path  # in the cache
    fingerprint: str  # of what is trained on: the corpus, its cleaning, and the pieces themselves
    tokenizers: Tokenizers
    train: EncodedSplit
    valid: EncodedSplit
    report: CleaningReport

    @property
    def has_test(self) -> bool:
        return _text_file(self.folder, "test").exists()

    def raw_pairs(self, split: str) -> list[tuple[str, str]]:
        """The text of `valid` or `test`, as it was read."""
        return list(TextFile(_text_file(self.folder, split)))


def prepare_data(data: DataConfig, tokenizer: TokenizerConfig) -> PreparedData:
    """Read, clean and encode a corpus, or open what was prepared before.

    It is found again by the content of the corpus and by the settings of cleaning and tokenizer.
    """
    corpus = open_corpus(data)
    key = _key(corpus, data, tokenizer)
    note_taken(tokenizer)
    root = cache_root(data.cache_dir)
    folder = cached_folder(root, key, lambda aside: _build(aside, data, tokenizer))
    report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
    tokenizers = Tokenizers.load(folder / TOKENIZER)
    return PreparedData(
        folder=folder,
        fingerprint=_fingerprint(corpus, data, tokenizers),
        tokenizers=tokenizers,
        train=EncodedSplit(_ids_file(folder, "train")),
        valid=EncodedSplit(_ids_file(folder, "valid")),
        report=CleaningReport.from_dict(report),
    )


def _key(corpus: Corpus, data: DataConfig, tokenizer: TokenizerConfig) -> str:
    settings = {
        "format": FORMAT,
        "corpus": corpus.fingerprint,
        "cleaning": to_mapping(data.cleaning),
        "tokenizer": tokenizer_key(tokenizer),
    }
    return _digest(settings)


def _fingerprint(corpus: Corpus, data: DataConfig, tokenizers: Tokenizers) -> str:
    """The same for equal pieces, whether they were learnt, extended, or taken as they are."""
    content = {
        "corpus": corpus.fingerprint,
        "cleaning": to_mapping(data.cleaning),
        "tokenizer": tokenizers.digests(),
    }
    return _digest(content)


def _digest(content: dict[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _build(folder: Path, data: DataConfig, tokenizer: TokenizerConfig) -> None:
    """Prepare the corpus into an empty folder."""
    scratch = folder / "scratch"
    scratch.mkdir()
    corpus = open_corpus(data, scratch)
    LOGGER.info("reading the corpus")
    # The small splits first: what is wrong with them shows at once.
    evaluation = {
        split: write_text(_text_file(folder, split), corpus.pairs(split))
        for split in ("valid", "test")
        if corpus.has_split(split)
    }
    report = CleaningReport()
    rows = clean(training_rows(corpus), data.cleaning, report)
    text_features, id_features = (ALIGNED_TEXT, ALIGNED_IDS) if is_aligned(corpus) else (TEXT, IDS)
    train = write_text(scratch / "train.arrow", rows, text_features)
    _check_kept(len(train), report)
    tokenizers = build_tokenizers(train, tokenizer)
    tokenizers.save(folder / TOKENIZER)
    LOGGER.info("encoding %d sentence pairs", len(train))
    tables = _kept(_encode(train, tokenizers), data.cleaning, report)
    write_ids(_ids_file(folder, "train"), tables, id_features)
    _check_kept(report.kept, report)
    write_ids(_ids_file(folder, "valid"), _encode(evaluation["valid"], tokenizers))
    (folder / REPORT).write_text(json.dumps(report.to_dict()), encoding="utf-8")
    shutil.rmtree(scratch)


def _encode(text: TextFile, tokenizers: Tokenizers) -> Iterator[pa.Table]:
    for sources, targets, *alignments in text.blocks():
        columns = {
            "source": tokenizers.source.encode(sources),
            "target": tokenizers.target.encode(targets),
        }
        if alignments:
            columns["links"] = list(piece_links(tokenizers, sources, targets, *alignments))
        yield pa.table(columns, schema=(ALIGNED_IDS if alignments else IDS).arrow_schema)


def _kept(
    tables: Iterator[pa.Table], config: CleaningConfig, report: CleaningReport
) -> Iterator[pa.Table]:
    """The rows of each table that the rules on length keep."""
    for table in tables:
        source, target = (
            table[side].combine_chunks().value_lengths().to_numpy() for side in ("source", "target")
        )
        kept = keep_by_length(source, target, config, report)
        yield table.filter(pa.array(kept))


def _check_kept(n_kept: int, report: CleaningReport) -> None:
    if n_kept == 0:
        raise InputError(
            f"no training pair is left of {report.total}: {report.empty} with an empty side, "
            f"{report.duplicates} duplicates, {report.too_long} over data.cleaning.max_pieces, "
            f"{report.uneven} over data.cleaning.max_ratio"
        )


def _ids_file(folder: Path, split: str) -> Path:
    return folder / f"{split}.ids.arrow"


def _text_file(folder: Path, split: str) -> Path:
    return folder / f"{split}.text.arrow"
