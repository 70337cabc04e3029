"""Lines to lines with trained models."""

from transformer.translation.files import translate_file
from transformer.translation.models import Member
from transformer.translation.output import open_output, require_other_file
from transformer.translation.progress import with_progress
from transformer.translation.request import Output, Request, Translation
from transformer.translation.scored_files import score_file
from transformer.translation.translator import Translator, start

__all__ = [
    "Member",
    "Output",
    "Request",
    "Translation",
    "Translator",
    "open_output",
    "require_other_file",
    "score_file",
    "start",
    "translate_file",
    "with_progress",
]
