# ruff: noqa: E501 - sentences stand on one line, to be read
"""What a beginner does wrong in the first week, and the sentence shown for it: one table, to be read as text.

Every sentence says what is wrong, where, and what to do next, in plain English; the exit status is 2 and nothing is
written. `…` stands for anything.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from srkd.cli import COMMANDS, main
from srkd.imaging.files import write_image
from srkd.networks.edsr import EDSR
from srkd.networks.weights import save_network

OPTIONS = """\
name: tiny
scale: 2
device: cpu
datasets:
  train: {type: PairedImageDataset, dataroot_gt: photos, gt_size: 24, batch_size_per_gpu: 2}
  val: {name: held, type: PairedImageDataset, dataroot_gt: photos}
network_g: {type: EDSR, num_feat: 8, num_block: 2}
method: {type: Supervised}
train:
  optim_g: {type: Adam, lr: 1e-3}
  total_iter: 4
val:
  val_freq: 2
  metrics:
    psnr: {type: calculate_psnr, crop_border: 2}
"""

MEASURE = """\
name: tiny
scale: 2
datasets:
  test: {name: held, type: PairedImageDataset, dataroot_gt: photos}
network_g: {type: EDSR, num_feat: 8, num_block: 2}
path: {pretrain_network_g: net.pth}
"""


@pytest.fixture
def place(tmp_path: Path, _astronaut, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A beginner's folder: photographs, an option file, a network, and files that are something else."""
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        write_image(Path(f"photos/p{number}.png"), _astronaut[60 * number : 60 * number + 48, 100:160].copy())
    write_image(Path("other/q.png"), _astronaut[:48, :60].copy())
    write_image(Path("small/p0.png"), _astronaut[:20, :20].copy())
    write_image(Path("album/summer/q.png"), _astronaut[:48, :60].copy())
    Path("empty").mkdir()
    Path("tiny.yml").write_text(OPTIONS)
    Path("measure.yml").write_text(MEASURE)
    Path("tabs.yml").write_text("name: a\ntrain:\n\ttotal_iter: 5\n")
    Path("twice.yml").write_text(OPTIONS + "name: again\n")
    Path("quote.yml").write_text("name: 'tiny\nscale: 2\n")
    Path("word.yml").write_text("tiny\n")
    Path("nothing.yml").write_text("# all of it commented out\n")
    Path("notes.txt").write_text("remember the milk\n")
    Path("text.pth").write_text("remember the milk\n")
    Path("broken.png").write_bytes(b"\x89PNG\r\n\x1a\nand no more")
    Path("result.json").write_text("{}\n")
    save_network("net.pth", EDSR(num_feat=8, num_block=2, upscale=2))
    return tmp_path


