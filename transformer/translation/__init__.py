"""Lines to lines with a trained model."""

from transformer.translation.files import translate_file
from transformer.translation.translator import Translation, Translator

__all__ = ["Translation", "Translator", "translate_file"]
