"""Tables: tabs, commas, JSON and Parquet."""

import csv
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.text.readers.conftest import Rows, reader_of, rows_of
from transformer.errors import InputError
from transformer.text.readers.reader import Reader

Read = Callable[..., Rows]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PAIR = [("one", "eins"), ("two", "zwei")]


def flat(text: str) -> str:
    return text.replace("\n", " ").replace("\r", " ")


def write(file: Path, text: str) -> Path:
    file.write_bytes(text.encode())
    return file


@pytest.mark.parametrize(
    ("table", "settings", "rows"),
    [
        ("one\teins\ntwo\tzwei\n", {}, PAIR),
        ("one\teins\textra\r\ntwo\tzwei", {}, PAIR),
        ("eins\tone\nzwei\ttwo\n", {"source_column": "2", "target_column": "1"}, PAIR),
        ("id\tde\ten\n1\teins\tone\n2\tzwei\ttwo\n", {}, PAIR),
        ("target\tsource\neins\tone\nzwei\ttwo\n", {}, PAIR),
        ("a\tb\none\teins\ntwo\tzwei\n", {"source_column": "a", "target_column": "b"}, PAIR),
        ("b\tsource\neins\tone\nzwei\ttwo\n", {"target_column": "b"}, PAIR),
        ("x\ten\none\teins\ntwo\tzwei\n", {"source_column": "x", "target_column": "2"}, PAIR),
        ("de\tDE\n1\t2\n", {}, [("de", "DE"), ("1", "2")]),
        ("5\t1\n6\t2\n", {}, [("5", "1"), ("6", "2")]),
        ('"a\t b"\n', {}, [('"a', ' b"')]),
        ("\ufeffa\tb\n", {}, [("a", "b")]),
        ("a\tb\n\nc\t\n\t\n", {}, [("a", "b"), ("", ""), ("c", ""), ("", "")]),
        ("a\rb\tc\u2028d\0\x1c\n", {}, [("a b", "c\u2028d\0\x1c")]),
    ],
)
def test_columns_of_a_table_with_tabs(
    tmp_path: Path, read: Read, table: str, settings: dict[str, str], rows: Rows
) -> None:
    assert read(write(tmp_path / "a.tsv", table), **settings) == rows


