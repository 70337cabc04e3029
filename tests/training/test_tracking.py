"""Properties of what a run tells."""

import logging
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)

from transformer.errors import InputError
from transformer.pictures.attention import Looks
from transformer.training.curves import Curves
from transformer.training.display import log_to
from transformer.training.energy import Energy
from transformer.training.stream import Position, UpdateBatches
from transformer.training.tracking import SilentTracker, Tracker
from transformer.training.update import UpdateResult
from transformer.training.validation import SetScores, Validation
from transformer.training.window import Window

NAN = float("nan")
# Of each update: labels, nll summed over them, whether it was skipped.
UPDATES = [(7, 20.1, 0), (11, 13.7, 0), (5, NAN, 1), (3, 9.9, 0), (13, 41.3, 0), (2, 0.3, 0)]


def work(number: int, n_labels: int) -> UpdateBatches:
    n_pairs = {"big": n_labels, "small": number % 2}
    return UpdateBatches([], n_labels + 1, n_labels, 3 * n_labels, Position(number), 0.5, n_pairs)


def result(nll: float, skipped: int = 0) -> UpdateResult:
    return UpdateResult(
        nll=torch.tensor(nll),
        losses=[],
        gradient_norm=torch.tensor(2.5),
        skipped=torch.tensor(float(skipped)),
        lr=1e-3,
        agreed=[],
    )


def feed(tracker: Tracker | SilentTracker, first: int, last: int) -> None:
    """Tells of the updates from `first` to `last`."""
    for number in range(first, last + 1):
        n_labels, nll, skipped = UPDATES[number - 1]
        tracker.update(work(number, n_labels), result(nll, skipped), number / 6)


def points(folder: Path, tag: str) -> list[tuple[int, float]]:
    found = EventAccumulator(str(folder))
    found.Reload()
    return [(event.step, event.value) for event in found.Scalars(tag)]


def text_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith("transformer.")]


