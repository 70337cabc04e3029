"""Where the user's cache is."""

import os
from pathlib import Path

import platformdirs


def cache_root(setting: str | None) -> Path:
    """`setting`, else the environment's TRANSFORMER_MT_CACHE, else the user's cache folder."""
    folder = setting or os.environ.get("TRANSFORMER_MT_CACHE")
    if folder:
        return Path(folder).expanduser()
    return platformdirs.user_cache_path("transformer-mt")
