"""The build of prepared data: what is done goes into files, so that it can be interrupted."""

import json
import logging
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from transformer.config import (
    CleaningConfig,
    DataConfig,
    Duplicates,
    Leaks,
    TokenizerConfig,
)
from transformer.errors import InputError, require
from transformer.text.cleaning import Cleaner, CleaningReport, CorpusReport
from transformer.text.corpus import Corpus, TextSet, open_corpora, text_sets
from transformer.text.matching import LeakIndex
from transformer.text.preparing import clean_stage, encode_stage
from transformer.text.preparing.chunks import ROWS, Chunk, Chunks, Sample, read_json, write_json
from transformer.text.preparing.clean_stage import CleanSetup, CleanTask, clean_chunk
from transformer.text.preparing.duplicates import find_duplicates
from transformer.text.preparing.encode_stage import EncodeSetup, encode_chunk, load_ids
from transformer.text.preparing.encoding import Encoder
from transformer.text.preparing.leaks import NO_LEAKS, refuse_leaks
from transformer.text.preparing.parts import copy_prepared, require_fitting, write_making
from transformer.text.preparing.pool import FEW, n_cores, worked
from transformer.text.preparing.progress import Progress, progress
from transformer.text.preparing.rejects import REJECTED, join_rejects
from transformer.text.preparing.store import SplitWriter
from transformer.text.preparing.texts import write_columns
from transformer.text.tokenizer import Tokenizers
from transformer.text.vocabulary import build_tokenizers

LOGGER = logging.getLogger(__name__)
REPORT = "cleaning.json"
TOKENIZER = "tokenizer"
SCRATCH = "scratch"
REJECTS = "rejects"  # there, where the chunks write what is dropped


