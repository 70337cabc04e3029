"""Translation memories, localisation files and catalogues."""

import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.text.readers.conftest import Rows, reader_of, rows_of
from transformer.errors import InputError

polib = pytest.importorskip("polib", reason="of the extra formats")

Read = Callable[..., Rows]
# What XML 1.0 may hold, in section 2.2.
XML_TEXT = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
    | st.sampled_from("\t\n\r&<>\"']")
)


def escape(text: str) -> str:
    return "".join(f"&#{ord(x)};" if x in "&<>\r\n\t" else x for x in text)


def tuv(language: str, text: str) -> str:
    return f'<tuv xml:lang="{language}"><seg>{text}</seg></tuv>'


def tmx(*units: str, head: str = "") -> str:
    body = "".join(f"<tu>{unit}</tu>" for unit in units)
    return f'<?xml version="1.0"?>{head}<tmx version="1.4"><header/><body>{body}</body></tmx>'


def write(file: Path, text: str, encoding: str = "utf-8") -> Path:
    file.write_bytes(text.encode(encoding))
    return file


@given(rows=st.lists(st.tuples(XML_TEXT, XML_TEXT), min_size=1))
def test_units_of_a_memory_come_back(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    file = tmp_path_factory.mktemp("tmx") / "a.tmx"
    units = [tuv("DE_de", escape(b)) + tuv("EN", escape(a)) for a, b in rows]
    write(file, tmx(*units))
    wanted = [tuple(x.replace("\n", " ").replace("\r", " ") for x in row) for row in rows]
    assert rows_of(reader_of(file)) == wanted


def test_the_very_same_code_goes_before_a_form_of_it_and_others_are_counted(
    tmp_path: Path, read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    units = [
        tuv("en-US", "1") + tuv("en", "2") + tuv("de-AT", "3") + tuv("eng", "4"),
        tuv("en-GB", "5") + tuv("en-US", "6") + '<tuv lang="de"><seg>7</seg></tuv>',
        tuv("en", "8") + tuv("fr", "9"),
        tuv("en", "") + tuv("de", "x"),
    ]
    assert read(write(tmp_path / "a.tmx", tmx(*units))) == [("2", "3"), ("5", "7"), ("", "x")]
    assert "left out 1 units of 4 without one of en and de" in caplog.text
    assert "left out 2 further texts" in caplog.text


def test_native_codes_are_left_out_and_text_in_them_stays(tmp_path: Path, read: Read) -> None:
    text = (
        'a<bpt i="1">&lt;b></bpt>b<hi>c<ph>x</ph>d</hi><ept i="1">y</ept> '
        "<it>z<sub>e<ut>w</ut>f</sub>v</it><ut/>g<!-- no --><![CDATA[<h>]]>"
    )
    file = write(tmp_path / "a.tmx", tmx(tuv("en", text) + tuv("de", "x\n  y")))
    assert read(file) == [("abcd efg<h>", "x   y")]


@pytest.mark.parametrize("encoding", ["utf-16", "iso-8859-1", "windows-1252", "us-ascii"])
def test_a_memory_may_be_in_an_encoding_that_it_names(
    tmp_path: Path, read: Read, encoding: str
) -> None:
    text = "x" if encoding == "us-ascii" else "schön"
    content = tmx(tuv("en", text) + tuv("de", text)).replace("?>", f' encoding="{encoding}"?>', 1)
    assert read(write(tmp_path / "a.tmx", content, encoding)) == [(text, text)]


BOMB = '<!DOCTYPE tmx [<!ENTITY a "aaa"><!ENTITY b "&a;&a;">]>'
ABROAD = '<!DOCTYPE tmx [<!ENTITY a SYSTEM "/etc/hostname">]>'
PARAMETER = '<!DOCTYPE tmx [<!ENTITY % a SYSTEM "x.dtd">%a;]>'
DTD = '<!DOCTYPE tmx SYSTEM "tmx14.dtd">'
GOOD = tuv("en", "a") + tuv("de", "b")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (tmx(tuv("en", "&b;") + tuv("de", "x"), head=BOMB), "line 1: it declares an entity .a.,"),
        (tmx(tuv("en", "&a;") + tuv("de", "x"), head=ABROAD), "line 1: it declares an entity"),
        (tmx(GOOD, head=PARAMETER), "line 1: it declares an entity"),
        (tmx(tuv("en", "x&nbsp;y") + GOOD, head=DTD), "the entity &nbsp; is not known"),
        (tmx(tuv("en", "x&nbsp;y") + GOOD), "not well-formed XML: undefined entity"),
        (tmx(GOOD)[:-5], "not well-formed XML"),
        (tmx(GOOD) + "x", "not well-formed XML: junk after document element"),
        (tmx(tuv("en", "&#xD800;") + GOOD), "not well-formed XML: reference to invalid"),
        (tmx("<tuv><seg>x</seg></tuv>"), "line 1: <tuv> has no xml:lang"),
        (tmx(tuv("en", "a"), tuv("fr", "b")), "no unit in both en and de; it has en, fr"),
        (tmx(), "no unit in both en and de; it has none at all"),
        ("<html/>", "the file holds <html>, not <tmx>"),
        ("", "not well-formed XML: no element found"),
        ('<?xml version="1.0" encoding="utf-7"?><tmx/>', "encoding"),
        ('<?xml version="1.0" encoding="no-such"?><tmx/>', "encoding"),
    ],
)
def test_a_memory_that_is_wrong_is_an_input_error(
    tmp_path: Path, read: Read, content: str, message: str
) -> None:
    file = write(tmp_path / "a.tmx", content)
    with pytest.raises(InputError, match=rf"^data\.train={file}: [^\n]*{message}[^\n]*$"):
        read(file)


