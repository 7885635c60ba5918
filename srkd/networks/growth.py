"""Grow a network around a narrower one: the narrow part is kept bit for bit while the channels around it learn."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from srkd.networks.slim import Network, narrow


def prefix_elements(network: Network, width: float) -> dict[str, Tensor]:
    """By parameter: where the elements that `width` uses lie in it, as flat indices in the order of `narrow`'s tensors.

    Raises:
        ValueError: `width` is not one of the network's.
    """
    numbered = copy.deepcopy(network).to("cpu", torch.float64)  # whole numbers are exact up to 2⁵³
    for parameter in numbered.parameters():
        parameter.data = torch.arange(parameter.numel(), dtype=torch.float64).view_as(parameter)
    return {name: used.detach().flatten().long() for name, used in narrow(numbered, width).named_parameters()}


def freeze_prefix(network: Network, width: float) -> None:
    """From now on no gradient reaches what `width` uses, so that the network at that width stays as it is.

    It holds for optimisers that leave a parameter alone whose gradient has always been 0: all of torch's, without
    weight decay.
    """
    for name, elements in prefix_elements(network, width).items():
        parameter = network.get_parameter(name)
        kept = torch.zeros(parameter.numel(), dtype=torch.bool)
        kept[elements] = True
        kept = kept.view_as(parameter).to(parameter.device)
        parameter.register_hook(lambda gradient, kept=kept: gradient.masked_fill(kept.to(gradient.device), 0.0))


@torch.no_grad()
def widen(network: Network, small: Network) -> None:
    """Put `small` into `network`, which is wider: both compute the same then, at the small width and at full width.

    What the new channels give to the old ones starts at 0; what they compute themselves stays as `network` has it.

    Raises:
        ValueError: `small` is not `network` at some width.
    """
    width = small.num_feat / network.num_feat
    expected = network.narrowed_config(width)
    wrong = [name for name, value in small.config.items() if expected.get(name) != value]
    if type(small) is not type(network) or wrong:
        raise ValueError(
            f"{type(small).__name__} with {', '.join(f'{name} {small.config[name]}' for name in wrong)} is not the "
            f"{type(network).__name__} given here at a smaller width; "
            f"{', '.join(f'{name} has to be {expected[name]}' for name in wrong if name in expected)}."
        )
    tensors = small.state_dict()
    for name, elements in prefix_elements(network, width).items():
        parameter = network.get_parameter(name)
        old = torch.zeros(parameter.numel(), dtype=torch.bool)
        old[elements] = True
        rows = _by_output(network, name, old.view_as(parameter)).flatten(1).any(1)  # outputs that `small` has
        parameter_by_output = _by_output(network, name, parameter.data)
        if parameter.ndim > 1:
            parameter_by_output[rows] = 0
        parameter.data.view(-1)[elements] = tensors[name].flatten().to(parameter)


def _by_output(network: Network, name: str, tensor: Tensor) -> Tensor:
    """A view of a parameter-like tensor whose first dimension is the layer's output channels."""
    layer = network.get_submodule(name.rpartition(".")[0])
    by_input = isinstance(layer, nn.ConvTranspose2d) and tensor.ndim > 1
    tensor = tensor.transpose(0, 1) if by_input else tensor
    return tensor if tensor.ndim > 1 else tensor.view(-1, 1)