TRAIN = "train tiny.yml"
MISTAKES: list[tuple[str, str]] = [
    # option files: the file itself
    (
        "train tinny.yml",
        "the option file tinny.yml does not exist. Did you mean 'tiny.yml'?",
    ),
    (
        "train empty",
        "empty: cannot be read as an option file: it is a folder.",
    ),
    (
        "train photos/p0.png",
        "photos/p0.png: is not UTF-8 text, as an option file is (invalid start byte at byte 0).",
    ),
    (
        "train net.pth",
        "net.pth: is not UTF-8 text, as an option file is (invalid start byte at byte 64).",
    ),
    (
        "train tabs.yml",
        "tabs.yml:3: is not valid YAML: found character '\\t' that cannot start any token (while scanning for the next token). Indent with spaces, not with tabs.",
    ),
    (
        "train twice.yml",
        "twice.yml:16 name: the key 'name' is here twice, first at twice.yml:1.",
    ),
    (
        "train quote.yml",
        "quote.yml:3: is not valid YAML: found unexpected end of stream (while scanning a quoted scalar).",
    ),
    (
        "train word.yml",
        "word.yml:1: an option file is a mapping of keys to values; this one is a single value.",
    ),
    (
        "train nothing.yml",
        "nothing.yml:1: an option file is a mapping of keys to values; this one is empty.",
    ),
    (
        "train",
        "name one option file: srkd train -opt FILE. `srkd demo` trains without one.",
    ),
    (
        "train tiny.yml twice.yml",
        "name one option file: srkd train -opt FILE; tiny.yml, twice.yml are several. `srkd demo` trains without one.",
    ),
    # option files: keys and values
    (
        f"{TRAIN} nmae=x",
        "nmae: unknown key 'nmae'. Did you mean 'name'? Allowed: …",
    ),
    (
        f"{TRAIN} train.total_iters=5",
        "train.total_iters: unknown key 'total_iters'. Did you mean 'total_iter'? Allowed: …",
    ),
    (
        f"{TRAIN} total_iter=5",
        "total_iter: belongs elsewhere: train.total_iter.",
    ),
    (
        f"{TRAIN} lr=1e-4",
        "lr: belongs elsewhere: train.optim_g.lr.",
    ),
    (
        f"{TRAIN} train.optim_g.lr=fast",
        "train.optim_g.lr: must be a number; the value is 'fast'.",
    ),
    (
        f"{TRAIN} train.optim_g.lr=-1",
        "train.optim_g.lr: must be greater than or equal to 0; the value is -1.",
    ),
    (
        f"{TRAIN} train.optim_g.type=adam",
        "train.optim_g.type: unknown optimizer 'adam'. Did you mean 'Adam'? Available: …",
    ),
    (
        f"{TRAIN} train.total_iter=1.5",
        "train.total_iter: must be a whole number; the value is 1.5.",
    ),
    (
        f"{TRAIN} train.total_iter",
        "'train.total_iter' is neither an option file (FILE.yml) nor an override (key.path=value).",
    ),
    (
        f"{TRAIN} scale=two",
        "scale: must be a number; the value is 'two'.",
    ),
    (
        f"{TRAIN} network_g.upscale=4",
        "network_g.upscale: is 4, but scale is 2 (tiny.yml:2).",
    ),
    (
        f"{TRAIN} network_g.type=edsr",
        "network_g.type: unknown network 'edsr'. Did you mean 'EDSR'? Available: …",
    ),
    (
        f"{TRAIN} network_g.type=SwinIR",
        "network_g.type: unknown network 'SwinIR'. BasicSR has one of this name: `type: basicsr.SwinIR`. Available: …",
    ),
    (
        f"{TRAIN} network_g.num_feat=0",
        "network_g: `num_feat` (=0) must be at least 1.",
    ),
    (
        f"{TRAIN} method.type=CDS",
        "method.type: unknown method 'CDS'. Did you mean 'CSD'? Available: …",
    ),
    (
        f"{TRAIN} method.type=OutputKD",
        "method (OutputKD): OutputKD needs a teacher: give network_g_teacher, or `self_teacher: true` with several `widths`.",
    ),
    (
        f"{TRAIN} network_g_teacher={{type:EDSR}}",
        "network_g_teacher.type: is required but missing. Available: …",
    ),
    (
        f"{TRAIN} network_g_teacher.type=EDSR method.type=OutputKD",
        "network_g_teacher is given without its weights: set path.pretrain_network_g_teacher.",
    ),
    (
        f"{TRAIN} train.scheduler.type=CosineAnnealingLR",
        "train.scheduler.T_max: is required but missing.",
    ),
    (
        f"{TRAIN} train.compile=yes",
        "train.compile: must be true or false",
    ),
    (
        f"{TRAIN} train.use_amp=true",
        "train.use_amp: srkd calls this train.precision (auto, bf16 or fp16).",
    ),
    (
        f"{TRAIN} train.precision=half",
        "train.precision: must be 'auto', 'fp32', … or 'fp16'; the value is 'half'.",
    ),
    (
        f"{TRAIN} val.metrics.psnr.type=psnr",
        "val.metrics.psnr.type: unknown metric 'psnr'. Available: …",
    ),
    (
        f"{TRAIN} val.widths=[0]",
        "val.widths.0: a width is greater than 0 and at most 1, not 0.",
    ),
    (
        f"{TRAIN} val.widths=[0.3]",
        "val.widths: `width` (=0.3) is not valid for `num_feat` (=8): num_feat · width must be a whole number from 1 to 8. Nearest valid: 2/8 = 0.25, 3/8 = 0.375.",
    ),
    (
        f"{TRAIN} model_type=SRGANModel",
        "model_type: unknown model type 'SRGANModel'. Allowed: …",
    ),
    # option files: folders and weights
    (
        f"{TRAIN} datasets.train.dataroot_gt=phots",
        "datasets.train (PairedImageDataset): phots does not exist. Did you mean 'photos'?",
    ),
    (
        f"{TRAIN} datasets.train.dataroot_gt=empty",
        "datasets.train (PairedImageDataset): empty holds no image directly. Formats read: PNG, JPEG, TIFF, …",
    ),
    (
        f"{TRAIN} datasets.train.dataroot_gt=photos/p0.png",
        "datasets.train (PairedImageDataset): photos/p0.png is not a folder.",
    ),
    (
        f"{TRAIN} datasets.train.dataroot_lq=other",
        "datasets.train (PairedImageDataset): dataroot_gt photos has 4 images, dataroot_lq other has 1, paired by filename_tmpl '{}': 4 GT images have no LQ image: p0, p1, p2, … (looked for 'p0' with any …",
    ),
    (
        f"{TRAIN} datasets.train.gt_size=25",
        "datasets.train (PairedImageDataset): gt_size is 25; it must be a positive multiple of the scale, 2.",
    ),
    (
        f"{TRAIN} datasets.train.gt_size=480",
        "datasets.train (PairedImageDataset): all 4 images are smaller than gt_size 480: p0, p1, p2, …. Lower gt_size, or set small_images: pad.",
    ),
    (
        f"{TRAIN} datasets.train.type=SingleImageDataset",
        "datasets.train.type: SingleImageDataset has nothing to measure against; `srkd upscale FOLDER -m FILE` makes the images.",
    ),
    (
        f"{TRAIN} path.pretrain_network_g=nowhere.pth",
        "path.pretrain_network_g: checkpoint nowhere.pth does not exist. The current folder has …",
    ),
    (
        f"{TRAIN} path.pretrain_network_g=text.pth",
        "path.pretrain_network_g: checkpoint text.pth cannot be read: it is a text. A checkpoint is a .safetensors file, or a .pth file that holds only tensors and plain values: torch.save(model.state_dict(), FILE) writes one.",
    ),
    (
        f"{TRAIN} path.pretrain_network_g=net.pth network_g.num_feat=16",
        "path.pretrain_network_g: checkpoint net.pth does not fit EDSR: 15 of 16 tensors differ (conv_first.weight: file (8, 3, 3, 3), network (16, 3, 3, 3); conv_first.bias: file (8,), network (16,); body.0.conv1.weight: file (8, 8, …",
    ),
    (
        f"{TRAIN} path.resume_state=net.pth",
        "path.resume_state: net.pth is not a state of this experiment (experiments/tiny/training_states); to start another one from its network use path.pretrain_network_g.",
    ),
    (
        f"{TRAIN} plugins=[mine]",
        "plugins.0: cannot import 'mine': ModuleNotFoundError: No module named 'mine'.",
    ),
    # devices
    (
        f"{TRAIN} device=gpu",
        "device: must be 'auto', 'cpu', 'cuda', 'cuda:N' or 'mps'; the value is 'gpu'. Did you mean 'cuda'?",
    ),
    (
        f"{TRAIN} device=cuda:9",
        "device 'cuda:9' is not available; this machine has …",
    ),
    (
        f"{TRAIN} train.precision=fp16",
        "train.precision: fp16 needs a GPU; on the CPU fp32 and bf16 are allowed.",
    ),
    (
        f"{TRAIN} --launcher pytorch",
        "--launcher pytorch: no process group is announced; start with: torchrun --nproc_per_node=N -m srkd train -opt FILE",
    ),
    (
        "upscale photos -m net.pth --device gpu -o out",
        "device 'gpu' is unknown; this machine has …",
    ),
    # commands and flags
    (
        "trian tiny.yml",
        "unknown command 'trian'. Did you mean 'train'? Known: …",
    ),
    (
        "list networks EDRS",
        "unknown network 'EDRS'. Did you mean 'EDSR'? Available: …",
    ),
    (
        "upscale phots -m net.pth -o out",
        "phots does not exist. Did you mean 'photos'?",
    ),
    (
        "upscale empty -m net.pth -o out",
        "empty holds no image directly. Formats read: PNG, JPEG, TIFF, …",
    ),
    (
        "upscale notes.txt -m net.pth -o out",
        "1 of 1 files failed: notes.txt: the image notes.txt cannot be read: it is not an image, or damaged. Formats read: PNG, JPEG, TIFF, WebP, AVIF, BMP, GIF, JPEG 2000, PBM, PGM, PPM.",
    ),
    (
        "upscale broken.png -m net.pth -o out",
        "1 of 1 files failed: broken.png: the image broken.png is a truncated PNG: it stops after 19 bytes, before its end mark.",
    ),
    (
        "upscale photos -m nte.pth -o out",
        "checkpoint nte.pth does not exist. Did you mean 'net.pth'?",
    ),
    (
        "upscale photos -m text.pth -o out",
        "checkpoint text.pth cannot be read: it is a text. A checkpoint is a .safetensors file, or a .pth file that holds only tensors and plain values: torch.save(model.state_dict(), FILE) writes one.",
    ),
    (
        "upscale photos -m net.pth --width 2 -o out",
        "a width is greater than 0 and at most 1, not 2.",
    ),
    (
        "upscale photos -m net.pth --width a -o out",
        "a width is a number or a fraction such as 1/3, not 'a'.",
    ),
    (
        "benchmark net.pth --sets Set6",
        "there is no test set 'Set6': it is no folder, nor is there datasets/Set6 (in any case) with images in HR/, GTmod12/ or directly. Did you mean 'Set5'? Known names: …",
    ),
    (
        "benchmark net.pth",
        "say what to evaluate, and on what: srkd benchmark MODEL… --sets SET… (or -opt FILE).",
    ),
    (
        "benchmark --sets photos",
        "say what to evaluate, and on what: srkd benchmark MODEL… --sets SET… (or -opt FILE).",
    ),
    (
        "benchmark text.pth --sets photos",
        "checkpoint text.pth cannot be read: it is a text. A checkpoint is a .safetensors file, or a .pth file that holds only tensors and plain values: torch.save(model.state_dict(), FILE) writes one.",
    ),
    (
        "cost net.pth --size 180",
        "--size is height x width of the input, such as 180x320, not '180'.",
    ),
    (
        "cost net.pth --precision fp16 --device cpu",
        "precision 'fp16' is not available on cpu; allowed: fp32, bf16.",
    ),
    (
        "export net.pth --width 0.3 -o small.pth",
        "EDSR: `width` (=0.3) is not valid for `num_feat` (=8): num_feat · width must be a whole number from 1 to 8. Nearest valid: 2/8 = 0.25, 3/8 = 0.375.",
    ),
    (
        "export net.pth -o small.tiff",
        "cannot export to small.tiff: the suffix chooses the format; allowed: .pth, .safetensors, .onnx, .pt2.",
    ),
    (
        "compare result.json result.json",
        "result.json is no result file: it has no `schema`; srkd benchmark and srkd score write them.",
    ),
    (
        "compare a.json b.json",
        "the result file a.json does not exist. The current folder has result.json.",
    ),
    (
        "report result.json -o page.html",
        "result.json is no result file: it has no `schema`; srkd benchmark and srkd score write them.",
    ),
    (
        "score phots photos --scale 2",
        "phots does not exist. Did you mean 'photos'?",
    ),
    (
        "plot nowhere -o a.svg",
        "the training log nowhere does not exist. The current folder has album, broken.png, …",
    ),
    (
        "data check phots",
        "phots does not exist. Did you mean 'photos'?",
    ),
    (
        "data get DIV3K",
        "'DIV3K' is not known. Did you mean 'DIV2K'? Known: …",
    ),
    (
        "sweep -opt tiny.yml --sets photos --seeds a",
        "--seeds a: seeds are whole numbers from 0, joined by commas, such as 0,1,2.",
    ),
    # files that are not there, flags that are not known, and what goes with each command
    (
        "upscale nowhere.png -m net.pth -o out",
        "nowhere.png does not exist. The current folder has album, …",
    ),
    (
        "upscale no/where/p.png -m net.pth -o out",
        "no/where/p.png does not exist: there is no folder no.",
    ),
    (
        "upscale album -m net.pth -o out",
        "album holds no image directly. There are some in album/summer: name that.",
    ),
    (
        "upscale film.mp4 -m net.pth -o out",
        "film.mp4 does not exist. The current folder has album, …",
    ),
    (
        "upscale photos -m switchable-x5 -o out",
        "checkpoint switchable-x5 does not exist. Did you mean 'switchable-x4'?",
    ),
    (
        "upscale photos -m nothere.pth -o out",
        "checkpoint nothere.pth does not exist. The current folder has net.pth, text.pth. The package brings switchable-x2, switchable-x2-photo, switchable-x3 and switchable-x4; `srkd data get-model` lists published weights.",
    ),
    (
        "upscale photos -m photos -o out",
        "checkpoint photos is a folder; name the file, as in photos/models/net_g_latest.pth.",
    ),
    (
        "upscale photos -m . -o out",
        "checkpoint . is a folder; name one of its files: net.pth, text.pth.",
    ),
    (
        "upscale photos -m net.pth -o net.pth",
        "-o net.pth is a file; several images need a folder.",
    ),
    (
        "upscale photos -m net.pth -o out --tile 3",
        "`tile` (=3) is auto, 0 for none, or at least 16 low-resolution pixels.",
    ),
    (
        "upscale photos -m net.pth -o out --format raw",
        "unknown image format 'raw'; allowed: .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff, .ppm, .pgm.",
    ),
    (
        "upscale photos/p0.png -m net.pth -o a.raw",
        "-o a.raw: unknown format .raw; allowed: .png, .jpg, .jpeg, .webp, .bmp, .tif, .tiff, .ppm, .pgm, .mp4, .mov, .m4v, .mkv, .avi, .webm. (A folder: make it first.)",
    ),
    (
        "upscale photos -m net.pth -o out --budget 5",
        "--budget 5 is not known here. `srkd upscale --help` lists what it takes.",
    ),
    (
        "upscale photos -m net.pth -o out --precision fp8",
        "--precision: 'fp8' is not known. Allowed: auto, fp32, bf16, fp16. `srkd upscale --help` lists what it takes.",
    ),
    (
        "upscale",
        "IN is missing. `srkd upscale --help` lists what it takes.",
    ),
    (
        "benchmark net.pth --sets phots",
        "there is no test set 'phots': it is no folder, nor is there datasets/phots (in any case) with images in HR/, GTmod12/ or directly. Did you mean 'photos'? Known names: Set5, Set14, B100, Urban100, Manga109, DIV2K_valid; $SRKD_DATASETS names another folder than datasets/.",
    ),
    (
        "benchmark net.pth --data photos",
        "--data photos is not known here. `srkd benchmark --help` lists what it takes.",
    ),
    (
        "benchmark nte.pth --sets photos",
        "checkpoint nte.pth does not exist. Did you mean 'net.pth'?",
    ),
    (
        "benchmark net.pth --sets photos --widths 3",
        "a width is greater than 0 and at most 1, not 3.",
    ),
    (
        "benchmark net.pth --sets photos --protocol z",
        "unknown protocol 'z'. Known: y, paper-y, rgb.",
    ),
    (
        "benchmark net.pth --sets photos --protocol paper-y",
        "protocol paper-y is defined for bicubic and Y-channel networks; net is an RGB network: use protocol y.",
    ),
    (
        "benchmark net.pth --sets photos -o out.txt",
        "the result file out.txt must end in .json; .csv, .md and .tex are written beside it.",
    ),
    (
        "benchmark net.pth --sets photos --limit 0",
        "--limit is at least 1, not 0.",
    ),
    (
        "benchmark net.pth --sets photos --scale 4",
        "--scale is 4, but net is a ×2 network; one benchmark has one scale.",
    ),
    (
        "benchmark -opt tiny.yml",
        "tiny.yml is an option file for training (`srkd train -opt tiny.yml`); `srkd benchmark experiments/NAME/models/net_g_latest.pth --sets SET` measures its network.",
    ),
    (
        "benchmark -opt tinny.yml",
        "the option file tinny.yml does not exist. Did you mean 'tiny.yml'?",
    ),
    (
        "cost",
        "say which network: srkd cost MODEL….",
    ),
    (
        "cost EDSR",
        "checkpoint EDSR does not exist. The current folder has net.pth, text.pth. The package brings switchable-x2, switchable-x2-photo, switchable-x3 and switchable-x4; `srkd data get-model` lists published weights.",
    ),
    (
        "cost photos",
        "checkpoint photos is a folder; name the file, as in photos/models/net_g_latest.pth.",
    ),
    (
        "cost net.pth --width 7",
        "a width is greater than 0 and at most 1, not 7.",
    ),
    (
        "cost net.pth --runs many",
        "--runs: 'many' is no whole number. `srkd cost --help` lists what it takes.",
    ),
    (
        "compress net.pth",
        "-o/--output, --data is missing. `srkd compress --help` lists what it takes.",
    ),
    (
        "prune",
        "-o/--output is missing. `srkd prune --help` lists what it takes.",
    ),
    (
        "export net.pth",
        "say where it goes: -o FILE (.pth, .safetensors, .onnx or .pt2), -o FOLDER or --web FOLDER.",
    ),
    (
        "export net.pth -o net.pth",
        "net.pth exists: --overwrite replaces it, or choose another name (-o).",
    ),
    (
        "export net.pth -o a.pth --width 9",
        "a width is greater than 0 and at most 1, not 9.",
    ),
    (
        "export net.pth -o a.pth --dialect foo",
        "cannot export: unknown dialect 'foo'. Known: edsr-pytorch, torchsr, csd, spandrel.",
    ),
    (
        "export net.pth --all-widths -o rel",
        "net.pth does not say which widths were trained: name them with --widths.",
    ),
    (
        "export net.pth -o a.pth --card --results nores.json",
        "the result file nores.json does not exist. Did you mean 'result.json'?",
    ),
    (
        "compare",
        "say what to compare: srkd compare FILE.json FILE.json…",
    ),
    (
        "compare photos",
        "the folder photos has no result file (.json).",
    ),
    (
        "compare notes.txt",
        "'notes.txt' is not [NAME=]FILE.json[:MODEL][@WIDTH]; result files end in .json.",
    ),
    (
        "report",
        "ARM is missing. `srkd report --help` lists what it takes.",
    ),
    (
        "report result.json",
        "say what to write: -o FILE.html, --strips FOLDER, or both.",
    ),
    (
        "score photos other",
        "--scale is missing. `srkd score --help` lists what it takes.",
    ),
    (
        "score photos phots --scale 2",
        "there is no test set 'phots': it is no folder, nor is there datasets/phots (in any case) with images in HR/, GTmod12/ or directly. Did you mean 'photos'? Known names: Set5, Set14, B100, Urban100, Manga109, DIV2K_valid; $SRKD_DATASETS names another folder than datasets/.",
    ),
    (
        "score other photos --scale 2",
        "4 of 4 images have not exactly one result, named like the image or with a suffix (_anything, x4): p0: missing; p1: missing; p2: missing; p3: missing.",
    ),
    (
        "score photos empty --scale 2",
        "the test set empty has no image, neither in HR/, GTmod12/ nor directly.",
    ),
    (
        "plot",
        "-o/--output is missing. `srkd plot --help` lists what it takes.",
    ),
    (
        "plot photos -o a.svg",
        "the training log photos/metrics.jsonl does not exist. Its folder has p0.png, p1.png, p2.png, p3.png.",
    ),
    (
        "plot nowhere -o a.gif",
        "the picture a.gif must end in .svg, .pdf or .png.",
    ),
    (
        "plot notes.txt -o a.svg",
        "notes.txt, line 1 is not what srkd train writes: 'remember the milk'.",
    ),
    (
        "plot broken.png -o a.svg",
        "the training log broken.png is no UTF-8 text; perhaps another file was meant.",
    ),
    (
        "data",
        "ACTION is missing. `srkd data --help` lists what it takes.",
    ),
    (
        "data chek photos",
        "ACTION: 'chek' is not known. Did you mean 'check'? Allowed: get, prepare, check, render-teacher, get-model. `srkd data --help` lists what it takes.",
    ),
    (
        "data check",
        "FOLDER is missing. `srkd data check --help` lists what it takes.",
    ),
    (
        "data check empty",
        "empty holds no image directly. Formats read: PNG, JPEG, TIFF, WebP, AVIF, BMP, GIF, JPEG 2000, PBM, PGM, PPM.",
    ),
    (
        "data check album",
        "album holds no image directly. There are some in album/summer: name that.",
    ),
    (
        "data check photos --scale two",
        "--scale: 'two' is no whole number. `srkd data check --help` lists what it takes.",
    ),
    (
        "data prepare phots --scale 2 -o out",
        "phots does not exist. Did you mean 'photos'?",
    ),
    (
        "data prepare photos -o out",
        "--scale is missing. `srkd data prepare --help` lists what it takes.",
    ),
    (
        "data get-model edsr",
        "'edsr' is not known. Did you mean 'edsr_x4'? Known: …",
    ),
    (
        "data render-teacher",
        "-opt is missing. `srkd data render-teacher --help` lists what it takes.",
    ),
    (
        "data render-teacher -opt tiny.yml",
        "tiny.yml names no network_g_teacher.",
    ),
    (
        "list",
        "kind is missing. `srkd list --help` lists what it takes.",
    ),
    (
        "list network",
        "kind: 'network' is not known. Did you mean 'networks'? Allowed: networks, methods, datasets, metrics, losses, optimizers, schedulers. `srkd list --help` lists what it takes.",
    ),
    (
        "schema foo",
        "foo is not known here. `srkd schema --help` lists what it takes.",
    ),
    (
        "doctor foo",
        "foo is not known here. `srkd doctor --help` lists what it takes.",
    ),
    (
        "completion fish",
        "shell: 'fish' is not known. Allowed: bash, zsh, tcsh. `srkd completion --help` lists what it takes.",
    ),
    (
        "sweep",
        "-opt/--opt, --sets/--set is missing. `srkd sweep --help` lists what it takes.",
    ),
    (
        "sweep -opt tinny.yml --sets photos",
        "the option file tinny.yml does not exist. Did you mean 'tiny.yml'?",
    ),
    (
        "sweep -opt tiny.yml --sets phots",
        "there is no test set 'phots': it is no folder, nor is there datasets/phots (in any case) with images in HR/, GTmod12/ or directly. Did you mean 'photos'? Known names: Set5, Set14, B100, Urban100, Manga109, DIV2K_valid; $SRKD_DATASETS names another folder than datasets/.",
    ),
    (
        "demo --width 3",
        "--width 3 is not known here. `srkd demo --help` lists what it takes.",
    ),
    (
        "list networks --plugin nope",
        "cannot import 'nope': ModuleNotFoundError: No module named 'nope'. It is looked for in the current folder and where Python finds its packages; FILE.py names a file.",
    ),
    (
        "list networks --plugin nope.py",
        "plugin nope.py does not exist.",
    ),
    (
        "list networks --plugin notes.txt",
        "plugin notes.txt is no module: one is named by its file, FILE.py, or by what `import` takes.",
    ),
    (
        f"{TRAIN} --auto_resum",
        "--auto_resum is not known here. Did you mean --auto_resume? `srkd train --help` lists what it takes.",
    ),
    (
        "train measure.yml",
        "measure.yml is an option file for measuring, not for training: `srkd benchmark -opt measure.yml`.",
    ),
    (
        f"{TRAIN} train=null",
        "train: must be a mapping of keys to values; the value is null.",
    ),
    (
        f"{TRAIN} network_g=EDSR",
        "network_g: must be a mapping with a `type`; the value is 'EDSR'.",
    ),
    (
        "train tiny.yml network_g={type:EDSR}",
        "network_g.type:EDSR: needs a space behind the colon: `type: EDSR`. command line: network_g={type:EDSR} network_g.type: is required but missing. Available: CARN, EDSR, FSRCNN, RCAN, SNSR, TNSR.",
    ),
    (
        f"{TRAIN} network_g.type=ECBSR",
        "network_g.type: unknown network 'ECBSR'. BasicSR has one of this name: `type: basicsr.ECBSR`. Available: CARN, EDSR, FSRCNN, RCAN, SNSR, TNSR. As a teacher, a weight file that spandrel knows: `{type: spandrel, path: FILE}`. Your own: `plugins: [MODULE]` in an option file, or --plugin MODULE.",
    ),
    (
        f"{TRAIN} network_g.type=BSRN",
        "network_g.type: unknown network 'BSRN'. Available: CARN, EDSR, FSRCNN, RCAN, SNSR, TNSR. BasicSR's: basicsr.NAME ('BSRN' is none of them). As a teacher, a weight file that spandrel knows: `{type: spandrel, path: FILE}`. Your own: `plugins: [MODULE]` in an option file, or --plugin MODULE.",
    ),
    (
        f"{TRAIN} datasets.train=null",
        "tiny.yml:4 datasets.train: is required but missing.",
    ),
    (
        f"{TRAIN} datasets.train.meta_info_file=meta.txt",
        "datasets.train (PairedImageDataset): meta-information file meta.txt does not exist. The current folder has notes.txt.",
    ),
    (
        f"{TRAIN} datasets.train.io_backend.type=lmdb",
        "datasets.train (PairedImageDataset): io_backend has type: lmdb, but photos does not end in .lmdb; set type: disk or cache.",
    ),
    (
        f"{TRAIN} path.pretrain_network_g=photos",
        "path.pretrain_network_g: checkpoint photos is a folder; name the file, as in photos/models/net_g_latest.pth.",
    ),
    (
        f"{TRAIN} path.resume_state=nope.state",
        "path.resume_state: nope.state is not a state of this experiment (experiments/tiny/training_states); to start another one from its network use path.pretrain_network_g.",
    ),
    (
        f"{TRAIN} method.type=OutputKD network_g_teacher.type=EDSR path.pretrain_network_g_teacher=nte.pth",
        "path.pretrain_network_g_teacher: checkpoint nte.pth does not exist. Did you mean 'net.pth'?",
    ),
    (
        f"{TRAIN} method.type=OutputKD network_g_teacher.type=EDSR path.pretrain_network_g_teacher=net.pth",
        "path.pretrain_network_g_teacher: checkpoint net.pth does not fit EDSR: 71 of 72 tensors differ (conv_first.weight: file (8, 3, 3, 3), network (64, 3, 3, 3); conv_first.bias: file (8,), network (64,); body.0.conv1.weight: file (8, 8, 3, 3), network (64, 64, 3, 3); and 68 more). The file's network has num_feat: 8, num_block: 2.",
    ),
]


@pytest.mark.parametrize(("command", "sentence"), MISTAKES, ids=[command for command, _ in MISTAKES])
def test_the_sentence(command: str, sentence: str, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(place.rglob("*"))
    try:
        status = main(command.split())
    except SystemExit as error:  # argparse's
        status = int(str(error.code))
    said = capsys.readouterr().err
    shown = re.sub(r"\s+", " ", said).replace(str(place) + "/", "").replace(str(place), ".")
    assert status == (1 if "files failed" in said else 2), said
    assert "Traceback" not in said and "  File " not in said
    pattern = ".*?".join(re.escape(part) for part in sentence.split("…"))
    assert re.search(pattern, shown), shown
    assert len(shown) < 1200
    assert sorted(place.rglob("*")) == before


def test_there_are_enough_of_them() -> None:
    assert len({command for command, _ in MISTAKES}) == len(MISTAKES) >= 150
    assert {command.split()[0] for command, _ in MISTAKES} >= {*COMMANDS} - {"test"}
