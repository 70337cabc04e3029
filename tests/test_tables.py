"""Tables hold whatever text there is."""

import pytest

from transformer.tables import WIDEST, Table

ODD = "a\rb\nc\x0bd\u2028e\x85f\x1b[31mg"


@pytest.mark.parametrize("form", ["table", "markdown", "latex"])
def test_a_row_is_a_line_whatever_its_text_holds(form: str) -> None:
    plain, odd = (Table(["text", "n"], [[text, 1]]).render(form) for text in ("a b", ODD))
    assert len(odd.splitlines()) == len(plain.splitlines())
    assert "a b c d e f" in odd
    assert "\x1b" not in odd


def test_markdown_shows_pipes_and_tags_as_they_stand() -> None:
    found = Table(["a|b"], [["<b>x|y</b>"]]).render("markdown")
    head, _, row = found.splitlines()
    assert head.replace("\\|", "").count("|") == row.replace("\\|", "").count("|") == 2
    assert "&lt;b>x\\|y&lt;/b>" in row


def test_latex_escapes_what_it_would_obey() -> None:
    found = Table(["50 %_"], [["#1 & {2} $3 \\ ~ ^"]]).render("latex")
    assert "50 \\%\\_" in found
    assert "\\#1 \\& \\{2\\} \\$3 \\textbackslash{} \\textasciitilde{} \\^{}" in found


def test_long_cells_are_cut_on_a_terminal_alone() -> None:
    table = Table(["text"], [["x" * (WIDEST + 1)], ["y" * WIDEST]])
    assert "x" * (WIDEST - 1) + "…" in table.render("table")
    assert "y" * WIDEST in table.render("table")
    for form in ("markdown", "latex"):
        assert "x" * (WIDEST + 1) in table.render(form)
