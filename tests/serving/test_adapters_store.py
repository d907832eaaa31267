"""The private store: what is checked is what is loaded, whatever is done to the folder meanwhile."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serving.adapters import store as store_module
from serving.adapters.store import Store, require_digest
from serving.errors import ServeError
from tests.serving.adapter_material import write_adapter
from tianjing.lineage import artefact_digest


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    (tmp_path / "inbox").mkdir()
    return tmp_path / "inbox"


@pytest.fixture
def store(tmp_path: Path, inbox: Path) -> Store:
    made = Store(tmp_path / "state", (inbox,))
    made.prepare()
    return made


def test_a_copy_is_kept_under_its_digest_and_equal_weights_once(store: Store, inbox: Path) -> None:
    folder = write_adapter(inbox / "a")
    digest = artefact_digest(folder)
    for _ in range(2):
        with store.incoming(folder) as copy:
            place = store.keep(copy, digest)
    assert place == store.place(digest) and artefact_digest(place) == digest
    assert [path.name for path in (store.folder / "store").iterdir()] == [digest]
    assert all(path.stat().st_mode & 0o377 == 0 for path in place.iterdir())


def test_weights_outside_the_roots_are_not_read(store: Store, inbox: Path, tmp_path: Path) -> None:
    outside = write_adapter(tmp_path / "outside")
    (inbox / "link").symlink_to(outside)
    (inbox / "up").mkdir()
    bad = [
        outside,
        inbox / ".." / "outside",
        inbox / "up" / ".." / ".." / "outside",
        inbox / "link",
        inbox,
        tmp_path / "inbox-2",
        Path("inbox"),
        Path("/"),
    ]
    for path in bad:
        with pytest.raises(ServeError, match=r"absolute|not below|cannot be read"), store.incoming(path):
            raise AssertionError(path)
    with pytest.raises(ServeError, match="not below"), Store(store.folder).incoming(write_adapter(inbox / "a")):
        raise AssertionError("no root, and yet something was taken")


def test_links_pipes_and_devices_inside_are_refused(store: Store, inbox: Path) -> None:
    for number, make in enumerate((lambda path: path.symlink_to("/etc/passwd"), os.mkfifo)):
        folder = write_adapter(inbox / f"a{number}")
        make(folder / "extra")
        with pytest.raises(ServeError, match="not a plain file"), store.incoming(folder):
            raise AssertionError(number)
    nested = write_adapter(inbox / "nested")
    (nested / "inner").mkdir()
    (nested / "inner" / "link").symlink_to(inbox)
    with pytest.raises(ServeError, match="not a plain file"), store.incoming(nested):
        raise AssertionError("a link further down")
    assert not list((store.folder / "store").iterdir())


def test_a_folder_that_becomes_a_link_after_the_check_is_not_followed(
    store: Store, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside, folder = write_adapter(tmp_path / "outside"), write_adapter(inbox / "a")
    real = os.path.realpath

    def swapped(path: str | Path) -> str:
        answer = real(path)
        if Path(path) == folder and folder.is_dir() and not folder.is_symlink():
            folder.rename(tmp_path / "away")
            folder.symlink_to(outside)
        return answer

    monkeypatch.setattr(store_module.os.path, "realpath", swapped)
    with pytest.raises(ServeError, match="cannot be read"), store.incoming(folder):
        raise AssertionError("the link was followed")


def test_a_file_that_becomes_a_link_while_it_is_copied_is_not_followed(
    store: Store, inbox: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_adapter(inbox / "a")
    (tmp_path / "secret").write_text("secret")
    real = store_module._copy_file
    swapped: list[str] = []

    def copy(descriptor: int, name: str, target: Path) -> None:
        if not swapped:
            swapped.append(name)
            (folder / name).unlink()
            (folder / name).symlink_to(tmp_path / "secret")
        real(descriptor, name, target)

    monkeypatch.setattr(store_module, "_copy_file", copy)
    with pytest.raises(ServeError, match="cannot be copied"), store.incoming(folder):
        raise AssertionError("the link was followed")
    assert swapped


def test_what_changes_during_the_copy_is_what_is_checked(store: Store, inbox: Path) -> None:
    folder = write_adapter(inbox / "a")
    digest = artefact_digest(folder)
    with store.incoming(folder) as copy:
        (folder / "adapter_model.safetensors").write_bytes(b"evil")
        require_digest(copy, digest)
        place = store.keep(copy, digest)
    assert (place / "adapter_model.safetensors").read_bytes() == b"weights"
    with pytest.raises(ServeError, match="changed after"):
        require_digest(folder, digest)


def test_a_release_is_taken_like_weights(store: Store, inbox: Path, tmp_path: Path) -> None:
    (tmp_path / "outside.json").write_text("{}")
    (inbox / "link.json").symlink_to(tmp_path / "outside.json")
    (inbox / "big.json").write_bytes(b" " * (2 << 20))
    os.mkfifo(inbox / "pipe.json")
    for name in ("link.json", "big.json", "pipe.json", "none.json", "../outside.json"):
        with pytest.raises(ServeError):
            store.take_release(inbox / name)
    (inbox / "good.json").write_text("{}")
    assert store.take_release(inbox / "good.json").read_text() == "{}"
    assert len(list((store.folder / "releases").iterdir())) == 1


def test_a_load_has_a_path_of_its_own_without_a_copy_of_its_bytes(store: Store, inbox: Path) -> None:
    folder = write_adapter(inbox / "a")
    with store.incoming(folder) as copy:
        place = store.keep(copy, artefact_digest(folder))
    path = store.link(place, "a-1")
    assert path.parent == store.loads
    assert os.path.samefile(path / "adapter_model.safetensors", place / "adapter_model.safetensors")
    store.unlink("a-1")
    assert not path.exists() and (place / "adapter_model.safetensors").exists()


def test_leftovers_are_cleared_and_what_is_named_stays(store: Store, inbox: Path) -> None:
    folder = write_adapter(inbox / "a")
    digest = artefact_digest(folder)
    with store.incoming(folder) as copy:
        store.keep(copy, digest)
    (store.folder / "store" / ".incoming-dead").mkdir()
    (store.folder / "store" / ("f" * 64)).mkdir()
    store.prepare()
    store.sweep({digest}, set(), set())
    assert [path.name for path in (store.folder / "store").iterdir()] == [digest]