@dataclass
class Build:
    """Prepared data in the making."""

    folder: Path
    data: DataConfig
    tokenizer: TokenizerConfig
    cleaning: CleaningConfig
    scratch: Path = field(init=False)
    corpora: list[Corpus] = field(init=False)

    def __post_init__(self) -> None:
        self.scratch = self.folder / SCRATCH
        rejects = self.scratch / REJECTS
        if self.cleaning.keep_rejected is not None and not rejects.exists():
            # What was begun without them cannot be gone on with.
            shutil.rmtree(self.scratch, ignore_errors=True)
        self.scratch.mkdir(exist_ok=True)
        if self.cleaning.keep_rejected is not None:
            rejects.touch()
        self.corpora = open_corpora(self.data, "train", self.scratch)
        self.processes = self.data.prepare_processes or n_cores()

    def run(self) -> None:
        """Do what is not done yet; InputError where the corpora or the settings do not allow it."""
        sets = self._read_sets()
        chunks = self._clean(sets)
        report, leaks = self._cleaning_report(chunks)
        self._require_rows(report, int(chunks.sizes.sum()))
        self._warn_of_much(report)
        refuse_leaks(leaks, self.data)
        tokenizers = self._pieces(chunks)
        # Where several processes encode, each does so in one thread.
        threads = n_cores() if self.processes == 1 or len(chunks.chunks) <= FEW else 1
        encoder = Encoder(tokenizers, self.data.context, self.cleaning.max_pieces, threads)
        setup = EncodeSetup(
            chunks,
            [corpus.config for corpus in self.corpora],
            [self.data.tags_of(corpus.config) for corpus in self.corpora],
            encoder,
            self.cleaning,
        )
        self._encode(setup, report)
        rows = self._join(setup)
        self._require_rows(report, sum(rows))
        self._write_sets(sets["valid"], encoder)
        if self.cleaning.keep_rejected is not None:
            files = [
                chunk.file(f"rejected{stage}") for chunk in chunks.chunks for stage in ("", "2")
            ]
            join_rejects(files, self.folder / REJECTED)
        told = {"rows": rows, "report": report.to_dict(), "leaks": leaks}
        (self.folder / REPORT).write_text(
            json.dumps(told, ensure_ascii=False, indent=1), encoding="utf-8"
        )
        write_making(self.folder, self.data)
        shutil.rmtree(self.scratch)

    def _read_sets(self) -> dict[str, list[TextSet]]:
        """The validation and test sets: small, so that what is wrong with them shows at once."""
        sets = {split: text_sets(self.data, split, self.scratch) for split in ("valid", "test")}
        languages = {target for _, target in self.data.directions}
        for split, found in sets.items():
            for each in found:
                require(
                    each.target in languages,
                    f"data.{split}: {each.name} has target language {each.target}, into which "
                    f"nothing of data.train translates; there is {', '.join(sorted(languages))}",
                )
        return sets

    def _clean(self, sets: dict[str, list[TextSet]]) -> Chunks:
        """All chunks, cleaned, and their duplicates marked."""
        leaks: dict[tuple[str, str], LeakIndex] = {}
        if self.data.leaks is not Leaks.ignore:
            every = [each for found in sets.values() for each in found]
            leaks = {
                (source, target): LeakIndex(
                    [(x.name, x.texts_in(source), x.texts_in(target)) for x in every]
                )
                for source, target in self.data.directions
            }
        setup = CleanSetup(
            self.scratch,
            [corpus.config for corpus in self.corpora],
            [corpus.reader.fields for corpus in self.corpora],
            self.cleaning,
            leaks,
            self.data.leaks_side if self.data.leaks is Leaks.remove else None,
        )
        for corpus in self.corpora:
            if not corpus.is_prepared:
                Cleaner(self.cleaning, corpus.config)  # says what it lacks before any work
        sizes = [corpus.reader.n_bytes for corpus in self.corpora]
        total = None if None in sizes else sum(size or 0 for size in sizes)
        LOGGER.info("reading and cleaning the corpora")
        counts = self.scratch / "counts.json"
        if not counts.exists():
            with progress("cleaning", total) as shown:
                for chunk in worked(clean_chunk, setup, self._tasks(shown), self.processes):
                    shown.rows(chunk.told(clean_stage.STAGE)["rows"])
            numbers = [self._n_chunks(i) for i in range(len(self.corpora))]
            write_json(counts, numbers)
        return self._chunks(read_json(counts))

    def _tasks(self, shown: Progress) -> Iterator[CleanTask]:
        """The chunks that are not cleaned yet."""
        for number, corpus in enumerate(self.corpora):
            if corpus.is_prepared:
                continue
            first = 0
            for i, columns in enumerate(corpus.reader.columns(ROWS, shown.advance)):
                chunk = Chunk(self.scratch, number, i)
                if not chunk.finished(clean_stage.STAGE):
                    yield CleanTask(number, i, first, columns)
                first += len(columns[0])

    def _n_chunks(self, corpus: int) -> int:
        n = 0
        while Chunk(self.scratch, corpus, n).finished(clean_stage.STAGE):
            n += 1
        return n

    def _chunks(self, counts: Sequence[int]) -> Chunks:
        chunks = [
            Chunk(self.scratch, corpus, i) for corpus, n in enumerate(counts) for i in range(n)
        ]
        told = [chunk.told(clean_stage.STAGE)["rows"] for chunk in chunks]
        sizes = np.array(told, np.int64)
        fields = [corpus.reader.fields for corpus in self.corpora]
        if self.cleaning.duplicates is Duplicates.none:
            return Chunks(chunks, sizes, fields, None)
        marks, done = self.scratch / "duplicates", self.scratch / "duplicates.done"
        if not done.exists():
            find_duplicates([chunk.file("digests") for chunk in chunks], sizes, marks)
            done.touch()
        return Chunks(chunks, sizes, fields, marks)

    def _cleaning_report(self, chunks: Chunks) -> tuple[CleaningReport, dict[str, int]]:
        report = CleaningReport()
        leaks = dict(NO_LEAKS)
        for corpus in self.corpora:
            report.corpora[corpus.config.label] = CorpusReport(n_examples=self.cleaning.n_examples)
        for chunk in chunks.chunks:
            told = chunk.told(clean_stage.STAGE)
            self._add(report, chunk, told)
            for name, n in told["leaks"].items():
                leaks[name] += n
        return report, leaks

    def _add(self, report: CleaningReport, chunk: Chunk, told: dict[str, Any]) -> None:
        label = self.corpora[chunk.corpus].config.label
        report.add_corpus(label, CorpusReport.from_dict(told["report"]))

    def _warn_of_much(self, report: CleaningReport) -> None:
        """Warn where most of a corpus is dropped: it, or a setting, is not what it seems."""
        for name, each in report.corpora.items():
            if each.total and each.kept < each.total / 2:
                reasons = ", ".join(f"{n:,} by {rule}" for rule, n in each.dropped.items() if n)
                LOGGER.warning(
                    "%s: %s of %s pairs are left (%s)",
                    *(name, f"{each.kept:,}", f"{each.total:,}", reasons),
                )

    def _require_rows(self, report: CleaningReport, n_rows: int) -> None:
        if n_rows == 0 and not any(corpus.is_prepared for corpus in self.corpora):
            dropped: Counter[str] = Counter()
            for each in report.corpora.values():
                dropped.update(each.dropped)
            reasons = ", ".join(f"{n:,} by {rule}" for rule, n in dropped.items() if n)
            raise InputError(f"no training pair is left of {report.total}: {reasons or 'none'}")

    def _pieces(self, chunks: Chunks) -> Tokenizers:
        folder = self.folder / TOKENIZER
        if not folder.exists():
            sample = Sample(chunks, self.tokenizer.sample_size, self.tokenizer.seed)
            tokenizers = build_tokenizers(sample, self.tokenizer, self.data.tags)
            aside = folder.with_name(f"{TOKENIZER}.part")
            shutil.rmtree(aside, ignore_errors=True)
            tokenizers.save(aside)
            aside.replace(folder)
        tokenizers = Tokenizers.load(folder)
        for corpus in self.corpora:
            if corpus.is_prepared:
                require_fitting(corpus.config, self.data, tokenizers)
        return tokenizers

    def _encode(self, setup: EncodeSetup, report: CleaningReport) -> None:
        """Encode the chunks that are not encoded yet, and add to the report what that drops."""
        chunks = setup.chunks.chunks
        LOGGER.info("encoding %s sentence pairs", f"{int(setup.chunks.sizes.sum()):,}")
        waiting = [i for i, chunk in enumerate(chunks) if not chunk.finished(encode_stage.STAGE)]
        with progress("encoding", len(chunks)) as shown:
            shown.advance(len(chunks) - len(waiting))
            for n_rows in worked(encode_chunk, setup, waiting, self.processes):
                shown.advance(1)
                shown.rows(n_rows)
        for chunk in chunks:
            self._add(report, chunk, chunk.told(encode_stage.STAGE))

    def _join(self, setup: EncodeSetup) -> list[int]:
        """Put the ids of all chunks into files of their own; gives the rows of each corpus."""
        largest = max(
            tokenizer.vocab_size
            for tokenizer in (setup.encoder.tokenizers.source, setup.encoder.tokenizers.target)
        )
        aligned = any("alignment" in corpus.reader.fields for corpus in self.corpora)
        rows = [0] * len(self.corpora)
        with SplitWriter(self.folder / "train", largest, aligned=aligned) as writer:
            for number, corpus in enumerate(self.corpora):
                if corpus.is_prepared:
                    rows[number] = copy_prepared(corpus.config, writer)
                for index, chunk in enumerate(setup.chunks.chunks):
                    if chunk.corpus == number:
                        rows[number] += writer.append(load_ids(setup, index))
        return rows

    def _write_sets(self, sets: Sequence[TextSet], encoder: Encoder) -> None:
        tokenizers = encoder.tokenizers
        largest = max(tokenizers.source.vocab_size, tokenizers.target.vocab_size)
        for number, each in enumerate(sets):
            stem = self.folder / f"valid-{number}"
            columns = [list(column) for column in zip(*each.rows, strict=True)]
            write_columns(stem, columns)
            fields = ("source", "target", "document")[: len(columns)]
            ids = encoder.encode(columns, fields, self.data.tags_of(each.corpus))
            with SplitWriter(stem, largest, aligned=False) as writer:
                writer.append({"source": ids.source, "target": ids.target})
