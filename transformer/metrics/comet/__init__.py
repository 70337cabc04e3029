"""COMET: what a trained model makes of a translation (Rei et al., 2020; Rei et al., 2022)."""

from transformer.metrics.comet.scoring import comet_scores, comet_signature

__all__ = ["comet_scores", "comet_signature"]
