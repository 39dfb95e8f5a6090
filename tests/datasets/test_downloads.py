"""Public files: fetched on request only, held against their hash whenever they are read, and refused where it differs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from importlib.resources import files
from pathlib import Path

import pytest
from market_frames import closes
from public_files import PublicFile, served

from finml_models import datasets
from finml_models.core.errors import DataError
from finml_models.datasets import downloads, registry
from finml_models.datasets.loans import synthetic

Settings = Callable[[str], Path]


@pytest.fixture(autouse=True)
def _no_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINML_DATASETS", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def public() -> Iterator[PublicFile]:
    with served(closes().to_csv(index=False).encode()) as file:
        yield file


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a text the table of public files."""

    def replace(text: str) -> None:
        monkeypatch.setattr(registry, "_public", lambda: registry._parse(text.encode(), "public.toml"))

    return replace


def left(tmp_path: Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "data" / "downloads").glob("*"))


def test_a_file_with_its_hash_is_kept_beside_the_settings_and_read(public: PublicFile, table: Callable[[str], None], tmp_path: Path) -> None:
    table(public.table())
    path = datasets.fetch("public")
    assert path == tmp_path / "data" / "downloads" / f"{public.sha256[:12]}-closes.csv"
    assert path.read_bytes() == public.content
    assert datasets.load("public").frame["close"].tolist() == closes()["close"].tolist()
    datasets.fetch("public")
    assert public.asked == ["/closes.csv"]


def test_nothing_is_downloaded_by_a_run(public: PublicFile, table: Callable[[str], None]) -> None:
    table(public.table())
    assert datasets.fetched(datasets.datasets()["public"]) is False
    with pytest.raises(DataError, match=r"dataset 'public' was not fetched yet \(there is no file .*closes.csv\): run finml data fetch public"):
        datasets.load("public")
    assert public.asked == []


def test_a_file_with_another_hash_is_refused_and_removed(public: PublicFile, table: Callable[[str], None], tmp_path: Path) -> None:
    promised = public.sha256
    table(public.table())
    public.content = public.content.replace(b"100.0", b"900.0")
    with pytest.raises(DataError, match=rf"dataset 'public': {public.address}/closes.csv holds sha256 {public.sha256}, expected {promised}: .*removed"):
        datasets.fetch("public")
    assert left(tmp_path) == []


def test_a_file_that_was_changed_afterwards_is_refused_and_fetched_anew(public: PublicFile, table: Callable[[str], None]) -> None:
    table(public.table())
    path = datasets.fetch("public")
    path.write_bytes(public.content.replace(b"100.0", b"900.0"))
    with pytest.raises(DataError, match=rf"has sha256 [0-9a-f]{{64}}, expected {public.sha256}: it was changed since it was fetched: fetch it again"):
        datasets.load("public")
    datasets.fetch("public")
    assert path.read_bytes() == public.content


def test_a_good_file_survives_a_bad_successor(public: PublicFile, table: Callable[[str], None], tmp_path: Path) -> None:
    table(public.table())
    path = datasets.fetch("public")
    table(public.table(sha256="0" * 64))
    with pytest.raises(DataError, match="expected 0000"):
        datasets.fetch("public")
    assert left(tmp_path) == [path.name]


@pytest.mark.parametrize("status", [404, 503])
def test_a_server_that_refuses_is_an_error_that_says_where_to_put_the_file(
    status: int, public: PublicFile, table: Callable[[str], None], tmp_path: Path
) -> None:
    table(public.table())
    public.status = status
    with pytest.raises(DataError, match=rf"did not answer \({status}\): check the network, or put the file that it names at .*closes.csv yourself"):
        datasets.fetch("public")
    assert left(tmp_path) == []


def test_without_a_network_the_error_says_what_to_do_and_a_file_put_there_by_hand_is_taken(table: Callable[[str], None]) -> None:
    with served(closes().to_csv(index=False).encode()) as gone:
        pass
    table(gone.table())
    with pytest.raises(DataError, match=rf"did not answer \(ConnectionError\): check the network, or put .*; its sha256 is {gone.sha256}"):
        datasets.fetch("public")
    spec = datasets.datasets()["public"]
    place = downloads.place(spec, datasets.settings_file().parent)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(gone.content)
    assert datasets.fetch("public") == place
    assert len(datasets.load("public").frame) == 5


def test_a_folder_that_cannot_be_written_is_named(public: PublicFile, table: Callable[[str], None], tmp_path: Path) -> None:
    table(public.table())
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(DataError, match=r"data/downloads cannot be written"):
        datasets.fetch("public")


def test_records_can_be_downloaded_too(table: Callable[[str], None]) -> None:
    frame = synthetic.generate(seed=3, loans=100).frame
    with served(frame.rename(columns={"entity": "id"}).to_csv(index=False).encode()) as file:
        table(file.table(name="loans.csv?raw=true", more='kind = "loans"\ncolumns = {entity = "id"}'))
        assert datasets.fetch("public").name.endswith("-loans.csv")
    assert datasets.load("public").frame.equals(frame)


def test_a_user_may_register_a_download_with_its_hash(public: PublicFile, settings: Settings) -> None:
    folder = settings(public.table().replace("datasets.public", "datasets.mine"))
    assert datasets.fetch("mine").parent == folder / "downloads"
    assert len(datasets.load("mine").frame) == 5


@pytest.mark.parametrize("url", ["http://example.org/a.csv", "https://me:secret@example.org/a.csv", "file:///etc/hostname", "ftp://example.org/a", "a.csv"])
def test_a_download_is_https_and_without_a_password(url: str, public: PublicFile, settings: Settings) -> None:
    settings(public.table().replace("datasets.public", "datasets.mine").replace(public.address + "/closes.csv", url))
    with pytest.raises(DataError, match=r"datasets.mine.download.url: .*pattern"):
        datasets.datasets()


def test_a_name_in_a_url_cannot_leave_the_folder(public: PublicFile, table: Callable[[str], None], tmp_path: Path) -> None:
    table(public.table(name="a/..%2F..%2Fclo ses.csv".replace(" ", "%20")))
    assert datasets.fetch("public").parent == tmp_path / "data" / "downloads"


def test_only_downloads_are_fetched() -> None:
    with pytest.raises(DataError, match="dataset 'us_market' comes from source 'embedded': there is nothing to fetch"):
        datasets.fetch("us_market")
    assert datasets.fetched(datasets.datasets()["us_market"]) is None


def test_a_public_id_may_not_be_shadowed(settings: Settings) -> None:
    settings('[datasets.vix_daily]\nsource = "csv"\npath = "mine.csv"\n')
    with pytest.raises(DataError, match=r"the id\(s\) vix_daily are public datasets: choose other ids"):
        datasets.datasets()


def test_every_public_file_is_pinned_to_a_commit_and_says_its_terms() -> None:
    table = tomllib.loads(files("finml_models.datasets").joinpath("public.toml").read_text())["datasets"]
    assert table
    hashes = [entry["sha256"] for entry in table.values()]
    assert len(set(hashes)) == len(hashes)
    for entry in table.values():
        assert re.match(r"https://raw\.githubusercontent\.com/[^/]+/[^/]+/[0-9a-f]{40}/", entry["url"])
        assert entry["terms"]
        assert entry["title"]
