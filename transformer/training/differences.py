"""In what the settings of a run differ from those it began with, and which of them may."""

from transformer.config import ENDING, TrainSettings, flatten, shown, to_mapping

# What may change when a run goes on: it alters only how many updates there are, where they are
# computed, how much text goes into each, and what is measured, told and kept beside them.
FREE = (
    "run_dir",
    "device",
    "threads",
    "search",
    "data.batch_tokens",
    "data.workers",
    "data.prefetch",
    "data.prepare_processes",
    "data.cache_dir",
    "cleaning.keep_rejected",
    "cleaning.n_examples",
    "training.max_updates",
    "training.max_epochs",
    "training.max_minutes",
    "training.resume",
    "training.accumulate",
    "training.gradient_checkpointing",
    "training.compile",
    "training.packing",
    "training.validate_every",
    "training.checkpoint_every",
    "training.checkpoint_minutes",
    "training.keep_last",
    "training.keep_best",
    "training.keep_every",
    "training.keep_minutes",
    "training.patience",
    "training.validation_beam_size",
    "training.n_samples",
    "training.attention_samples",
    "training.log_every",
    "training.faults",
    "training.parallel",
)

# Under a schedule that ends there, this one is not free.
END = "training.max_updates"

# These alter nothing that is worth a line in the log.
SILENT = ("run_dir", "training.resume")


def differences(before: TrainSettings, after: TrainSettings) -> list[str]:
    """The settings, but for FREE ones, in which two runs differ, as `key was X, now Y`."""
    return [text for key, text in _different(before, after).items() if not _is_free(key, after)]


def changes(before: TrainSettings, after: TrainSettings) -> list[str]:
    """The FREE settings in which a run differs when it goes on, as `key was X, now Y`."""
    return [
        text
        for key, text in _different(before, after).items()
        if _is_free(key, after) and key not in SILENT
    ]


def _different(before: TrainSettings, after: TrainSettings) -> dict[str, str]:
    old, new = flatten(to_mapping(before)), flatten(to_mapping(after))
    return {
        key: f"{key} was {shown(old.get(key))}, now {shown(new.get(key))}"
        for key in dict.fromkeys([*old, *new])
        if old.get(key) != new.get(key)
    }


def _is_free(key: str, after: TrainSettings) -> bool:
    if key == END:
        return after.optim.schedule not in ENDING
    return any(key == name or key.startswith(name + ".") for name in FREE)
