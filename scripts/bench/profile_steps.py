"""Which kernels ten training steps spend their time in, on a GPU.

  python scripts/bench/profile_steps.py options/train/Supervised/scratch_edsr12x8_x4_bsds.yml train.precision=bf16

What is looked for: no kernels that change a layout (nchwToNhwc), gradients of weights in bf16's units.
"""

from __future__ import annotations

import sys

from torch.profiler import ProfilerActivity, profile

from srkd.engine.build import Start, build_trainer
from srkd.options import load_train_options


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    trainer = build_trainer(load_train_options(sys.argv[1], sys.argv[2:]), Start(dry=True))
    trainer.rehearse(6)
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        trainer.rehearse(10)
    print(found.key_averages().table(sort_by="cuda_time_total", row_limit=40, max_name_column_width=90))


if __name__ == "__main__":
    main()
