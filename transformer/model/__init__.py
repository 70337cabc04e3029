"""The encoder-decoder Transformer.

Shape letters, in this project wherever a tensor is described:

B sentences, S source tokens, T target tokens, D model width, H heads, C channels a head
(D = H * C), F feed-forward width, V vocabulary, K beam width, L layers.
"""

from transformer.model.transformer import DecoderState, Transformer, stacked

__all__ = ["DecoderState", "Transformer", "stacked"]
