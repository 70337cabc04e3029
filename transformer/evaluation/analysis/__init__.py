"""What goes wrong in translations and where, and when a score would mislead."""

from transformer.evaluation.analysis.analyse import Analysis, analyse
from transformer.evaluation.analysis.behaviour import Behaviour
from transformer.evaluation.analysis.buckets import Bucket
from transformer.evaluation.analysis.cautions import cautions, differing_signatures
from transformer.evaluation.analysis.suspects import Suspect
from transformer.evaluation.analysis.training import TrainingText, training_text

__all__ = [
    "Analysis",
    "Behaviour",
    "Bucket",
    "Suspect",
    "TrainingText",
    "analyse",
    "cautions",
    "differing_signatures",
    "training_text",
]
