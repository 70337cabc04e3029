"""The search that a configuration asks for."""

from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor

from transformer.config import SearchConfig, SearchMethod
from transformer.errors import require
from transformer.search.beam import beam_search
from transformer.search.constraints import Constrained
from transformer.search.exclusion import Excluded
from transformer.search.hypothesis import Hypothesis
from transformer.search.protocol import Model, SpecialIds, State, Task, Vocabulary
from transformer.search.rules import Rule, Rules, Shortest, Unrepeated, Unwritten
from transformer.search.sampling import sample
from transformer.search.selection import Best, Diverse, Selection

S = TypeVar("S", bound=State)


@torch.inference_mode()
def search(
    model: Model[S],
    source: Tensor,
    tasks: Sequence[Task],
    config: SearchConfig,
    special: SpecialIds,
    vocabulary: Vocabulary | None = None,
) -> list[list[Hypothesis]]:
    """The hypotheses of each row of `source` [B, S] that `config` and its task ask for.

    Of a beam, the best first; samples in the order in which they were drawn. `vocabulary` is
    needed where a task includes or excludes something. InputError where nothing keeps to a task.
    """
    if len(source) == 0:
        return []
    device = source.device
    rules: list[Rule] = [
        Unwritten([special.pad, special.bos] + [special.unk] * (not config.allow_unknown)),
        Shortest(tasks, special.eos, device),
    ]
    if config.no_repeat_ngram is not None:
        rules.append(Unrepeated(config.no_repeat_ngram, tasks, device))
    if any(task.exclude for task in tasks):
        assert vocabulary is not None
        rules.append(Excluded(tasks, special, vocabulary, device))
    selection: Selection = Best()
    if config.groups > 1:
        selection = Diverse(config.groups, config.diversity)
    if any(task.include for task in tasks):
        assert vocabulary is not None
        require(
            config.groups == 1,
            f"search.groups={config.groups} does not go with phrases that must occur; set it to 1",
        )
        constrained = Constrained(tasks, special, vocabulary, device)
        rules.append(constrained)
        selection = constrained
    together = Rules(rules, tasks, special.eos, device)
    if config.method is SearchMethod.sampling:
        return sample(model, source, tasks, config, special, [together])
    return beam_search(model, source, tasks, config, special, together, selection)
