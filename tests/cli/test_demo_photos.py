"""`srkd demo --photos`: data for a first training, and nothing else."""

from srkd.cli import main
from srkd.imaging.files import read_image


def test_photographs_only(tmp_path, capsys):
    out = tmp_path / "demo"
    assert main(["demo", "--photos", "-o", str(out)]) == 0
    assert [path.name for path in out.iterdir()] == ["photos"]
    train, test, small = (sorted((out / "photos" / kind).iterdir()) for kind in ("train", "test", "small"))
    assert len(train) == 12
    assert [path.name for path in test] == [path.name for path in small] == ["astronaut.png", "chelsea.png"]
    assert read_image(test[0]).shape == (512, 512, 3)
    assert read_image(small[0]).shape == (256, 256, 3)
    assert not {path.name for path in train} & {path.name for path in test}
    assert f"{out}/photos/train" in capsys.readouterr().out


def test_it_is_no_way_of_running_the_steps(tmp_path, capsys):
    assert main(["demo", "--photos", "--quick", "-o", str(tmp_path)]) == 2
    assert "not allowed with" in capsys.readouterr().err