def test_a_declaration_of_the_format_itself_is_not_read(tmp_path: Path, read: Read) -> None:
    assert read(write(tmp_path / "a.tmx", tmx(GOOD, head=DTD))) == [("a", "b")]


def test_a_memory_of_any_size_needs_little_memory(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tmx", tmx(*[GOOD.replace("a</seg>", "a" * 1000 + "</seg>")] * 9000))
    tracemalloc.start()
    n_rows = sum(len(run[0]) for run in reader_of(file).columns(10))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert n_rows == 9000
    assert peak < file.stat().st_size / 2


def xliff(body: str, attributes: str = "", version: str = "1.2") -> str:
    return (
        f'<xliff xmlns="urn:oasis:names:tc:xliff:document:{version}" version="{version}" '
        f"{attributes}>{body}</xliff>"
    )


UNITS_1 = """<file source-language="EN-us" target-language="de"><header><note>n</note></header>
<body><group><trans-unit id="1"><source>one <g id="1">two</g><x id="2"/><ph id="3">code</ph>\
</source><seg-source><mrk mtype="seg">no</mrk></seg-source>
<target>eins <mrk mtype="seg">zwei</mrk></target>
<alt-trans><source>no</source><target>no</target></alt-trans></trans-unit></group>
<trans-unit id="2"><source>three</source></trans-unit>
<trans-unit id="3"><source>four</source><target/></trans-unit></body></file>"""
UNITS_2 = """<file id="f"><unit id="1"><notes><note>n</note></notes>
<mtc:matches xmlns:mtc="urn:m"><mtc:match><source>no</source><target>no</target></mtc:match>
</mtc:matches><segment><source>one <pc id="1">two</pc><ph id="2"/></source>
<target>eins <mrk id="3">zwei</mrk></target></segment>
<ignorable><source> </source><target> </target></ignorable>
<segment><source>three</source></segment></unit></file>
<file id="g"><unit id="1"><segment><source>four</source><target></target></segment></unit></file>"""
XLIFF_ROWS = [("one two", "eins zwei"), ("three", ""), ("four", "")]


@pytest.mark.parametrize("name", ["a.xlf", "a.xliff"])
def test_units_of_both_versions_of_xliff(tmp_path: Path, read: Read, name: str) -> None:
    assert read(write(tmp_path / name, xliff(UNITS_1))) == XLIFF_ROWS
    for attributes in ('srcLang="en" trgLang="de-CH"', 'srcLang="en"', ""):
        assert read(write(tmp_path / name, xliff(UNITS_2, attributes, "2.0"))) == XLIFF_ROWS
    prefixed = UNITS_2.replace("<", "<x:").replace("<x:/", "</x:").replace("x:mtc:", "mtc:")
    root = xliff(prefixed, version="2.1").replace("<xliff xmlns=", "<x:xliff xmlns:x=")
    assert read(write(tmp_path / name, root.replace("</xliff", "</x:xliff"))) == XLIFF_ROWS


def test_each_file_in_xliff_is_a_document(tmp_path: Path, read: Read) -> None:
    rows = read(write(tmp_path / "a.xlf", xliff(UNITS_2, version="2.0")), context=True)
    assert [row[:2] for row in rows] == XLIFF_ROWS
    assert rows[0][2] == rows[1][2] != rows[2][2]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (xliff(UNITS_2, 'srcLang="de"', "2.0"), "srcLang=de is not .* source language, en"),
        (xliff(UNITS_2, 'trgLang="fr"', "2.0"), "trgLang=fr is not .* target language, de"),
        (xliff(UNITS_1.replace("EN-us", "es")), "line 1: source-language=es is not"),
        (xliff(UNITS_1.replace("<target/>", "<target/><target/>")), "two elements <target>"),
        (xliff(UNITS_1)[:-9], "not well-formed"),
        (xliff(""), "holds no sentence pair"),
        (f"<!DOCTYPE xliff [<!ENTITY a 'b'>]>{xliff(UNITS_1)}", "declares an entity"),
        (tmx(GOOD), "the file holds <tmx>, not <xliff>"),
    ],
)
def test_xliff_that_is_wrong_is_an_input_error(
    tmp_path: Path, read: Read, content: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path / "a.xlf", content))


