"""A trainer of sequence-to-sequence Transformers for machine translation."""

__version__ = "0.1.0"
