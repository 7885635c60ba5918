"""Which channels a narrower network keeps: channels in order of importance, so that a prefix holds the best of them.

A permutation of a network's channels changes nothing but their order: what writes them and what reads them is permuted
alike. `ordered` does that, and `narrow` cuts afterwards. Three measures of importance: the weights' norms; learnt
scales, as in network slimming (Liu et al., "Learning Efficient Convolutional Networks through Network Slimming", ICCV
2017, https://arxiv.org/abs/1708.06519), for networks without batch normalisation; and a greedy search that takes away
the channel whose loss hurts least, again and again.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils.hooks import RemovableHandle

from srkd.networks.slim import Network, SlimConv2d, SlimConvTranspose2d

Layer = SlimConv2d | SlimConvTranspose2d


@dataclass
class Space:
    """Channels that belong together: whoever writes or reads them has them in one order.

    Attributes:
        size: how many there are.
        writers: layers whose outputs they are; a layer with r times as many writes r neighbouring ones for each.
        readers: layers whose inputs they are; a layer with r times as many reads them r times, one after the other.
    """

    size: int
    writers: list[str] = field(default_factory=list[str])
    readers: list[str] = field(default_factory=list[str])


def spaces(network: Network) -> list[Space]:
    """The spaces of a network, the one with most layers first.

    The network is run once. From the input of each layer the graph of the computation is followed back to the layers
    that it comes from, through additions, concatenations and whatever else keeps channels apart: all of them write what
    this layer reads. Inputs and outputs that are images have no space.

    Raises:
        ValueError: a layer of another kind has weights by channel.
    """
    layers = {name: module for name, module in network.named_modules() if isinstance(module, Layer)}
    known = {id(parameter) for layer in layers.values() for parameter in layer.parameters()}
    others = [
        name for name, parameter in network.named_parameters() if id(parameter) not in known and parameter.numel() > 1
    ]
    if others:
        raise ValueError(
            f"{type(network).__name__}: {others[0]} is no convolution's: its channels have no known order."
        )
    made: dict[Any, str] = {}
    read: dict[str, Any] = {}

    def watch(name: str, layer: Layer) -> RemovableHandle:
        def hook(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
            del module
            read[name], made[output.grad_fn] = inputs[0].grad_fn, name

        return layer.register_forward_hook(hook)

    hooks = [watch(name, layer) for name, layer in layers.items()]
    try:
        with torch.enable_grad():
            network(torch.rand(1, network.num_in_ch, 8, 8).to(next(network.parameters())))
    finally:
        for hook in hooks:
            hook.remove()
    groups: list[tuple[set[str], set[str]]] = []  # writers, readers
    for name, node in read.items():
        writers, readers = _sources(node, made), {name}
        if not writers:
            continue
        if _is_depthwise(layers[name]):
            writers, readers = writers | {name}, set()
        for group in [group for group in groups if group[0] & writers]:
            groups.remove(group)
            writers, readers = writers | group[0], readers | group[1]
        groups.append((writers, readers))
    found = [_space(layers, *group) for group in groups]
    return sorted(found, key=lambda space: -len(space.writers) - len(space.readers))


def _sources(node: Any, made: Mapping[Any, str]) -> set[str]:
    """The layers that a tensor comes from without another one between."""
    found, seen, todo = set[str](), set[Any](), [node]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if node in made:
            found.add(made[node])
        else:
            todo += [parent for parent, _ in node.next_functions]
    return found


def _space(layers: Mapping[str, Layer], writers: set[str], readers: set[str]) -> Space:
    outs = [layers[name].out_channels for name in writers]
    size = min([*outs, *(layers[name].in_channels for name in readers)])
    return Space(size, [name for name in layers if name in writers], [name for name in layers if name in readers])


def _is_depthwise(layer: Layer) -> bool:
    return layer.groups > 1


def ordered(network: Network, orders: Sequence[tuple[Space, Tensor]]) -> Network:
    """A copy of `network` that computes the same, with the channels of each space in the order given.

    Args:
        network: any of srkd's.
        orders: by space: which channel comes first, second, … [size].
    """
    network = copy.deepcopy(network)
    with torch.no_grad():
        for space, order in orders:
            for name in space.writers:
                _permute(network.get_submodule(name), order, writes=True)
            for name in space.readers:
                _permute(network.get_submodule(name), order, writes=False)
    return network


def by_norm(network: Network) -> list[tuple[Space, Tensor]]:
    """Channels with large weights first: the norm of what writes a channel times the norm of what reads it."""
    result: list[tuple[Space, Tensor]] = []
    for space in spaces(network):
        squares = [torch.zeros(space.size, dtype=torch.float64) for _ in range(2)]
        for total, names, writes in zip(squares, (space.writers, space.readers), (True, False), strict=True):
            for name in names:
                total += _by_channel(network.get_submodule(name), space.size, writes=writes).detach().square().sum(1)
        result.append((space, (squares[0] * squares[1]).argsort(descending=True, stable=True)))
    return result


Loss = Callable[[Network], Tensor]
"""How wrong a network is on development images; differentiable."""


def by_scale(
    network: Network, loss: Loss, *, steps: int = 200, sparsity: float = 1e-4, rate: float = 0.02
) -> list[tuple[Space, Tensor]]:
    """Channels with large learnt scales first: each gets a factor, from 1, trained with an L1 penalty; weights stay."""
    found = spaces(network)
    scales = [torch.ones(space.size, requires_grad=True) for space in found]
    optimizer = torch.optim.Adam(scales, lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        penalty = torch.stack([scale.abs().sum() for scale in scales]).sum()
        (loss(Scaled(network, list(zip(found, scales, strict=True)))) + sparsity * penalty).backward()
        optimizer.step()
    orders = [scale.detach().abs().argsort(descending=True, stable=True) for scale in scales]
    return list(zip(found, orders, strict=True))


@torch.no_grad()
def by_search(network: Network, loss: Loss) -> list[tuple[Space, Tensor]]:
    """In the largest space, greedily: the channel that is missed least is taken away until one is left; else by norm.

    It takes size² / 2 evaluations of `loss`.
    """
    (space, _), *others = by_norm(network)
    mask, taken = torch.ones(space.size), list[int]()
    while len(taken) < space.size - 1:
        left = [channel for channel in range(space.size) if mask[channel]]
        losses: list[float] = []
        for channel in left:
            mask[channel] = 0
            losses.append(float(loss(Scaled(network, [(space, mask)]))))
            mask[channel] = 1
        taken.append(left[losses.index(min(losses))])
        mask[taken[-1]] = 0
    last = next(channel for channel in range(space.size) if channel not in taken)
    return [(space, torch.tensor([last, *reversed(taken)])), *others]


class Scaled(Network):
    """A network with a factor on each channel of some spaces; its weights are the network's own."""

    def __init__(self, network: Network, scales: Sequence[tuple[Space, Tensor]]) -> None:
        super().__init__()
        self.scale, self.num_feat = network.scale, network.num_feat
        self.num_in_ch, self.num_out_ch = network.num_in_ch, network.num_out_ch
        self._whole, self._scales = (network,), scales

    def forward(self, x: Tensor, width: float = 1.0) -> Tensor:
        """As the network, with what each channel's writers give multiplied."""
        network = self._whole[0]
        weights = {name: parameter.detach() for name, parameter in network.named_parameters()}
        for space, scale in self._scales:
            for name in space.writers:
                layer = network.get_submodule(name)
                assert isinstance(layer, Layer)
                each = scale.repeat_interleave(_outputs(layer) // space.size)
                shape = (1, -1, 1, 1) if isinstance(layer, SlimConvTranspose2d) else (-1, 1, 1, 1)
                weights[f"{name}.weight"] = layer.weight.detach() * each.view(shape)
                if layer.bias is not None:
                    weights[f"{name}.bias"] = layer.bias.detach() * each
        return functional_call(network, weights, (x, width))


def _outputs(layer: nn.Module) -> int:
    assert isinstance(layer, Layer)
    return layer.out_channels


def _permute(layer: nn.Module, order: Tensor, *, writes: bool) -> None:
    """Put a layer's outputs, or its inputs, in the order of the channels they belong to."""
    assert isinstance(layer, Layer)
    count = layer.out_channels if writes else layer.in_channels
    each, order = count // len(order), order.to(layer.weight.device)
    if writes:
        index = (order[:, None] * each + torch.arange(each, device=order.device)).flatten()
    else:
        index = torch.cat([part * len(order) + order for part in range(each)])
    by_input = isinstance(layer, SlimConvTranspose2d)
    layer.weight.copy_(layer.weight.index_select(int(writes == by_input), index))
    if writes and layer.bias is not None:
        layer.bias.copy_(layer.bias[index])


def _by_channel(layer: nn.Module, size: int, *, writes: bool) -> Tensor:
    """What a layer writes to, or reads from, each channel, as rows [size, n]."""
    assert isinstance(layer, Layer)
    first = layer.weight.transpose(0, int(writes == isinstance(layer, SlimConvTranspose2d)))
    if writes:
        return first.reshape(size, -1)
    return first.reshape(len(first) // size, size, -1).transpose(0, 1).reshape(size, -1)
