"""Ctrl-C and what ends jobs: heard at once, acted on after an iteration, by all processes at the same one."""

from __future__ import annotations

import signal

from srkd.engine.distributed import World, any_rank
from srkd.engine.runtime import tell_at_once

POLL = 10  # iterations between agreeing, where there are several processes


class Interruption:
    """What asked this training to end.

    Attributes:
        number: of the signal; 0: none came.
    """

    def __init__(self, world: World) -> None:
        self._world, self.number = world, 0

    def heard(self, number: int) -> None:
        """Remember a signal; a second Ctrl-C does not wait any longer.

        Raises:
            KeyboardInterrupt: it is the second one.
        """
        if self.number and number == signal.SIGINT:
            raise KeyboardInterrupt  # only a person is impatient: shells and schedulers send the others twice
        self.number = self.number or number
        tell_at_once("Interrupted: saving after this iteration (Ctrl-C to stop at once).")

    def agreed(self, iteration: int) -> bool:
        """Whether all processes end after this iteration."""
        if self._world.size == 1:
            return bool(self.number)
        if iteration % POLL:
            return False
        agreed = any_rank(self._world, self.number)
        self.number = agreed or self.number  # a signal may have come meanwhile: it is for the next time
        return bool(agreed)
