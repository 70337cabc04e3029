"""Of a page: the best and the worst sentences."""

from transformer.evaluation.page.subject import NO_TRANSLATIONS, Scored, Subject
from transformer.pictures.page import Section
from transformer.pictures.parts import Parts, Sentence, sentence


def sentences_section(subject: Subject) -> Section:
    """The best and worst sentences of each set, by chrF."""
    parts = Parts()
    n = subject.settings.sentences
    if n == 0:
        parts.absent(["No sentences were asked for: sentences=0. Give sentences=10."])
    elif not subject.scored:
        parts.absent([NO_TRANSLATIONS])
    for each in subject.scored if n else ():
        if len(subject.scored) > 1:
            parts.head(each.text.label)
        worst, best = each.analysis.worst(n), each.analysis.best(n)
        # Of few sentences, one may be among both.
        rows = list(dict.fromkeys([*worst, *reversed(best)]))
        note = (
            f"The {len(worst)} worst and the {len(best)} best of {len(each.chrf):,} sentences by "
            "chrF; a click on a head sorts."
        )
        parts.sentences(["line", "chrF", "words"], [_sentence(each, row) for row in rows], note)
    return parts.section("sentences", "Best and worst")


def _sentence(each: Scored, row: int) -> Sentence:
    text = each.text
    return sentence(
        [row + 1, each.chrf[row], each.lengths[row]],
        text.sources[row],
        text.references[row],
        [("translation", text.translations[row])],
        by_characters=each.by_characters,
    )
