"""One reader for each kind of data."""

from pathlib import Path

import pytest

from transformer.config import DataConfig, DataKind, FilesConfig, HubConfig, PhrasebookConfig
from transformer.text.corpus import SPLITS, PhrasebookCorpus, open_corpus
from transformer.text.files import FilesCorpus
from transformer.text.hub import HubCorpus

SIZES = {"train": 5, "valid": 3, "test": 4}


def test_each_kind_of_data_has_its_reader(tmp_path: Path) -> None:
    files = FilesConfig(source="en", target="de", train="a", valid="b")
    hub = HubConfig(source="en", target="de", path=str(tmp_path))
    assert isinstance(open_corpus(files), FilesCorpus)
    assert isinstance(open_corpus(hub), HubCorpus)
    assert isinstance(open_corpus(PhrasebookConfig()), PhrasebookCorpus)
    with pytest.raises(TypeError):
        open_corpus(DataConfig(kind=DataKind.files, source="en", target="de"))


def test_the_phrasebook_has_as_many_pairs_as_its_settings_say() -> None:
    corpus = open_corpus(PhrasebookConfig(train_size=5, valid_size=3, test_size=4))
    for split in SPLITS:
        assert corpus.has_split(split)
        assert len(list(corpus.pairs(split))) == SIZES[split]
    assert not corpus.has_split("dev")


def test_the_fingerprint_of_the_phrasebook_follows_its_settings() -> None:
    same = {PhrasebookCorpus(PhrasebookConfig()).fingerprint for _ in range(2)}
    assert len(same) == 1
    others = [
        PhrasebookConfig(source="de", target="en"),
        PhrasebookConfig(target="zh"),
        PhrasebookConfig(seed=2),
        PhrasebookConfig(train_size=7),
        PhrasebookConfig(valid_size=7),
        PhrasebookConfig(test_size=7),
    ]
    fingerprints = {PhrasebookCorpus(config).fingerprint for config in others}
    assert len(fingerprints) == len(others)
    assert not same & fingerprints
