"""What an option file may say and hardly means: one line each for the log."""

from __future__ import annotations

from typing import Any

from srkd.options.schema import TrainOptions


def remarks(opt: TrainOptions) -> list[str]:
    """Warnings on `opt`, each with the option, its value, and what follows from it."""
    return [*_of_the_rate(opt), *_of_the_method(opt)]


def _of_the_rate(opt: TrainOptions) -> list[str]:
    found: list[str] = []
    train, total = opt.train, opt.train.total_iter
    if train.optim_g.args.get("lr") == 0:
        found.append("train.optim_g.lr is 0: nothing is learnt.")
    if train.warmup_iter >= total:
        found.append(
            f"train.warmup_iter is {train.warmup_iter:,}, but train.total_iter is {total:,}: the learning rate never "
            "reaches train.optim_g.lr."
        )
    args: dict[str, Any] = train.scheduler.args if train.scheduler else {}
    for name in ("T_max", "periods"):
        length = args.get(name)
        length = sum(length) if isinstance(length, (list, tuple)) else length
        if isinstance(length, int) and length != total:
            what = "ends before its minimum" if length > total else "stays at its minimum from there on"
            found.append(
                f"train.scheduler.{name} is {length:,} in all, but train.total_iter is {total:,}: the learning rate "
                f"{what}."
            )
    late = [step for step in args.get("milestones", ()) if step >= total]
    if late:
        found.append(
            f"train.scheduler.milestones: {', '.join(f'{step:,}' for step in late)} are never reached: "
            f"train.total_iter is {total:,}."
        )
    return found


def _of_the_method(opt: TrainOptions) -> list[str]:
    start = opt.path.pretrain_network_g
    if opt.method.type == "CSD" and start is None:
        return [
            "method CSD starts from a trained network (path.pretrain_network_g), so that every width starts as a slice "
            "of it; without one all widths begin untrained."
        ]
    if "method" in opt.model_fields_set:
        return []
    signs = {
        "path.pretrain_network_g_teacher is given": opt.path.pretrain_network_g_teacher is not None,
        "path.pretrain_network_g_teachers is given": bool(opt.path.pretrain_network_g_teachers),
        "val.widths has widths below 1": any(width < 1 for width in (opt.val and opt.val.widths) or ()),
    }
    return [
        f"{sign}, but there is no `method`: this is training at full width without a teacher, {{type: Supervised}}."
        for sign, given in signs.items()
        if given
    ]
