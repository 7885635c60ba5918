"""How much memory there is, in a container too."""

import psutil
import pytest

from srkd import memory

MIB = 2**20


@pytest.fixture
def container(tmp_path, monkeypatch):
    def limited(**files):
        for name, text in files.items():
            (tmp_path / f"memory.{name}").write_text(text)
        monkeypatch.setattr(memory, "_GROUP", tmp_path)

    return limited


def test_what_files_take_is_given_back_when_needed(container):
    stat = f"anon {10 * MIB}\nactive_file {30 * MIB}\ninactive_file {20 * MIB}\n"
    container(max=str(100 * MIB), current=str(70 * MIB), stat=stat)
    assert memory.available_memory() == 80 * MIB


def test_a_container_without_a_limit(container):
    container(max="max\n", current=str(70 * MIB), stat="")
    assert memory.available_memory() == pytest.approx(psutil.virtual_memory().available, rel=0.2)


def test_no_container(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "_GROUP", tmp_path / "nowhere")
    assert memory.available_memory() > MIB
