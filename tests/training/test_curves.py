"""What TensorBoard's own reader finds in the curves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tensorboard.backend.event_processing.data_provider import (  # type: ignore[import-untyped]
    MultiplexerDataProvider,
)
from tensorboard.backend.event_processing.event_accumulator import (  # type: ignore[import-untyped]
    EventAccumulator,
)
from tensorboard.backend.event_processing.plugin_event_multiplexer import (  # type: ignore[import-untyped]
    EventMultiplexer,
)
from tensorboard.context import RequestContext  # type: ignore[import-untyped]
from tensorboard.plugins import base_plugin  # type: ignore[import-untyped]
from tensorboard.plugins.hparams import (  # type: ignore[import-untyped]
    api_pb2,
    backend_context,
    get_experiment,
    list_session_groups,
)

from transformer.config import TrainSettings
from transformer.pictures.attention import Looks, choices, sizes_of
from transformer.pictures.heatmaps import as_png, picture
from transformer.training.curves import Curves, add_final_metrics, hyperparameters
from transformer.training.tracking import Tracker
from transformer.training.validation import SetScores, Validation

Change = Callable[..., TrainSettings]


def validation(loss: float, bleu: float) -> Validation:
    return Validation.of({"a": SetScores(loss, bleu, 40.0, "s", ["x"])}, loss)


class Tab:
    """The tab HParams of the runs in a folder."""

    def __init__(self, folder: Path) -> None:
        multiplexer = EventMultiplexer().AddRunsFromDirectory(str(folder))
        multiplexer.Reload()
        provider = MultiplexerDataProvider(multiplexer, str(folder))
        self.context = backend_context.Context(
            base_plugin.TBContext(data_provider=provider, logdir=str(folder))
        )
        self.request = RequestContext()
        self.runs = self.context.hparams_metadata(self.request, "")
        self.hparams = self.context.hparams_from_data_provider(self.request, "", limit=0)

    def experiment(self) -> Any:
        handler = get_experiment.Handler(
            self.request, self.context, "", api_pb2.GetExperimentRequest(include_metrics=True)
        )
        return handler.run()

    def sessions(self, *metrics: str) -> list[tuple[dict[str, Any], dict[str, float]]]:
        """Hyper-parameters and metrics of each run."""
        request = api_pb2.ListSessionGroupsRequest(
            start_index=0,
            slice_size=100,
            allowed_statuses=[api_pb2.STATUS_SUCCESS, api_pb2.STATUS_UNKNOWN],
            include_metrics=True,
            col_params=[{"metric": {"tag": tag}} for tag in metrics],
        )
        found = list_session_groups.Handler(self.request, self.context, "", request).run()
        return [
            (
                dict(group.hparams.items()),
                {each.name.tag: each.value for each in group.sessions[0].metric_values},
            )
            for group in found.session_groups
        ]


def test_the_tab_of_a_sweep_shows_runs_with_settings_and_metrics(
    settings: TrainSettings, change: Change, tmp_path: Path
) -> None:
    folder = tmp_path / "sweep"
    for i, lr in enumerate((1e-3, 2e-3)):
        run = folder / str(i) / "tensorboard"
        run.mkdir(parents=True)
        tracker = Tracker(run, 0, 1, settings=change(settings, optim__lr=lr))
        tracker.validation(3, validation(2.0, 10.0 + i), {}, "-")
        tracker.validation(6, validation(2.5, 5.0), {}, "-")
        tracker.close()
        resumed = Tracker(run, 6, 1, settings=change(settings, optim__lr=lr))
        resumed.load_state(tracker.state())
        resumed.validation(9, validation(1.5, 6.0), {}, "-")
        resumed.close()
        add_final_metrics(run, {"test_bleu": 30.0 + i})
    tab = Tab(folder)
    experiment = tab.experiment()
    names = {info.name for info in experiment.hparam_infos}
    assert {"optim.lr", "seed", "model.d_model", "training.max_updates"} <= names
    metrics = {info.name.tag for info in experiment.metric_infos}
    assert {"final/validation_bleu", "final/test_bleu"} <= metrics
    sessions = sorted(tab.sessions(), key=lambda each: each[0]["optim.lr"].number_value)
    assert [hparams["optim.lr"].number_value for hparams, _ in sessions] == [1e-3, 2e-3]
    for i, (_, found) in enumerate(sessions):
        assert found["final/validation_bleu"] == 10.0 + i, "the best, not the last"
        assert found["final/validation_loss"] == 1.5
        assert found["final/test_bleu"] == 30.0 + i


def test_hyperparameters_are_what_a_result_depends_on(settings: TrainSettings) -> None:
    found = hyperparameters(settings)
    assert found["optim.schedule"] == "inverse_sqrt"
    assert found["model.d_model"] == 32
    assert found["training.ema"] == "null"
    assert found["seed"] == 1
    assert all(type(value) in {str, bool, int, float} for value in found.values())
    for name in ("training.log_every", "training.keep_last", "run_dir", "data.train", "device"):
        assert name not in found


def test_final_metrics_hide_no_point_and_survive_a_longer_run(tmp_path: Path) -> None:
    first = Curves(tmp_path, 0)
    first.add_scalars({"a": 1.0}, 5)
    first.close()
    add_final_metrics(tmp_path, {"test_bleu": 20.0})
    longer = Curves(tmp_path, 5)
    longer.add_scalars({"a": 2.0}, 6)
    longer.close()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    assert [(event.step, event.value) for event in found.Scalars("a")] == [(5, 1.0), (6, 2.0)]
    assert [event.value for event in found.Scalars("final/test_bleu")] == [20.0]


def test_a_folder_that_is_gone_is_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    add_final_metrics(tmp_path / "nowhere", {"test_bleu": 20.0})
    assert len(caplog.records) == 1


def test_a_picture_is_read_as_it_was_written(tmp_path: Path) -> None:
    import numpy as np

    weights = np.full((1, 2, 2, 2), 0.5, dtype=np.float32)
    looks = Looks(["a", "</s>"], ["b", "</s>"], weights, weights, weights)
    png = as_png(picture(looks, choices(sizes_of(looks))))
    curves = Curves(tmp_path, 0)
    curves.add_image("attention", png, 3)
    curves.close()
    found = EventAccumulator(str(tmp_path))
    found.Reload()
    (event,) = found.Images("attention")
    assert (event.step, event.encoded_image_string) == (3, png)
    assert event.width == int.from_bytes(png[16:20], "big") > 100


def test_a_validation_that_is_not_due_is_shown_and_forgotten(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, 0, 1)
    tracker.validation(2, validation(2.0, 10.0), {}, "-")
    before = tracker.state()["best_scores"]
    tracker.validation(3, validation(1.0, 20.0), {}, "-", due=False)
    tracker.close()
    assert tracker.state()["best_scores"] == before