CATALOGUE = """msgid ""
msgstr "Content-Type: text/plain; charset=utf-8\\n"

msgid "one\\n"
"line"
msgstr "schön"

#, fuzzy
msgid "unsure"
msgstr "unsicher"

msgctxt "menu"
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"

msgid "half"
msgid_plural "halves"
msgstr[0] "halb"
msgstr[1] ""

msgid "alone"
msgid_plural "together"
msgstr[0] "x"

msgid "open"
msgstr ""

#~ msgid "old"
#~ msgstr "alt"
"""
PO_ROWS = [
    ("one line", "schön"),
    ("%d file", "%d Datei"),
    ("%d files", "%d Dateien"),
    ("half", "halb"),
    ("alone", "x"),
]


def test_messages_of_a_catalogue(
    tmp_path: Path, read: Read, caplog: pytest.LogCaptureFixture
) -> None:
    assert read(write(tmp_path / "a.po", CATALOGUE)) == PO_ROWS
    assert "left out 2 fuzzy or obsolete and 2 untranslated messages" in caplog.text
    latin = CATALOGUE.replace("charset=utf-8", "charset=iso-8859-1")
    assert read(write(tmp_path / "b.po", latin, "latin-1")) == PO_ROWS


def test_a_compiled_catalogue_has_the_translated_messages(tmp_path: Path, read: Read) -> None:
    polib.pofile(CATALOGUE).save_as_mofile(str(tmp_path / "a.mo"))
    wanted = [row for row in PO_ROWS if row[0] != "half"]  # not compiled, since it is only half
    assert sorted(read(tmp_path / "a.mo")) == sorted(wanted)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.po", b'msgid "x'),
        ("a.po", b'msgid "x"\nmsgstr "\xff"'),
        ("a.po", b"rubbish"),
        ("a.po", b""),
        ("a.mo", b"rubbish"),
        ("a.mo", b""),
        ("a.mo", b"\xde\x12\x04\x95" + b"\xff" * 40),
    ],
)
def test_a_catalogue_that_is_wrong_is_an_input_error(
    tmp_path: Path, read: Read, name: str, content: bytes
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=rf"^data\.train=[^\n]*{name} [^\n]*$"):
        read(tmp_path / name)


def test_a_catalogue_without_its_library_says_what_to_install(
    tmp_path: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "a.po", CATALOGUE)
    monkeypatch.setitem(sys.modules, "polib", None)
    with pytest.raises(InputError, match=r"needs polib: pip install 'transformer-mt\[formats\]'"):
        read(tmp_path / "a.po")