@pytest.mark.parametrize(
    ("name", "table", "settings", "message"),
    [
        ("a.tsv", "a\tb\nc\n", {}, r"a\.tsv, line 2 has 1 column, but column 2 is asked for"),
        ("a.tsv", "a\n", {}, r"a\.tsv, line 1 has 1 column, but column 2"),
        ("a.tsv", "a\tb\n", {"source_column": "x"}, "source_column=x is no column .* has a, b"),
        ("a.tsv", "x\tx\n", {"source_column": "x"}, "source_column=x is the name of two columns"),
        ("a.tsv", "a\tb\n", {"source_column": "0"}, "source_column=0 must be at least 1"),
        ("a.tsv", "en\tde\n", {}, r"a\.tsv holds no sentence pair"),
        ("a.tsv", "", {}, r"a\.tsv holds no sentence pair"),
        ("a.tsv", "a\tb", {"alignment": "x"}, "alignment=x goes with files of lines, not with tsv"),
        ("a.csv", 'a,b\n"c,d\n', {}, r"a\.csv, line 2: unexpected end of data"),
        ("a.csv", 'a,b\n"c"d,e\n', {}, r"a\.csv, line 2: .*expected after"),
        ("a.csv", 'a,b\n"c\nd"\n', {}, r"a\.csv, line 3 has 1 column, but column 2"),
        ("a.csv", "a,b\rc,d\n", {}, r"a\.csv, line 1: new-line"),
        ("a.jsonl", '{"en": "a", "de": 5}\n', {}, "line 1: `de` does not hold text but '5'"),
        ("a.jsonl", '{"en": "a", "de": "b"}\n["c"]', {}, "line 2: no JSON object"),
        ("a.jsonl", "[\n{}]", {}, "line 1: no JSON object .* use format=hub for a list"),
        ("a.jsonl", '{"en": "a", "fr": "b"}', {}, "line 1: target_column=de .* are en, fr"),
        ("a.jsonl", '{"en": "\\ud800", "de": "b"}', {}, "line 1: `en` holds half of a pair"),
        ("a.jsonl", '{"translation": ["a"]}', {}, "`translation` is no object of texts"),
        ("a.jsonl", '{"en": "", "de": ' + "[" * 100_000, {}, "line 1: no JSON object"),
        ("a.jsonl", '{"en": ' + "9" * 5000 + "}", {}, "line 1: no JSON object"),
        ("a.jsonl", "\n\n", {}, "holds no sentence pair|"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_line(
    tmp_path: Path, read: Read, name: str, table: str, settings: dict[str, str], message: str
) -> None:
    file = write(tmp_path / name, table)
    if message.endswith("|"):
        assert read(file, **settings) == [("", ""), ("", "")]
        return
    with pytest.raises(InputError, match=rf"^data\.train={file}: .*{message}[^\n]*$"):
        read(file, **settings)


def test_bytes_that_are_no_utf_8_are_named_in_every_table(tmp_path: Path, read: Read) -> None:
    for name, first in (("a.tsv", b"a\tb\n"), ("a.csv", b"a,b\n"), ("a.jsonl", b"{}\n")):
        (tmp_path / name).write_bytes(first + b"\tsch\xf6n\n")
        with pytest.raises(InputError, match=f"{name} is not UTF-8: line 2, byte 5"):
            read(tmp_path / name)


@given(rows=st.lists(st.tuples(TEXT, TEXT), min_size=1), header=st.booleans())
def test_what_csv_wrote_comes_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], header: bool
) -> None:
    file = tmp_path_factory.mktemp("csv") / "a.csv"
    with file.open("w", encoding="utf-8", newline="") as stream:
        table = csv.writer(stream)
        if header:
            table.writerow(("de", "en"))
        table.writerows((target, source) for source, target in rows)
    settings: dict[str, Any] = {} if header else {"source_column": "2", "target_column": "1"}
    found = rows_of(reader_of(file, **settings))
    texts = [(flat(source), flat(target)) for source, target in rows]
    if not header and {*rows[0]} in ({"en", "de"}, {"source", "target"}):
        return
    mark = "\ufeff"  # at the very beginning of a file it is none of the text
    if not header and texts[0][1].startswith(mark) and "\n" not in rows[0][1]:
        texts[0] = (texts[0][0], texts[0][1][1:])
    assert found == texts


def test_a_field_may_be_huge(tmp_path: Path, read: Read) -> None:
    long = "x" * 500_000
    assert read(write(tmp_path / "a.csv", f'"{long}",b\n')) == [(long, "b")]


@pytest.mark.parametrize("nested", [False, True])
@given(
    rows=st.lists(
        st.fixed_dictionaries({}, optional={"en": TEXT | st.none(), "de": TEXT | st.none()}),
        min_size=1,
    )
)
def test_objects_give_their_texts(
    tmp_path_factory: pytest.TempPathFactory, nested: bool, rows: list[dict[str, str | None]]
) -> None:
    file = tmp_path_factory.mktemp("jsonl") / "a.ndjson"
    rows = [{"en": "a", "de": "b"}, *rows]
    records = [{"translation": row, "id": 5} if nested else row for row in rows]
    file.write_text("".join(json.dumps(x) + "\r\n" for x in records) + " \n", encoding="utf-8")
    wanted = [(flat(row.get("en") or ""), flat(row.get("de") or "")) for row in rows]
    assert rows_of(reader_of(file)) == [*wanted, ("", "")]


def test_columns_of_objects_have_names(tmp_path: Path, read: Read) -> None:
    line = json.dumps({"source": "s", "target": "t", "en": "e", "de": "d", "x": None})
    file = write(tmp_path / "a.jsonl", line)
    assert read(file) == [("e", "d")]
    assert read(file, source_column="source", target_column="x") == [("s", "")]
    assert read(write(tmp_path / "b.json", '{"source": "s", "target": "t"}')) == [("s", "t")]


TRANSLATION = pa.struct([("de", pa.string()), ("en", pa.large_string())])
TEXTS = ["one", None, "two\nlines", "", "☃\0"]
WANTED = ["one", "", "two lines", "", "☃\0"]


@pytest.mark.parametrize(
    "column",
    [
        pa.array(TEXTS),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS).dictionary_encode(),
        pa.array(TEXTS, pa.string_view()),
        pa.nulls(5),
    ],
)
def test_text_of_all_types_is_read_from_parquet(
    tmp_path: Path, read: Read, column: pa.Array
) -> None:
    file = tmp_path / "a.parquet"
    try:
        pq.write_table(pa.table({"x": [1] * 5, "de": column, "en": TEXTS}), file, row_group_size=2)
    except pa.ArrowNotImplementedError:
        pytest.skip("this pyarrow does not write the type")
    wanted = [""] * 5 if pa.types.is_null(column.type) else WANTED
    assert read(file) == list(zip(WANTED, wanted, strict=True))


