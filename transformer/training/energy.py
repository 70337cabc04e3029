"""The energy that a run takes, by the counters of its GPUs."""

import logging
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch

logger = logging.getLogger(__name__)

JOULES = 3.6e6  # of a kilowatt-hour

Counter = Callable[[], float]  # joules so far, from any beginning on


class Energy:
    """What a run has taken so far, over all resumptions; nothing where there is no counter."""

    def __init__(self, counter: Counter | None) -> None:
        self.counter = counter
        self.earlier_kwh = 0.0  # by earlier processes
        self.began = self._joules()
        self.last, self.last_s = self.began, time.perf_counter()

    def scalars(self) -> dict[str, float]:
        """Kilowatt-hours so far, and the mean watts since the last call."""
        if self.counter is None:
            return {}
        joules, now_s = self._joules(), time.perf_counter()
        watts = (joules - self.last) / max(now_s - self.last_s, 1e-9)
        self.last, self.last_s = joules, now_s
        return {"energy/kwh": self.kwh(), "energy/watts": watts}

    def kwh(self) -> float:
        """Kilowatt-hours so far."""
        return self.earlier_kwh + (self._joules() - self.began) / JOULES

    def load(self, kwh: float) -> None:
        """Go on from what earlier processes have taken."""
        self.earlier_kwh = kwh

    def _joules(self) -> float:
        return 0.0 if self.counter is None else self.counter()


def find_counter(device: torch.device) -> Counter | None:
    """What counts the joules of the GPUs that this process uses.

    Where torchrun started several, of those of all its processes on this machine. None, and where
    there is a GPU a line in the log, where nothing counts.
    """
    if device.type != "cuda":
        return None
    try:
        import pynvml  # noqa: PLC0415
    except ImportError:
        logger.info("energy is not measured: pip install 'transformer-mt[energy]'")
        return None
    try:
        pynvml.nvmlInit()
        handles = [pynvml.nvmlDeviceGetHandleByUUID(uuid) for uuid in uuids(device)]
        counter = _counter(pynvml, handles)
        counter()
    except pynvml.NVMLError as error:
        logger.info("energy is not measured: the GPU has no such counter (%s)", error)
        return None
    return counter


def _counter(nvml: Any, handles: Sequence[Any]) -> Counter:
    latest: float | None = None

    def joules() -> float:
        nonlocal latest
        try:
            counts: list[int] = [
                nvml.nvmlDeviceGetTotalEnergyConsumption(handle) for handle in handles
            ]
        except nvml.NVMLError:
            if latest is None:
                raise
            return latest  # a counter that fails later must not end a run
        latest = sum(counts) / 1000  # from mJ
        return latest

    return joules


def uuids(device: torch.device) -> list[str]:
    """The names by which NVML knows the GPUs, whatever CUDA_VISIBLE_DEVICES leaves of them."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    own = torch.cuda.current_device() if device.index is None else device.index
    numbers = range(min(local, torch.cuda.device_count())) if local > 1 else [own]
    return [f"GPU-{torch.cuda.get_device_properties(number).uuid}" for number in numbers]
