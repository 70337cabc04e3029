"""What an update takes on N processes that sum their gradients: a model without measurement.

All processes compute equally long, start together, and share nothing but the interconnect.
Gradients travel in buckets, one after the other, as soon as they are made; the optimizer waits for
the last of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from transformer.errors import require


@dataclass(frozen=True, kw_only=True)
class Link:
    """A way between two neighbours of a ring: n bytes take latency_s + n / bandwidth seconds.

    The alpha-beta model (Hockney, 1994), where alpha is the latency and beta 1 / bandwidth.
    """

    latency_s: float
    bandwidth: float  # bytes a second, each way at once

    def share(self, factor: float) -> "Link":
        """The link with `factor` times the bandwidth."""
        return replace(self, bandwidth=factor * self.bandwidth)


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Nodes of `node_size` processes: a link from each to its neighbour, and one between nodes.

    `between` is what a process has of its node's way out, where all of the node use it at once.
    """

    inside: Link
    between: Link
    node_size: int = 8


class Gradient(NamedTuple):
    """A gradient, or several that travel together."""

    ready: float  # share of the backward pass that has gone by when it is made
    n_bytes: float


@dataclass(frozen=True, kw_only=True)
class UpdateWork:
    """What one process does for an update, if nothing disturbs it."""

    forward_s: float
    backward_s: float
    optimizer_s: float  # all that needs the summed gradients: their norm, clipping, the step
    gradients: Sequence[Gradient]  # in the order in which they are made

    @property
    def seconds(self) -> float:
        """Of an update alone."""
        return self.forward_s + self.backward_s + self.optimizer_s


def ring_s(n_bytes: float, n_processes: int, link: Link) -> float:
    """Seconds of an all-reduce of `n_bytes` over a ring.

    2 (N - 1) messages of n / N bytes, one after the other (Patarasuk and Yuan, 2009, section 3):
    reduce-scatter, then all-gather, half of the time each.
    """
    message_s = link.latency_s + n_bytes / n_processes / link.bandwidth
    return 2 * (n_processes - 1) * message_s


def all_reduce_s(n_bytes: float, n_processes: int, cluster: Cluster) -> float:
    """Seconds of an all-reduce of `n_bytes`: a ring in a node; beyond it, in three stages.

    Reduce-scatter inside each node; all-reduce between the nodes, where each process has its share
    of the sum; all-gather inside. InputError where nodes would not be full.
    """
    size = cluster.node_size
    if n_processes <= size:
        return ring_s(n_bytes, n_processes, cluster.inside)
    require(
        n_processes % size == 0,
        f"{n_processes} processes do not fill nodes of {size}; give a multiple of {size}",
    )
    inside = ring_s(n_bytes, size, cluster.inside)
    return inside + ring_s(n_bytes / size, n_processes // size, cluster.between)


def in_buckets(gradients: Sequence[Gradient], bucket_bytes: float) -> list[Gradient]:
    """`gradients` in order, in groups of at most `bucket_bytes`, or of a single one.

    They are the trainer's groups (`transformer.training.gradients.groups`). A group is ready when
    its last gradient is.
    """
    buckets: list[Gradient] = []
    for gradient in gradients:
        if buckets and buckets[-1].n_bytes + gradient.n_bytes <= bucket_bytes:
            buckets[-1] = Gradient(gradient.ready, buckets[-1].n_bytes + gradient.n_bytes)
        else:
            buckets.append(gradient)
    return buckets


def update_s(
    work: UpdateWork,
    n_processes: int,
    cluster: Cluster,
    *,
    bucket_bytes: float,
    overlap: bool = True,
) -> float:
    """Seconds of an update of `n_processes`.

    Buckets travel one at a time, each once it is ready; without `overlap`, once all are. So the
    last bucket is never hidden, and a network that is slower than the backward pass shows.
    """
    if n_processes == 1:
        return work.seconds
    free = 0.0  # seconds after the begin of the backward pass when the network is idle again
    for bucket in in_buckets(work.gradients, bucket_bytes):
        ready = work.backward_s * (bucket.ready if overlap else 1.0)
        free = max(free, ready) + all_reduce_s(bucket.n_bytes, n_processes, cluster)
    return work.forward_s + max(work.backward_s, free) + work.optimizer_s


def efficiency(
    work: UpdateWork,
    n_processes: int,
    cluster: Cluster,
    *,
    bucket_bytes: float,
    overlap: bool = True,
) -> float:
    """The throughput of `n_processes` by that of as many that need not wait for each other."""
    together = update_s(work, n_processes, cluster, bucket_bytes=bucket_bytes, overlap=overlap)
    return work.seconds / together


def fit_link(n_bytes: Sequence[float], seconds: Sequence[float], n_processes: int) -> Link:
    """The link at which `ring_s` comes closest to what was measured, by relative squared error.

    InputError where larger messages took no longer.
    """
    measured = np.asarray(seconds)
    n_messages = 2 * (n_processes - 1)
    columns = np.stack([np.ones(len(measured)), np.asarray(n_bytes) / n_processes])
    terms = (n_messages * columns / measured).T
    (latency, per_byte), *_ = np.linalg.lstsq(terms, np.ones(len(measured)))
    require(
        per_byte > 0,
        f"messages of {max(n_bytes):,} bytes took no longer than smaller ones; give sizes that are "
        "further apart, or measure more often",
    )
    return Link(latency_s=max(0.0, float(latency)), bandwidth=1 / float(per_byte))
