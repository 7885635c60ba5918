"""A network at a width: the physically smaller network, and whether training supervised that width."""

from __future__ import annotations

import logging

from srkd.networks.slim import Network, narrow
from srkd.types import InputError

log = logging.getLogger(__name__)


def narrowed(network: Network, width: float) -> Network:
    """`narrow`, with a width that is not valid reported as the user's mistake."""
    try:
        return narrow(network, width)
    except ValueError as error:
        raise InputError(f"{type(network).__name__}: {error}") from None


def trained_at(network: Network, width: float) -> bool:
    """Whether training supervised `width`; True where the widths are unknown."""
    trained = network.trained_widths
    return trained is None or any(abs(width - own) < 1e-6 for own in trained)


def warn_untrained(network: Network, width: float) -> None:
    """Say in the log that a width was not trained: its output is noise."""
    if network.trained_widths and not trained_at(network, width):
        trained = ", ".join(f"{own:g}" for own in network.trained_widths)
        log.warning("width %g was not trained (trained: %s): expect noise.", width, trained)
