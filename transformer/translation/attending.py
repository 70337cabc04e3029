"""Outputs with what the model looks at while it writes them."""

from collections.abc import Sequence
from dataclasses import replace

from transformer.text.alignment import word_starts
from transformer.text.tokenizer import EOS_ID
from transformer.translation.alignment import word_links, written_word_starts
from transformer.translation.jobs import Job
from transformer.translation.request import Output
from transformer.translation.scoring import Scorer


def attended(
    scorer: Scorer,
    texts: Sequence[str],
    jobs: Sequence[Job],
    found: Sequence[Sequence[Output]],
    batch_tokens: int,
    *,
    alignment: bool,
    attention: bool,
) -> list[list[Output]]:
    """The outputs `found` for `jobs`, whose sources are `texts`, with what is wanted of the two.

    Each must be all that was written for its job.
    """
    source, target = scorer.tokenizers.source, scorer.tokenizers.target
    outputs = [(i, output) for i, row in enumerate(found) for output in row]
    written = [target.ids(output.tokens) for _, output in outputs]
    labels = [
        [*ids] + [EOS_ID] * output.finished
        for ids, (_, output) in zip(written, outputs, strict=True)
    ]
    sources = [jobs[i].source for i, _ in outputs]
    scored = scorer.score_tokens(sources, labels, batch_tokens, attend=True)
    source_starts = list(word_starts(source.model, texts))
    target_starts = written_word_starts(target.model, written)
    results: list[list[Output]] = [[] for _ in jobs]
    for (i, output), each, starts in zip(outputs, scored, target_starts, strict=True):
        looks = replace(each, first=jobs[i].first).looks
        assert looks is not None
        links = word_links(looks, source_starts[i], starts) if alignment else None
        shown = looks.tolist() if attention else None
        results[i].append(replace(output, alignment=links, attention=shown))
    return results
