"""Entities and tags: what is read, what goes, what stays."""

import html
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transformer.text.cleaning.markup import without_markup

PIECES = st.sampled_from(
    [
        "<",
        ">",
        "</",
        "/>",
        "a",
        "br",
        "g",
        " ",
        "=",
        '"',
        "'",
        "x",
        "&",
        ";",
        "lt",
        "amp",
        "#10",
        "<!--",
        "-->",
        "<?",
        "?>",
        "<!D",
        "é",
    ]
)


@pytest.mark.parametrize(
    "text",
    [
        "a < b",
        "a<b>c",
        "I <3 you > me",
        "a <- b -> c",
        "if (a<b && c>d)",
        "cp <file> <dest>",
        "of </file> alone",
        "<john@x.com>",
        "<http://x.de/y>",
        "R&D at AT&T",
        "?a=1&copy=2",
        "&nosuch;",
        "&#0;",
        "& ;",
    ],
)
def test_what_is_no_markup_stays(text: str) -> None:
    assert without_markup(text) == text


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<b>W</b>ort", "Wort"),
        ("<i>half a line", "half a line"),
        ("one<br>two<BR/>three", "one two three"),
        ("<p class='x'>one</p>", "one"),
        ('<a href="http://x.de/?a=b">here</a>', "here"),
        ('press <g id="1">OK</g><x id="2"/>', "press OK"),
        ("<seg>text</seg>", "text"),
        ("one <!-- a < b --> two", "one  two"),
        ("<?xml version='1.0'?><!DOCTYPE html>text", "text"),
        ("x&lt;br&gt;y", "x y"),
        ("&quot;&auml;&#228;&#xE4;&quot;", '"äää"'),
        ("one&#10;two&NewLine;three", "one two three"),
    ],
)
def test_markup_goes(text: str, plain: str) -> None:
    assert without_markup(text) == plain


@given(st.text())
def test_entities_are_read_once(text: str) -> None:
    once = html.escape(text.replace("\r", "").replace("\n", ""))
    if "<" not in html.unescape(once):
        assert without_markup(once) == html.unescape(once)
        assert without_markup(html.escape(once)) == once


@given(st.lists(PIECES).map("".join))
def test_nothing_but_markup_goes_and_no_line_end_comes(text: str) -> None:
    plain = without_markup(text)
    assert "\n" not in plain
    if "&" not in text and "<" not in text:
        assert plain == text


@pytest.mark.parametrize(
    "start", ["<", "<a ", "<a b=c ", "<!--", '<a b="', "&", "&#1", "<?a", "<!a", "</a ", "<a b='"]
)
def test_hostile_text_takes_no_longer_than_its_length_asks(start: str) -> None:
    began = time.process_time()
    without_markup(start * 20_000 + ">")
    without_markup(start + " " * 20_000 + "<")
    assert time.process_time() - began < 1