@pytest.fixture
def make(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Tracker]]:
    """Makes trackers that log every so many updates, and ends them."""
    caplog.set_level(logging.INFO)
    made: list[Tracker] = []

    def build(log_every: int, update: int = 0, name: str = "curves") -> Tracker:
        (tmp_path / name).mkdir(exist_ok=True)
        made.append(Tracker(tmp_path / name, update, log_every))
        return made[-1]

    yield build
    for tracker in made:
        tracker.close()


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a file system that is nearly full; skips where none may be made."""
    folder = tmp_path / "full"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, check=False, capture_output=True)
    except OSError:
        pytest.skip("there is no mount")
    if done.returncode != 0:
        pytest.skip("a file system may not be mounted")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


# The loss


def test_the_loss_is_that_of_a_label_over_all_updates_but_the_skipped() -> None:
    window = Window()
    for number, (n_labels, nll, skipped) in enumerate(UPDATES[:4], start=1):
        window.add(work(number, n_labels), result(nll, skipped))
    assert window.loss() == pytest.approx((20.1 + 13.7 + 9.9) / (7 + 11 + 3), rel=1e-6)
    assert window.n_skipped() == 1
    scalars = window.scalars(result(9.9))
    assert scalars["speed/padding_share"] == pytest.approx(1 - (2 * 26 + 4) / (3 * 26))
    assert scalars["train/learning_rate"] == 1e-3


def test_the_shares_of_corpora_are_those_of_the_pairs_since_the_last_line(
    make: Callable[..., Tracker], tmp_path: Path
) -> None:
    tracker = make(2)
    feed(tracker, 1, 4)
    tracker.close()
    big = [(2, 18 / 19), (4, 8 / 9)]
    for name, expected in (("big", big), ("small", [(n, 1 - share) for n, share in big])):
        found = points(tmp_path / "curves", f"data/share/{name}")
        assert [n for n, _ in found] == [2, 4]
        assert [x for _, x in found] == pytest.approx([x for _, x in expected])


def test_one_corpus_has_no_share_and_a_corpus_not_seen_has_none_of_it() -> None:
    window = Window()
    window.add(replace(work(1, 5), n_pairs={}), result(1.0))
    assert not [name for name in window.scalars(result(1.0)) if name.startswith("data/")]
    window.add(replace(work(2, 5), n_pairs={"a": 3, "b": 0}), result(1.0))
    scalars = window.scalars(result(1.0))
    assert (scalars["data/share/a"], scalars["data/share/b"]) == (1.0, 0.0)


def test_a_window_saved_before_corpora_were_counted_is_taken_up() -> None:
    window, state = Window(), Window().state()
    del state["n_pairs"]
    window.load_state(state)
    assert not window.n_pairs


def test_a_window_of_skipped_updates_has_no_loss_and_adds_no_point(
    make: Callable[..., Tracker], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = make(1)
    tracker.update(work(1, 5), result(NAN, 1), 0.1)
    tracker.update(work(2, 5), result(10.0), 0.1)
    tracker.close()
    assert "loss nan" in text_of(caplog)[0]
    assert "1 updates skipped" in text_of(caplog)[0]
    assert "skipped" not in text_of(caplog)[1]
    assert points(tmp_path / "curves", "train/loss") == [(2, 2.0)]
    assert points(tmp_path / "curves", "train/skipped_updates") == [(1, 1.0), (2, 1.0)]


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_resumed_run_logs_what_one_never_stopped_does_bit_for_bit(
    make: Callable[..., Tracker], tmp_path: Path, stop: int
) -> None:
    whole = make(4, name="whole")
    feed(whole, 1, 6)
    first = make(4, name="parts")
    feed(first, 1, stop)
    torch.save(first.state(), tmp_path / "state.pt")
    feed(first, stop + 1, stop)
    first.close()
    second = make(4, update=stop, name="parts")
    second.load_state(torch.load(tmp_path / "state.pt", weights_only=True))
    feed(second, stop + 1, 6)
    for tracker in (whole, second):
        tracker.finish()
        tracker.close()
    share = "data/share/small"
    for tag in ("train/loss", "train/skipped_updates", "speed/padding_share", share):
        assert points(tmp_path / "parts", tag) == points(tmp_path / "whole", tag), tag
    assert points(tmp_path / "whole", "train/loss")[0][0] == 4
    left, right = (tracker.state()["window"] for tracker in (whole, second))
    assert left.keys() == right.keys()
    assert torch.equal(left["nll"], right["nll"])


def test_points_of_updates_that_will_be_made_again_are_hidden(
    make: Callable[..., Tracker], tmp_path: Path
) -> None:
    first = make(1)
    feed(first, 1, 2)
    first.update(work(3, 5), result(1000.0), 0.1)
    first.close()
    second = make(1, update=2)
    feed(second, 4, 4)
    second.close()
    assert [step for step, _ in points(tmp_path / "curves", "train/loss")] == [1, 2, 4]


def test_the_speed_of_a_resumed_window_counts_this_process_alone() -> None:
    before, after = Window(), Window()
    before.add(work(1, 1_000_000), result(1.0))
    after.load_state(before.state())
    after.started -= 1.0
    after.add(work(2, 100), result(1.0))
    assert 50 < after.scalars(result(1.0))["speed/target_tokens_per_s"] <= 100


def test_no_update_off_the_log_waits_for_the_device(
    make: Callable[..., Tracker], monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker, read = make(100), []
    for name in ("item", "tolist", "cpu", "to", "__float__", "__bool__", "__int__", "numpy"):
        monkeypatch.setattr(torch.Tensor, name, lambda *_, name=name, **__: read.append(name))
    feed(tracker, 1, 6)
    monkeypatch.undo()
    assert read == []


# The end


def test_the_end_logs_the_updates_since_the_last_line_once(
    make: Callable[..., Tracker], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = make(4)
    tracker.finish()
    feed(tracker, 1, 6)
    before = tracker.state()
    tracker.finish()
    tracker.finish()
    assert torch.equal(tracker.state()["window"]["nll"], before["window"]["nll"])
    tracker.close()
    ((number, loss),) = points(tmp_path / "curves", "train/loss")[1:]
    assert number == 6
    assert loss == pytest.approx((41.3 + 0.3) / 15)
    lines = text_of(caplog)
    assert len(lines) == 2
    assert lines[1].startswith("update 6  loss 2.773")


def test_a_line_that_was_just_logged_is_not_repeated_at_the_end(
    make: Callable[..., Tracker], caplog: pytest.LogCaptureFixture
) -> None:
    tracker = make(3)
    feed(tracker, 1, 6)
    tracker.finish()
    assert len(text_of(caplog)) == 2


def test_a_validation_is_logged_with_its_scores(
    make: Callable[..., Tracker], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = make(3)
    found = Validation.of({"a": SetScores(1.5, 20.0, 45.25, "s", ["x"])}, 1.5)
    tracker.validation(3, found, {"a": ["**a**"]}, "bleu 20.00")
    tracker.close()
    assert text_of(caplog) == [
        "update 3  validation: loss 1.500  perplexity 4.48  BLEU 20.00  chrF 45.25  best bleu 20.00"
    ]
    assert points(tmp_path / "curves", "validation/chrf") == [(3, 45.25)]
    accumulator = EventAccumulator(str(tmp_path / "curves"))
    accumulator.Reload()
    found_tags = [tag for tag in accumulator.Tags()["scalars"] if tag.startswith("validation/")]
    assert len(found_tags) == 4
    (event,) = accumulator.Tensors("validation/samples/text_summary")
    assert event.tensor_proto.string_val[0] == b"**a**"


def test_of_several_validation_sets_each_has_a_line_and_curves_beside_the_whole(
    make: Callable[..., Tracker], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = make(3)
    one, two = SetScores(1.0, 20.0, 40.0, "s", ["x"]), SetScores(2.0, 30.0, 60.0, "t", ["y"])
    found = Validation.of({"one": one, "t.wo": two}, 1.25)
    tracker.validation(3, found, {"one": ["1", "2"], "t.wo": ["3"]}, "loss 1.25")
    tracker.close()
    assert text_of(caplog) == [
        "update 3  validation: loss 1.250  perplexity 3.49  BLEU 25.00  chrF 50.00  best loss 1.25",
        "update 3  validation of one: loss 1.000  perplexity 2.72  BLEU 20.00  chrF 40.00",
        "update 3  validation of t.wo: loss 2.000  perplexity 7.39  BLEU 30.00  chrF 60.00",
    ]
    for tag, value in (("", 25.0), ("/one", 20.0), ("/t.wo", 30.0)):
        assert points(tmp_path / "curves", f"validation/bleu{tag}") == [(3, value)]
    accumulator = EventAccumulator(str(tmp_path / "curves"))
    accumulator.Reload()
    for tag, text in (("one", b"1\n\n2"), ("t.wo", b"3")):
        (event,) = accumulator.Tensors(f"validation/samples/{tag}/text_summary")
        assert event.tensor_proto.string_val[0] == text


def test_a_silent_tracker_takes_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    silent = SilentTracker()
    silent.load_state(Tracker.state(_unopened()))
    feed(silent, 1, 6)
    silent.validation(3, Validation(1.0, 2.0, 3.0, "s", {}), {}, "-")
    with silent.paused():
        pass
    silent.finish()
    silent.close()
    assert silent.state() == {}
    assert caplog.records == []


def _unopened() -> Tracker:
    tracker = Tracker.__new__(Tracker)
    tracker.window, tracker.n_skipped = Window(), 0
    tracker.best_scores, tracker.energy = {}, Energy(None)
    return tracker


# Failed writes


def test_curves_on_a_full_disk_are_given_up_with_one_warning(
    full_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    curves = Curves(full_disk, 0)
    for update in range(200):
        curves.add_scalars({"a": 1.0, "b": 2.0}, update)
        curves.add_text("c", "some text", update)
    curves.close()
    (line,) = text_of(caplog)
    assert line.startswith("TensorBoard's curves are no longer written: ")
    assert "No space left on device" in line


def test_curves_without_a_folder_are_given_up_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    curves = Curves(tmp_path / "nowhere", 0)
    curves.add_scalars({"a": 1.0}, 1)
    curves.close()
    assert len(caplog.records) == 1
    assert "No such file or directory" in caplog.text
    assert not (tmp_path / "nowhere").exists()


def test_the_log_of_a_run_goes_after_what_is_there(tmp_path: Path) -> None:
    file = tmp_path / "train.log"
    file.write_text("before\n", encoding="utf-8")
    with log_to(file):
        logging.getLogger("transformer.anything").info("an update")
    logging.getLogger("transformer.anything").warning("not in the file")
    before, line = file.read_text(encoding="utf-8").splitlines()
    assert (before, line.endswith("INFO an update")) == ("before", True)


@pytest.mark.parametrize("kind", ["full", "missing"])
def test_a_log_that_cannot_be_written_is_given_up_with_one_warning(
    tmp_path: Path,
    request: pytest.FixtureRequest,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    kind: str,
) -> None:
    folder = request.getfixturevalue("full_disk") if kind == "full" else tmp_path / "nowhere"
    logger: Any = logging.getLogger("transformer.anything")
    with log_to(folder / "train.log"):
        for _ in range(200):
            logger.info("an update with some text to fill the disk with")
    warnings = [record for record in caplog.records if record.levelname == "WARNING"]
    (warning,) = warnings
    assert "train.log is no longer written: No s" in warning.getMessage()
    assert len(caplog.records) == 201, "the other handlers get all"
    assert "Traceback" not in capsys.readouterr().err


# Attention, time and energy


def looks_of(n: int) -> Looks:
    weights = np.full((2, 2, n, n), 1 / n, dtype=np.float32)
    return Looks(["a"] * (n - 1) + ["</s>"], ["b"] * n, weights, weights, weights)


def test_each_sentence_that_is_looked_at_is_a_picture(
    make: Callable[..., Tracker], tmp_path: Path
) -> None:
    tracker = make(3)
    scores = {"a": SetScores(1.5, 20.0, 45.25, "s", ["x"])}
    for number in (3, 6):
        tracker.validation(number, Validation.of(scores, 1.5, [looks_of(3), looks_of(5)]), {}, "-")
    tracker.close()
    accumulator = EventAccumulator(str(tmp_path / "curves"))
    accumulator.Reload()
    for tag in ("validation/attention/1", "validation/attention/2"):
        assert [event.step for event in accumulator.Images(tag)] == [3, 6]


def test_without_what_draws_a_run_goes_on_after_one_line(
    make: Callable[..., Tracker], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise InputError("pictures and pages need matplotlib")

    monkeypatch.setattr("transformer.training.tracking.picture", fail)
    tracker = make(3)
    scores = {"a": SetScores(1.5, 20.0, 45.25, "s", ["x"])}
    for number in (3, 6):
        tracker.validation(number, Validation.of(scores, 1.5, [looks_of(3)]), {}, "-")
    lines = [line for line in text_of(caplog) if "matplotlib" in line]
    assert lines == ["attention is not drawn at validations: pictures and pages need matplotlib"]


def test_time_and_energy_go_on_where_an_earlier_process_stopped(tmp_path: Path) -> None:
    joules = [0.0]
    first = Tracker(tmp_path, 0, 1, elapsed_s=lambda: 90.0, energy=Energy(lambda: joules[0]))
    joules[0] = 3.6e6
    feed(first, 1, 1)
    state = first.state()
    first.close()
    second = Tracker(tmp_path, 1, 1, elapsed_s=lambda: 120.0, energy=Energy(lambda: joules[0]))
    second.load_state(state)
    joules[0] += 1.8e6
    feed(second, 2, 2)
    second.close()
    assert points(tmp_path, "time/minutes") == [(1, 1.5), (2, 2.0)]
    assert [value for _, value in points(tmp_path, "energy/kwh")] == pytest.approx([1.0, 1.5])


def test_a_state_from_before_scores_and_energy_were_kept_is_taken_up(
    make: Callable[..., Tracker],
) -> None:
    state = make(1).state()
    del state["best_scores"], state["kwh"]
    tracker = make(1, name="other")
    tracker.load_state(state)
    assert (tracker.best_scores, tracker.energy.kwh()) == ({}, 0.0)
