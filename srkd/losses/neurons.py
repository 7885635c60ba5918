"""Neuron selectivity: the channels of both networks as two samples of one distribution.

Paper: Huang, Wang, "Like What You Like: Knowledge Distill via Neuron Selectivity Transfer", 2017,
https://arxiv.org/abs/1707.01219, with the polynomial kernel (x·y)².
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from srkd.losses.exact import exact


@exact
def neuron_distance(student_BCHW: Tensor, teacher_BCHW: Tensor) -> Tensor:
    """Squared maximum mean discrepancy of the channels' maps, each of length 1; the mean over the images.

    mean (s_c·s_d)² + mean (t_c·t_d)² − 2 · mean (s_c·t_d)² over all c and d; 0 where the sets are the same, in any
    order. Channels may differ, positions may not.
    """
    s_BCN = F.normalize(student_BCHW.flatten(2), dim=2)
    t_BCN = F.normalize(teacher_BCHW.detach().flatten(2), dim=2)
    own, theirs, cross = ((a @ b.mT).square().mean() for a, b in ((s_BCN, s_BCN), (t_BCN, t_BCN), (s_BCN, t_BCN)))
    return own + theirs - 2 * cross
