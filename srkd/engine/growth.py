"""`train.frozen_width` of an option file: a wider network is trained around a narrower one that stays as it is."""

from __future__ import annotations

import inspect
import logging

from srkd.networks.growth import freeze_prefix, widen
from srkd.networks.slim import Network
from srkd.networks.weights import load_network
from srkd.options import TrainOptions
from srkd.registry import OPTIMIZERS
from srkd.types import InputError, located

log = logging.getLogger(__name__)


def grow(network: Network, path: str, opt: TrainOptions) -> bool:
    """Begin `network` around the one in `path`, if that is `network` at `train.frozen_width`; whether it was.

    Raises:
        InputError: the file holds a narrower network that is not this one's.
    """
    width = opt.train.frozen_width
    if width is None:
        return False
    where = f"path.pretrain_network_g ({path})"
    with located("path.pretrain_network_g"):
        small = load_network(path, key=opt.path.param_key_g)
    if small.num_feat == network.num_feat:
        return False
    kept = _channels(network, width)
    if small.num_feat != kept:
        raise InputError(
            f"train.frozen_width is {width:g}, which is {kept} of {network.num_feat} channels, but {where} has "
            f"{small.num_feat}. Name the file of the network with {kept} channels, or of the whole one."
        )
    with located(where):
        widen(network, small)
    log.info("network_g grows around the %d channels of %s.", kept, path)
    return True


def freeze(network: Network, opt: TrainOptions) -> None:
    """Keep `network` at `train.frozen_width` as it is, if that is set.

    Raises:
        InputError: nothing was trained before, the optimiser would change it all the same, or the width is none.
    """
    width = opt.train.frozen_width
    if width is None:
        return
    _channels(network, width)
    if not opt.path.pretrain_network_g:
        raise InputError("train.frozen_width keeps what was trained before: it needs path.pretrain_network_g.")
    optim = opt.train.optim_g
    usual = inspect.signature(OPTIMIZERS.get(optim.type)).parameters["weight_decay"].default
    if optim.args.get("weight_decay", usual):
        raise InputError(
            "train.frozen_width: weight decay would change what is kept. Set train.optim_g.weight_decay to 0."
        )
    freeze_prefix(network, width)


def _channels(network: Network, width: float) -> int:
    with located("train.frozen_width"):
        return network.channels(width)
