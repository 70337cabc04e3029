"""Lines to lines: sort, batch, search, restore the order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch

from transformer.checkpoint import Checkpoint, find_checkpoint
from transformer.config import (
    AttentionConfig,
    DecodingSettings,
    EnsembleConfig,
    Precision,
    Protected,
    RequestSettings,
    SearchConfig,
    SearchMethod,
    TrainSettings,
    from_mapping,
    to_mapping,
)
from transformer.device import (
    autocast,
    choose_device,
    choose_precision,
    keep_freed_memory,
    set_threads,
)
from transformer.errors import InputError, require
from transformer.model.prepacked import prepack
from transformer.search import AttendingModel, Hypothesis, SpecialIds, search
from transformer.search.shortlist import Subvocabulary
from transformer.text.batching import pad
from transformer.text.lexicon import Lexicon
from transformer.text.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID, Tokenizers
from transformer.translation.attending import attended
from transformer.translation.batches import plan
from transformer.translation.documents import Document
from transformer.translation.jobs import Job, Planner
from transformer.translation.mbr import choose
from transformer.translation.models import Always, Member, combined, require_same_pieces
from transformer.translation.options import Options, options_of
from transformer.translation.request import Output, Request, Translation, listed, named
from transformer.translation.scoring import Scorer
from transformer.translation.sources import longest_of

# Lines that are sorted by length together; so many are read before the first comes out.
WINDOW = 4096
SPECIAL = SpecialIds(pad=PAD_ID, unk=UNK_ID, bos=BOS_ID, eos=EOS_ID)


class Translator:
    """One or more models with their tokenizers, ready to translate.

    It may be used by several threads at once. The weights of its models must not change any more.
    """

    def __init__(
        self,
        members: Sequence[Member],
        tokenizers: Tokenizers,
        device: torch.device,
        precision: Precision,
        *,
        ensemble: EnsembleConfig | None = None,
        options: Options | None = None,
        shortlist: Lexicon | None = None,
    ) -> None:
        self.members = members
        self.settings: TrainSettings = members[0].settings
        self.tokenizers = tokenizers
        self.device = device
        self.precision = precision
        self.ensemble = ensemble or EnsembleConfig()
        options = options or Options(max_source_pieces=longest_of(self.settings))
        self.planner = Planner(tokenizers, self.settings.data, options)
        separator = self.planner.sources.separator
        always = [] if separator is None else [separator]
        self.shortlist = None if shortlist is None else Always(shortlist, always)

    @classmethod
    def load(
        cls,
        checkpoint: str | Sequence[str],
        device: str = "auto",
        precision: Precision | str = Precision.auto,
        *,
        ensemble: EnsembleConfig | None = None,
        terminology: str | None = None,
        exclude: Sequence[str] = (),
        protect: Sequence[Protected | str] = (),
        max_source_pieces: int | None = None,
        shortlist: str | None = None,
        target_language: str | None = None,
    ) -> Self:
        """The translator of a run's folder or a checkpoint's; of several, an ensemble.

        The settings are those of the translate command, precision and what is protected also by
        name. InputError where there is no such checkpoint or setting.
        """
        settings = {
            "checkpoint": checkpoint if isinstance(checkpoint, str) else list(checkpoint),
            "device": device,
            "precision": precision,
            "ensemble": to_mapping(ensemble or EnsembleConfig()),
            "terminology": terminology,
            "exclude": listed("exclude", exclude),
            "protect": listed("protect", protect),
            "max_source_pieces": max_source_pieces,
            "shortlist": shortlist,
            "target_language": target_language,
        }
        return cls.of(from_mapping(RequestSettings, settings))

    @classmethod
    def of(cls, settings: DecodingSettings) -> Self:
        """The translator that a command asks for; InputError where there is none."""
        place = choose_device(settings.device)
        precision = choose_precision(settings.precision, place)
        loaded = [Checkpoint(find_checkpoint(folder)) for folder in settings.checkpoints]
        require_same_pieces(loaded)
        members = [Member(each.model(place), each.settings) for each in loaded]
        if place.type == "cpu" and precision is Precision.fp32:
            for member in members:
                prepack(member.model)
        tokenizers = loaded[0].tokenizers
        longest = min(longest_of(each.settings) for each in loaded)
        options = Options(max_source_pieces=longest, target_language=settings.target_language)
        shortlist = None
        if isinstance(settings, RequestSettings):
            options = options_of(settings, longest)
            if settings.shortlist is not None:
                shortlist = Lexicon.load(Path(settings.shortlist), tokenizers)
        return cls(
            members,
            tokenizers,
            place,
            precision,
            ensemble=settings.ensemble,
            options=options,
            shortlist=shortlist,
        )

    def translate(
        self,
        lines: Iterable[str | Request],
        config: SearchConfig | None = None,
        *,
        alignment: bool = False,
        attention: bool = False,
    ) -> Iterator[Translation]:
        """The translation of each line, in order; reads WINDOW lines ahead.

        Where the model takes the sentences before a line, those of a text are the texts before it,
        up to a blank one; a Request has its own. With `alignment` and `attention`, each output has
        them.
        """
        require(not isinstance(lines, str), "lines is one text; give a list of them")
        config = config or SearchConfig()
        requests, first = self._requests(lines), 0
        while window := list(islice(requests, WINDOW)):
            yield from self.translate_together(
                window, config, first=first, alignment=alignment, attention=attention
            )
            first += len(window)

    def _requests(self, lines: Iterable[str | Request]) -> Iterator[Request]:
        document = Document[str](self.planner.sources.context.source)
        for line in lines:
            if isinstance(line, Request):
                yield line
                continue
            before = document.before(line, blank=not line.strip())
            yield Request(source=line, context=before)

    def translate_together(
        self,
        requests: Sequence[Request],
        config: SearchConfig,
        *,
        first: int = 0,
        alignment: bool = False,
        attention: bool = False,
    ) -> list[Translation]:
        """The translation of each of `requests`, in order; `first` is the number of the first.

        With `alignment` and `attention`, each output has them.
        """
        require(
            not (alignment or attention) or self.planner.sources.separator is None,
            "alignment and attention go with models that write one sentence a line; this one was "
            "trained with data.context.target and writes others before it",
        )
        lines = self.planner.lines(requests, config, first)
        jobs = [job for line in lines for job in line.jobs]
        found = self._find(jobs, [line.language for line in lines for _ in line.jobs], config)
        if alignment or attention:
            texts = [part for line in lines for part in line.parts]
            wanted = {"alignment": alignment, "attention": attention}
            found = attended(
                self._scorer(config), texts, jobs, found, config.batch_tokens, **wanted
            )
        remaining = iter(found)
        return [
            self.planner.translation(line, [next(remaining) for _ in line.jobs]) for line in lines
        ]

    def score(
        self,
        pairs: Iterable[tuple[str, str]],
        config: SearchConfig | None = None,
        *,
        alignment: bool = False,
        attention: bool = False,
    ) -> Iterator[Output]:
        """The target of each pair as the search would score it, in order.

        Where the model takes the sentences before a line, those of a pair are the pairs before it,
        up to one with a blank source, and its target is scored behind theirs.
        """
        config = config or SearchConfig()
        language, scorer = self.planner.language(), self._scorer(config)
        return scorer.score_pairs(
            pairs, config, language=language, alignment=alignment, attention=attention
        )

    def _scorer(self, config: SearchConfig) -> Scorer:
        model = self._model(config.attention)
        return Scorer(model, self.planner.sources, self.device, self.precision)

    def _model(
        self, attention: AttentionConfig, subvocabulary: Subvocabulary | None = None
    ) -> AttendingModel[Any]:
        return combined(self.members, self.ensemble, attention, subvocabulary)

    def _find(
        self, jobs: Sequence[Job], languages: Sequence[str], config: SearchConfig
    ) -> list[list[Output]]:
        """What the search finds for each of `jobs`, in order; `languages` are of their outputs."""
        self._model(config.attention)  # what is wrong with the settings is no fault of a line
        within = config if config.mbr is None else replace(config, n_best=config.width)
        found: dict[int, list[Output]] = {}
        for rows in plan([len(job.source) for job in jobs], config):
            batch = self._search([jobs[row] for row in rows], within)
            for row, hypotheses in zip(rows, batch, strict=True):
                found[row] = self._outputs(hypotheses, languages[row], config)
        return [found[row] for row in range(len(jobs))]

    def _outputs(
        self, hypotheses: Sequence[Hypothesis], language: str, config: SearchConfig
    ) -> list[Output]:
        """The `hypotheses` as text; of MBR, those that it chooses."""
        outputs = self.planner.outputs(hypotheses)
        if config.mbr is None:
            return outputs
        drawn = config.method is SearchMethod.sampling
        return choose(outputs, config.mbr, language, config.n_best, drawn=drawn)

    def _search(self, jobs: Sequence[Job], config: SearchConfig) -> list[list[Hypothesis]]:
        """As `search_jobs`; InputError names the line that nothing can be found for."""
        if len(jobs) == 1:
            with named(jobs[0].place):
                return self.search_jobs(jobs, config)
        try:
            return self.search_jobs(jobs, config)
        except InputError:
            half = len(jobs) // 2
            return self._search(jobs[:half], config) + self._search(jobs[half:], config)

    def search_jobs(self, jobs: Sequence[Job], config: SearchConfig) -> list[list[Hypothesis]]:
        """The hypotheses of each of `jobs`, which are one batch."""
        sources, tasks = [job.source for job in jobs], [job.task for job in jobs]
        vocabulary, subvocabulary = self.planner.vocabulary, None
        if self.shortlist is not None:
            n = self.tokenizers.target.vocab_size
            subvocabulary = Subvocabulary.of(self.shortlist, sources, tasks, n)
            tasks = [subvocabulary.task(task) for task in tasks]
            vocabulary = subvocabulary.vocabulary(vocabulary)
        source = pad([[*ids, EOS_ID] for ids in sources], max(map(len, sources)) + 1)
        model = self._model(config.attention, subvocabulary)
        with autocast(self.precision, self.device):
            found = search(
                model, source.to(self.device), tasks, config, SPECIAL, vocabulary=vocabulary
            )
        if subvocabulary is None:
            return found
        return [[subvocabulary.hypothesis(each) for each in row] for row in found]


def start(settings: DecodingSettings) -> Translator:
    """The translator of a command, which has the process, its threads and its memory, to itself."""
    set_threads(settings.threads)
    translator = Translator.of(settings)
    if translator.device.type == "cpu":
        keep_freed_memory()
    return translator
