"""What is changed in the training pairs, which are dropped, and the report on both."""

from transformer.text.cleaning.cleaner import Cleaned, Cleaner
from transformer.text.cleaning.languages import has_spaces, language_of, scripts_of
from transformer.text.cleaning.report import CleaningReport, CorpusReport

__all__ = [
    "Cleaned",
    "Cleaner",
    "CleaningReport",
    "CorpusReport",
    "has_spaces",
    "language_of",
    "scripts_of",
]
