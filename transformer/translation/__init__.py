"""Lines to lines with a trained model."""

from transformer.translation.files import (
    open_output,
    require_other_file,
    translate_file,
    with_progress,
)
from transformer.translation.translator import Translation, Translator

__all__ = [
    "Translation",
    "Translator",
    "open_output",
    "require_other_file",
    "translate_file",
    "with_progress",
]
