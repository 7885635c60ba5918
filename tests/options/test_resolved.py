"""The copy of the options in an experiment's folder does not depend on defaults that may change."""

from srkd.options import dump_options, load_train_options


def test_defaults_of_components_are_spelt_out(tmp_path):
    path = tmp_path / "o.yml"
    path.write_text(
        "name: n\nscale: 2\nnetwork_g: {type: EDSR}\nmethod: {type: CSD}\n"
        "datasets: {train: {type: PairedImageDataset, dataroot_gt: x, gt_size: 32}}\n"
        "train: {total_iter: 1, optim_g: {type: Adam, lr: 1e-4}}\n"
    )
    opt = load_train_options(path)
    text = dump_options(opt)
    for line in (
        "num_feat: 64",
        "res_scale: 1.0",
        "num_negatives: 10",
        "input: raw255",
        "small_images: skip",
        "eps: 1.0e-08",
    ):
        assert line in text, line
    path.write_text(text)
    assert load_train_options(path) == opt
