"""What every test shares: one thread, and no file written outside pytest's own folders."""

import logging
import os
import signal
from collections.abc import Iterator

# Before torch and its kin are imported: they read these once. Child processes inherit them.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
import torch
from hypothesis import settings

torch.set_num_threads(1)

# A shell lets what it starts in the background ignore Ctrl-C; tests send it, to children too.
signal.signal(signal.SIGINT, signal.default_int_handler)

# A shared machine stalls now and then; a slow test is for pytest's own timeout.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Encoded corpora go to a cache that lives as long as the session."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """A command line that ran in this process leaves no handler behind."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], logging.getLogger("transformer").level
    yield
    root.handlers[:] = handlers
    logging.getLogger("transformer").setLevel(level)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a GPU where there is none."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="there is no CUDA device"))
