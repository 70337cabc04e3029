"""Which lines are translated together."""

from collections.abc import Iterator, Sequence

from transformer.config import SearchConfig

LEAST_PIECES = 16  # that a line of a batch counts as


def plan(lengths: Sequence[int], config: SearchConfig) -> Iterator[list[int]]:
    """Batches of row numbers, longest first, each within `config.batch_tokens`.

    Memory goes by rows too, each with its logits: a short line counts as LEAST_PIECES long.
    """
    rows = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    batch: list[int] = []
    for row in rows:
        longest = max(lengths[batch[0] if batch else row] + 1, LEAST_PIECES)
        if batch and (len(batch) + 1) * longest * config.width > config.batch_tokens:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
