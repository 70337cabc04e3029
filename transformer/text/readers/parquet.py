"""Parquet files, a few rows at a time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from transformer.errors import InputError, require
from transformer.text.readers.jsonl import Columns, columns_of, document_of
from transformer.text.readers.reader import FileReader, Meter, Run, flat
from transformer.text.readers.streams import COMPRESSED, plain_file
from transformer.text.readers.tables import COLUMNS

AT_ONCE = 5_000  # rows


class ParquetReader(FileReader):
    """Columns of text by name, or a column `translation` of texts by language.

    A missing text is empty.
    """

    settings: ClassVar[tuple[str, ...]] = COLUMNS

    def _runs(self, meter: Meter | None) -> Iterator[Run]:
        packed = self._path.suffix.lower() in COMPRESSED
        with (
            plain_file(self._path, meter if packed else None) as path,
            _readable(self._path),
            pq.ParquetFile(path, page_checksum_verification=True) as file,
        ):
            columns = columns_of(file.schema_arrow.names, self._corpus, documents=self._documents)
            self._check_types(file.schema_arrow, columns)
            groups = (file.metadata.row_group(i).num_rows for i in range(file.num_row_groups))
            require(
                sum(groups) == file.metadata.num_rows,
                f"{self._path} is damaged: its groups do not have {file.metadata.num_rows} rows",
            )
            told = 0
            for group in range(file.num_row_groups):
                yield from self._rows(file, group, columns)
                if meter is not None and not packed:
                    size = _size(file.metadata.row_group(group))
                    meter(size)
                    told += size
            if meter is not None and not packed:
                meter(max(0, path.stat().st_size - told))  # what says where all is

    def _rows(self, file: pq.ParquetFile, group: int, columns: Columns) -> Iterator[Run]:
        names = ["translation"] if columns.nested else [columns.source, columns.target]
        if columns.document is not None:
            names.append(columns.document)
        n_rows = 0
        batches = file.iter_batches(AT_ONCE, [group], list(dict.fromkeys(names)), use_threads=False)
        for batch in batches:
            n_rows += batch.num_rows
            run: Run = tuple(
                _texts(batch, "translation" if columns.nested else name, name)
                for name in (columns.source, columns.target)
            )
            if columns.document is not None:
                run += ([document_of(x) for x in batch.column(columns.document).to_pylist()],)
            yield run
        n_wanted = file.metadata.row_group(group).num_rows
        require(
            n_rows == n_wanted,
            f"{self._path} is damaged: a group has {n_rows} rows and should have {n_wanted}",
        )

    def _check_types(self, schema: pa.Schema, columns: Columns) -> None:
        for name in (columns.source, columns.target):
            kind = schema.field("translation" if columns.nested else name).type
            if columns.nested:
                kind = self._nested(kind, name)
            require(_is_text(kind), f"{self._path}: {name} does not hold text but {kind}")

    def _nested(self, kind: pa.DataType, language: str) -> pa.DataType:
        """The type of a language's texts in a column `translation`."""
        if pa.types.is_map(kind):
            return kind.item_type
        names = [field.name for field in kind] if pa.types.is_struct(kind) else []
        require(
            language in names,
            f"{self._path}: there is no {language} in `translation`, which has "
            f"{', '.join(names) or 'no languages'}",
        )
        return kind.field(language).type


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path} cannot be read as Parquet: {reason}") from error


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    kinds = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_null,
    )
    return any(check(kind) for check in kinds)


def _texts(batch: pa.RecordBatch, column: str, name: str) -> list[str]:
    values = batch.column(column)
    if pa.types.is_map(values.type):
        maps = (dict(row or ()) for row in values.to_pylist())
        return [flat(row.get(name) or "") for row in maps]
    if column != name or pa.types.is_struct(values.type):
        values = pc.struct_field(values, name)
    return [flat(text or "") for text in values.to_pylist()]


def _size(group: pq.RowGroupMetaData) -> int:
    """Bytes on the disk of a group of rows."""
    return sum(group.column(i).total_compressed_size for i in range(group.num_columns))