@pytest.mark.parametrize("kind", [TRANSLATION, pa.map_(pa.string(), pa.string())])
def test_translations_are_read_from_parquet(tmp_path: Path, read: Read, kind: pa.DataType) -> None:
    values: list[Any] = [{"en": "one", "de": "eins"}, None, {"en": None, "de": "x\ny"}]
    rows = [None if x is None else (x if kind is TRANSLATION else list(x.items())) for x in values]
    table = pa.table({"id": ["a", "b", "c"], "translation": pa.array(rows, kind)})
    pq.write_table(table, tmp_path / "a.parquet")
    assert read(tmp_path / "a.parquet") == [("one", "eins"), ("", ""), ("", "x y")]


@pytest.mark.parametrize(
    ("table", "settings", "message"),
    [
        ({"en": ["a"], "de": [5]}, {}, "de does not hold text but int64"),
        ({"en": ["a"], "fr": ["b"]}, {}, "target_column=de is no column; there are en, fr"),
        ({"translation": [{"en": "a"}]}, {}, "there is no de in `translation`, which has en"),
        ({"translation": ["a"]}, {}, "there is no en in `translation`, which has no languages"),
        ({"en": pa.array([], "string"), "de": pa.array([], "string")}, {}, "holds no sentence"),
        ({"en": ["a"], "de": [b"\xff"]}, {}, "de does not hold text but binary"),
    ],
)
def test_what_parquet_lacks_is_said(
    tmp_path: Path, read: Read, table: dict[str, Any], settings: dict[str, str], message: str
) -> None:
    pq.write_table(pa.table(table), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=message):
        read(tmp_path / "a.parquet", **settings)


def test_text_in_parquet_that_is_no_utf_8_is_an_input_error(tmp_path: Path, read: Read) -> None:
    hidden = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"]).buffers())
    pq.write_table(pa.table({"en": hidden, "de": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"cannot be read as Parquet: .*utf-8"):
        read(tmp_path / "a.parquet")


def test_the_meter_of_parquet_ends_at_the_size_of_the_file(
    tmp_path: Path, opened: Callable[..., Reader]
) -> None:
    table = pa.table({"en": ["a", "b", "c"] * 99, "de": ["d", "e", "f"] * 99})
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=50)
    packed = tmp_path / "b.parquet.gz"
    packed.write_bytes(gzip.compress((tmp_path / "a.parquet").read_bytes()))
    for file in (tmp_path / "a.parquet", packed):
        told: list[int] = []
        reader = opened(file)
        assert sum(len(run[0]) for run in reader.columns(10, told.append)) == 297
        assert sum(told) == reader.n_bytes == file.stat().st_size


def test_documents_of_a_table_are_a_column_or_lie_between_blank_rows(
    tmp_path: Path, read: Read
) -> None:
    rows = [("a", "b", 1), ("", "", 1), ("c", "", 2)]
    write(tmp_path / "a.tsv", "en\tde\tx\n" + "".join(f"{a}\t{b}\t{c}\n" for a, b, c in rows))
    write(tmp_path / "a.csv", "en,de,x\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows))
    records = [{"en": a, "de": b, "x": c} for a, b, c in rows]
    write(tmp_path / "a.jsonl", "".join(json.dumps(record) + "\n" for record in records))
    pq.write_table(pa.Table.from_pylist(records), tmp_path / "a.parquet")
    named = [(a, b, str(c)) for a, b, c in rows]
    for name in ("a.tsv", "a.csv", "a.jsonl", "a.parquet"):
        assert read(tmp_path / name) == [row[:2] for row in rows]
        assert read(tmp_path / name, document_column="x", context=True) == named
        assert read(tmp_path / name, context=True) == [("a", "b", "1"), ("c", "", "2")]
        with pytest.raises(InputError, match="document_column=y"):
            read(tmp_path / name, document_column="y", context=True)


def test_the_fingerprint_of_a_table_follows_the_columns(
    tmp_path: Path, opened: Callable[..., Reader]
) -> None:
    file = write(tmp_path / "a.tsv", "a\tb\tc\td\n")
    choices: list[dict[str, Any]] = [
        {},
        {"source_column": "3"},
        {"target_column": "3"},
        {"context": True},
        {"context": True, "document_column": "3"},
        {"source": "fr"},
    ]
    prints = {opened(file, **choice).fingerprint for choice in choices}
    assert len(prints) == len(choices)
    copy = write(tmp_path / "copy.tsv", "a\tb\tc\td\n")
    assert opened(copy).fingerprint in prints
    assert opened(write(copy, "a\tb\tc\te\n")).fingerprint not in prints
