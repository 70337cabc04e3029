"""Parts of a section, one below the other."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from transformer.pictures.difference import Span, differences
from transformer.pictures.page import Section, render, render_table
from transformer.tables import Table


@dataclass
class Parts:
    """What a section shows, in order; all text is escaped, and HTML is taken as it is."""

    _parts: list[tuple[str, str]] = field(default_factory=list)

    def lead(self, text: str) -> None:
        """Add what the section, or what follows, is about."""
        self._parts.append(("lead", text))

    def note(self, text: str) -> None:
        """Add small print."""
        self._parts.append(("note", text))

    def paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(("p", text))

    def head(self, text: str, *, small: bool = False) -> None:
        """Add a head, or a smaller one."""
        self._parts.append(("h4" if small else "h3", text))

    def html(self, text: str) -> None:
        """Add what is HTML already."""
        self._parts.append(("html", text))

    def table(
        self, table: Table, *, strong: Collection[int] = (), searchable: bool = False
    ) -> None:
        """Add a table that can be sorted, as of `render_table`."""
        self.html(render_table(table, strong=strong, searchable=searchable))

    def figures(self, figures: Sequence[str]) -> None:
        """Add figures, as many beside each other as there is room for."""
        self.html(render("figures.html", figures=figures))

    def absent(self, notes: Iterable[str]) -> None:
        """Add what is missing and what would make it appear; nothing where nothing is."""
        if notes := list(notes):
            self.html(render("absent.html", notes=notes))

    def folded(self, summary: str, inner: "Parts") -> None:
        """Add other parts that a click on `summary` shows."""
        self.html(render("folded.html", summary=summary, html=inner.render()))

    def signatures(self, signatures: Iterable[tuple[str, str]]) -> None:
        """Add the names of metrics and their signatures, each to be copied."""
        self.html(render("signatures.html", signatures=list(signatures)))

    def sentences(self, columns: Sequence[str], rows: Sequence["Sentence"], note: str) -> None:
        """Add sentences, to be sorted by the numbers under `columns`."""
        self.html(render("sentences.html", columns=columns, rows=rows, note=note))

    def balance(self, wins: int, ties: int, losses: int, other: str) -> None:
        """Add in how many sentences a system is better, alike and worse than the `other`."""
        self.html(render("balance.html", wins=wins, ties=ties, losses=losses, other=other))

    def render(self) -> str:
        """The parts as HTML."""
        return render("parts.html", parts=self._parts)

    def section(self, anchor: str, title: str) -> Section:
        """The section that these parts make."""
        return Section(anchor, title, self.render())


@dataclass(frozen=True)
class Text:
    """A text of a sentence in spans; its role is source, reference or translation."""

    label: str
    role: str
    spans: list[Span]


@dataclass(frozen=True)
class Sentence:
    """A sentence with numbers, and its source, reference and translations."""

    numbers: Sequence[int | float]
    texts: list[Text]


def sentence(
    numbers: Sequence[int | float],
    source: str,
    reference: str,
    translations: Sequence[tuple[str, str]],
    *,
    by_characters: bool = False,
) -> Sentence:
    """A sentence whose `translations`, each behind its label, are marked where they differ.

    The reference is marked where it differs from the first of them.
    """
    pairs = [
        (label, *differences(text, reference, by_characters=by_characters))
        for label, text in translations
    ]
    return Sentence(
        numbers,
        [
            Text("source", "source", [Span(source, differs=False)]),
            Text("reference", "reference", pairs[0][2]),
            *(Text(label, "translation", spans) for label, spans, _ in pairs),
        ],
    )
