"""The gradients of an update, as the processes of a run sum them."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from transformer.model import Transformer
from transformer.training.distributed import Processes
from transformer.training.sharding import local, synchronize_next_backward

# What the backward pass comes to after the decoder's layers, in this order. Keys and values of the
# source are made before the decoder runs, so their gradients come when it is done.
LATER = ("target_embedding.", ".cross_attention.key_value.", "encoder", "source_embedding.")


class Totals(NamedTuple):
    """What an update is judged by, over all processes; both on the device."""

    nll: Tensor
    norm: Tensor  # of the gradient


class Gradients(Protocol):
    """What an update asks of the gradients.

    `clear`, `before_backward` for each part of a batch, `send`; these again where memory ran out in
    any process; then `totals`.
    """

    def clear(self) -> None:
        """Begin: all gradients are zero."""

    def before_backward(self, *, is_last: bool) -> None:
        """Be told whether the next backward pass of this process is its last."""

    def send(self, nll: Tensor) -> None:
        """Be told that it has made all it can, and the NLL of its batches."""

    def totals(self) -> Totals:
        """The totals; from here on, each parameter has the sum over all processes as gradient."""


def build_gradients(model: Transformer, processes: Processes, *, sharded: bool) -> Gradients:
    """The gradients of the parameters of `model` that require them."""
    if sharded:
        return SpreadGradients(model, processes)
    if processes.count > 1:
        return BucketedGradients(model, processes)
    return OwnGradients(model)


def trained(model: nn.Module) -> list[nn.Parameter]:
    """The parameters that require gradients; a tied one once."""
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


class OwnGradients:
    """Those of a single process, as autograd leaves them."""

    def __init__(self, model: Transformer) -> None:
        self.model = model
        self.parameters = trained(model)

    def clear(self) -> None:
        """Free all gradients."""
        self.model.zero_grad(set_to_none=True)

    def before_backward(self, *, is_last: bool) -> None:
        """Nothing is to be done."""

    def send(self, nll: Tensor) -> None:
        """Keep the NLL, which nobody waits for."""
        self.nll = nll

    def totals(self) -> Totals:
        """The totals; a parameter that no loss depends on has the gradient 0."""
        return Totals(self.nll, nn.utils.get_total_norm(filled(self.parameters)))


class SpreadGradients(OwnGradients):
    """Those of a model whose weights are spread over processes; autograd sums them itself."""

    def __init__(self, model: Transformer, processes: Processes) -> None:
        super().__init__(model)
        self.processes = processes

    def before_backward(self, *, is_last: bool) -> None:
        """Let the last backward pass alone sum the gradients."""
        synchronize_next_backward(self.model, is_last)

    def totals(self) -> Totals:
        """The totals; each process has its part of the gradients."""
        own = nn.utils.get_total_norm(list(map(local, filled(self.parameters))))
        sums = torch.stack([self.nll, own.square()])
        self.processes.sum_(sums)
        return Totals(sums[0], sums[1].sqrt())


class BucketedGradients:
    """Those of one of several processes, which has them as views of a few flat tensors.

    The sum of a flat tensor over the processes begins as soon as the last backward pass has come
    past its parameters, and those before it have begun: the order of the messages is the same in
    every process, whatever its batches, and whether memory runs out in it or not.
    """

    def __init__(self, model: Transformer, processes: Processes) -> None:
        self.processes = processes
        self.buckets = [Bucket(p) for p in groups(in_order(model), processes.bucket_mb)]
        self.holding: dict[Tensor, Bucket] = {
            p: bucket for bucket in self.buckets for p in bucket.parameters
        }
        self.waits: list[Callable[[], None]] = []  # for the sums that have begun
        self.is_last = False  # whether the backward pass under way is
        for parameter in self.holding:
            parameter.register_post_accumulate_grad_hook(self._arrived)  # type: ignore[no-untyped-call]

    def clear(self) -> None:
        """Make zeros the gradients of all parameters."""
        self._wait()
        for bucket in self.buckets:
            bucket.clear()

    def before_backward(self, *, is_last: bool) -> None:
        """Let the last backward pass send what it makes."""
        self.is_last = is_last

    def send(self, nll: Tensor) -> None:
        """Begin the sums that have not begun: with the NLL, unused parameters, after a failure."""
        self.is_last = False
        self.buckets[-1].spare.copy_(nll)
        while len(self.waits) < len(self.buckets):
            self._begin_next()

    def totals(self) -> Totals:
        """The totals; with gradients on a GPU, the host does not wait for them."""
        self._wait()
        norm = nn.utils.get_total_norm([bucket.gradients for bucket in self.buckets])
        return Totals(self.buckets[-1].spare.clone(), norm)

    def _arrived(self, parameter: Tensor) -> None:
        if not self.is_last:
            return
        self.holding[parameter].missing.remove(parameter)
        # The last one waits for the NLL.
        while len(self.waits) < len(self.buckets) - 1 and not self._next().missing:
            self._begin_next()

    def _next(self) -> "Bucket":
        return self.buckets[len(self.waits)]

    def _begin_next(self) -> None:
        self.waits.append(self.processes.begin_sum(self._next().flat))

    def _wait(self) -> None:
        for wait in self.waits:
            wait()
        self.waits = []


class Bucket:
    """Gradients that travel together, zero at first, with a spare number."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = parameters
        sizes = [parameter.numel() for parameter in parameters]
        self.flat = parameters[0].detach().new_zeros(sum(sizes) + 1)
        self.gradients, self.spare = self.flat[:-1], self.flat[-1]
        parts = torch.split(self.gradients, sizes)
        self.views = [part.view_as(p) for part, p in zip(parts, parameters, strict=True)]
        self.missing: set[Tensor] = set()  # what the last backward pass has not come past

    def clear(self) -> None:
        """Make zeros the gradients of the parameters, all of which are missing again."""
        self.flat.zero_()
        self.missing = set(self.parameters)
        for parameter, view in zip(self.parameters, self.views, strict=True):
            parameter.grad = view


def in_order(model: Transformer) -> list[nn.Parameter]:
    """The parameters that require gradients, about as a backward pass makes these."""
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    named.reverse()

    def stage(name: str) -> int:
        return max((i for i, part in enumerate(LATER, start=1) if part in name), default=0)

    return [p for _, p in sorted(named, key=lambda pair: stage(pair[0]))]


def groups(parameters: Sequence[nn.Parameter], megabytes: float) -> Iterator[list[nn.Parameter]]:
    """`parameters` in order, in groups of one dtype and at most so large, or of one parameter."""
    held: list[nn.Parameter] = []
    size = 0
    for parameter in parameters:
        if held and (size + parameter.nbytes > megabytes * 2**20 or unlike(parameter, held[0])):
            yield held
            held, size = [], 0
        held.append(parameter)
        size += parameter.nbytes
    if held:
        yield held


def unlike(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors cannot lie in one."""
    return one.dtype is not other.dtype or one.device != other.device


def filled(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    """The gradients of `parameters`, zero where there was none."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    return [parameter.grad for parameter in parameters if parameter.grad is not None]
