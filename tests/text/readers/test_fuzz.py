"""Hostile bytes: an InputError or right pairs, from every reader."""

import csv
import gzip
import io
import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.readers.conftest import Rows, reader_of, rows_of
from transformer.errors import InputError
from transformer.text.files import BOM
from transformer.text.readers import streams

polib = pytest.importorskip("polib", reason="of the extra formats")

TEXTS = ["one", 'two "x"', "", "drei\u2028ü", " a, b ", "<b>&amp;", "\ufeffx", "l\x00ng" * 9]
ROWS = [(x, TEXTS[-1 - i]) for i, x in enumerate(TEXTS)]
CHUNKS = [
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\t",
    b'"',
    b",",
    BOM,
    b"\xff",
    b"\xc3",
    b"<",
    b"&",
    b"]]>",
]
CHUNKS += [b"{}", b"\\u", b"\\ud800", b"en", b"<!DOCTYPE", b"\xe2\x80\xa8", b"x" * 5000, b"\x1a"]


def xml(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\0", "")


def parquet() -> bytes:
    stream = io.BytesIO()
    table = pa.table({"en": [a for a, _ in ROWS], "de": [b for _, b in ROWS]})
    pq.write_table(table, stream, row_group_size=5, write_page_checksum=True)
    return stream.getvalue()


def catalogue() -> Any:
    found = polib.POFile()
    found.metadata = {"Content-Type": "text/plain; charset=utf-8"}
    for i, (a, b) in enumerate(ROWS):
        found.append(polib.POEntry(msgid=f"{i}{a}", msgstr=b))
    found.append(polib.POEntry(msgid="a", msgid_plural="b", msgstr_plural={0: "c", 1: "d"}))
    return found


def tuv(language: str, text: str) -> str:
    return f'<tuv xml:lang="{language}"><seg>{xml(text)}<ph>c</ph></seg></tuv>'


UNITS = [f"<tu>{tuv('en', a)}{tuv('de', b)}</tu>" for a, b in ROWS]
SEGMENTS = [
    f"<segment><source>{xml(a)}</source><target>{xml(b)}</target></segment>" for a, b in ROWS
]
CSV = io.StringIO(newline="")
csv.writer(CSV).writerows(ROWS)
VALID: dict[str, bytes] = {
    "a.tsv": "".join(f"{a}\t{b}\n" for a, b in ROWS).encode(),
    "a.csv": CSV.getvalue().encode(),
    "a.jsonl": "".join(json.dumps({"en": a, "de": b}) + "\n" for a, b in ROWS).encode(),
    "a.parquet": parquet(),
    "a.tmx": f'<tmx version="1.4"><body>{"".join(UNITS)}</body></tmx>'.encode(),
    "a.xlf": f'<xliff version="2.0"><file>{"".join(SEGMENTS)}</file></xliff>'.encode(),
    "a.po": str(catalogue()).encode(),
    "a.mo": catalogue().to_binary(),
}
VALID["b.tsv.gz"] = gzip.compress(VALID["a.tsv"])


@st.composite
def hostile(draw: st.DrawFn, valid: bytes) -> bytes:
    """Any bytes, or a good file with bytes altered, cut out, doubled or put in."""
    if draw(st.integers(0, 9)) == 0:
        return draw(st.binary(max_size=300))
    content = bytearray(valid)
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(content)))
        match draw(st.integers(0, 4)):
            case 0:
                content[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                content[at:at] = draw(st.sampled_from(CHUNKS))
            case 2:
                del content[at : at + draw(st.integers(1, 40))]
            case 3:
                del content[at:]
            case _:
                content[at:at] = content[at : at + draw(st.integers(1, 60))]
    return bytes(content)


@contextmanager
def small_blocks() -> Iterator[None]:
    """Read in blocks that cut lines, characters and elements."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streams, "BLOCK", 7)
        yield


def outcome(file: Path, **options: Any) -> Rows | None:
    """The rows, or None after an InputError of one line."""
    try:
        reader = reader_of(file, **options)
        assert len(reader.fingerprint) == 32
        rows = rows_of(reader)
    except InputError as error:
        found = str(error)
        rows = []
    else:
        found = ""
    if found:
        assert found.startswith(f"data.train={file}: ")
        assert "\n" not in found
        return None
    for row in rows:
        assert all(isinstance(text, str) and "\n" not in text for text in row)
        "".join(row).encode()
    return rows


def lines_of(content: bytes) -> list[str]:
    lines = content.removeprefix(BOM).decode().split("\n")
    return [line.removesuffix("\r") for line in lines[:-1]] + [lines[-1]] * bool(lines[-1])


def flat(row: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(text.replace("\n", " ").replace("\r", " ") for text in row)


def columns(rows: list[list[str]]) -> Rows:
    names = [("en", "de"), ("source", "target")]
    found = next((pair for pair in names if {*pair} <= {*rows[0]}), None)
    numbers = (0, 1) if found is None else tuple(rows[0].index(name) for name in found)
    data = rows if found is None else rows[1:]
    return [flat(tuple(row[i] for i in numbers)) if row else ("", "") for row in data]


def slow_tsv(content: bytes) -> Rows:
    return columns([line.split("\t") if line else [] for line in lines_of(content)])


def slow_csv(content: bytes) -> Rows:
    text = content.removeprefix(BOM).decode()
    return columns(list(csv.reader(io.StringIO(text, newline="\n"), strict=True)))


def slow_jsonl(content: bytes) -> Rows:
    rows: Rows = []
    for line in lines_of(content):
        record = json.loads(line) if line.strip() else {}
        texts = record["translation"] or {} if "translation" in record else record
        rows.append(flat((texts.get("en") or "", texts.get("de") or "")))
    return rows


def slow_parquet(content: bytes) -> Rows:
    records = pq.read_table(io.BytesIO(content)).to_pylist()
    return [flat((record["en"] or "", record["de"] or "")) for record in records]


def slow_tmx(content: bytes) -> Rows:
    def text(seg: ElementTree.Element) -> str:
        skipped = ("ph", "bpt", "ept", "it", "ut")
        inner = ("" if x.tag in skipped else text(x) for x in seg)
        tails = (x.tail or "" for x in seg)
        return (seg.text or "") + "".join(a + b for a, b in zip(inner, tails, strict=True))

    rows: Rows = []
    for unit in ElementTree.fromstring(content).iter("tu"):
        found: dict[str, str] = {}
        for variant in unit.findall("tuv"):
            code = variant.get("{http://www.w3.org/XML/1998/namespace}lang") or variant.get("lang")
            for seg in variant.findall("seg"):
                found.setdefault(str(code).lower(), text(seg))
        if {"en", "de"} <= found.keys():
            rows.append(flat((found["en"], found["de"])))
    return rows


SLOW: dict[str, Callable[[bytes], Rows]] = {
    "a.tsv": slow_tsv,
    "a.csv": slow_csv,
    "a.jsonl": slow_jsonl,
    "a.parquet": slow_parquet,
    "a.tmx": slow_tmx,
}


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("context", [False, True])
def test_the_valid_files_are_read(tmp_path: Path, name: str, context: bool) -> None:
    (tmp_path / name).write_bytes(VALID[name])
    rows = outcome(tmp_path / name, context=context)
    assert rows is not None
    assert len(rows) >= 6


@pytest.mark.parametrize("name", VALID)
@settings(max_examples=60)
@given(data=st.data())
def test_hostile_bytes_are_an_input_error_or_right_pairs(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    file = tmp_path_factory.mktemp("hostile") / name
    content = data.draw(hostile(VALID[name]))
    file.write_bytes(content)
    with small_blocks():
        rows = outcome(file)
    if rows is not None and name in SLOW:
        assert rows == SLOW[name](content)


@settings(max_examples=60)
@given(data=st.data())
def test_hostile_lines_are_an_input_error_or_right_pairs(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("hostile")
    valid = "".join(f"{a}\n" for a in TEXTS).encode()
    sides = [data.draw(hostile(valid)), data.draw(st.just(valid) | hostile(valid))]
    for language, content in zip(("en", "de"), sides, strict=True):
        (folder / f"a.{language}").write_bytes(content)
    with small_blocks():
        rows = outcome(folder / "a")
    if rows is not None:
        assert rows == list(zip(*map(lines_of, sides), strict=True))
    else:
        try:
            source, target = map(lines_of, sides)
        except UnicodeDecodeError:
            return
        assert len(source) != len(target) or not source


def test_much_of_the_same_is_read_quickly(tmp_path: Path) -> None:
    draw = random.Random(1)
    repeated = {
        "a.tsv": b"\t" * 300_000 + b"\n",
        "a.csv": b'"' + b'""' * 300_000 + b'",x\n',
        "a.jsonl": b'{"en": "' + b"\\n" * 300_000 + b'", "de": ""}',
        "a.tmx": b"<tmx>" * 100_000,
        "a.xlf": b"<xliff>" + b"<file><unit><segment><source>" * 30_000,
        "a.po": b'msgid "' + b"\\" * 100_001 + b'"\n',
    }
    for name, content in repeated.items():
        (tmp_path / name).write_bytes(content)
        outcome(tmp_path / name)
    (tmp_path / "a.tsv").write_bytes(draw.randbytes(300_000))
    outcome(tmp_path / "a.tsv")
