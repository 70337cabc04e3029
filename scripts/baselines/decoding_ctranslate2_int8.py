"""CTranslate2 as a decoding contender with 8-bit weights and inputs of its linear layers."""

from functools import partial

from baselines.decoding_ctranslate2 import build
from baselines.decoding_worker import serve_decoding

if __name__ == "__main__":
    serve_decoding(partial(build, kind="int8_{}"))
