"""Downloads go on where they broke off, and a file stays the file that it was: against a server of our own."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from understudy.cli import main
from understudy.errors import BadWeights, FetchFailed
from understudy.published import fetch as fetching
from understudy.published import sources
from understudy.published.sources import File

CONTENT = bytes(range(256)) * 9000  # more than two chunks


class Server:
    """Serves `content`; knows parts or not; breaks off after some bytes, once."""

    def __init__(self) -> None:
        self.content, self.parts, self.breaks_after, self.asked = CONTENT, True, None, list[str | None]()  # type: ignore[var-annotated]
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                server.asked.append(wanted)
                if self.path.endswith("locked"):
                    self.send_error(401)
                    return
                found = re.fullmatch(r"bytes=(\d+)-", wanted or "")
                start = int(found[1]) if found and server.parts else 0
                if start >= len(server.content) and start:
                    self.send_error(416)
                    return
                body = server.content[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if server.breaks_after is not None:
                    body, server.breaks_after = body[: server.breaks_after], None
                self.wfile.write(body)

            def log_message(self, *words: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.http.shutdown()
    made.http.server_close()


def file_of(server: Server, name: str = "weights.pth") -> File:
    return File(name=name, address=f"{server.address}/{name}")


def download(server: Server, into: Path) -> list[int]:
    told: list[int] = []
    fetching.download(file_of(server), into, lambda name, done, total: told.append(done))
    return told


def test_a_whole_file(server: Server, tmp_path: Path) -> None:
    told = download(server, tmp_path)
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT and told[-1] == len(CONTENT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hashes.json", "weights.pth"]
    known = json.loads((tmp_path / "hashes.json").read_text())["weights.pth"]
    assert known["size"] == len(CONTENT) and len(known["sha256"]) == 64 and known["address"].endswith("weights.pth")


@pytest.mark.parametrize("parts", [True, False])
def test_it_goes_on_where_it_broke_off(parts: bool, server: Server, tmp_path: Path) -> None:
    server.breaks_after, server.parts = 1_500_000, parts
    with pytest.raises(FetchFailed, match=r"broke off.*goes on from there"):
        download(server, tmp_path)
    assert not (tmp_path / "weights.pth").exists()
    left = (tmp_path / "weights.pth.partial").stat().st_size
    assert 0 < left <= 1_500_000
    download(server, tmp_path)
    assert server.asked == [None, f"bytes={left}-"]
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT


def test_what_is_left_of_a_longer_file_is_no_part_of_this_one(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.pth.partial").write_bytes(b"x" * (len(CONTENT) + 5))
    download(server, tmp_path)
    assert (tmp_path / "weights.pth").read_bytes() == CONTENT


def test_another_file_under_the_same_name_is_refused(server: Server, tmp_path: Path) -> None:
    download(server, tmp_path)
    (tmp_path / "weights.pth").unlink()
    server.content = CONTENT[:-1] + b"!"
    with pytest.raises(BadWeights, match="not the file that was fetched before"):
        download(server, tmp_path)
    assert not (tmp_path / "weights.pth").exists() and not (tmp_path / "weights.pth.partial").exists()


def test_a_file_that_was_changed_is_refused(server: Server, tmp_path: Path) -> None:
    published = replace(sources.TINY, files=(file_of(server),))
    assert fetching.fetch(published, tmp_path).here == [tmp_path / "weights.pth"]
    assert fetching.fetch(published, tmp_path).here == [tmp_path / "weights.pth"] and len(server.asked) == 1
    (tmp_path / "weights.pth").write_bytes(b"?" + CONTENT[1:])
    with pytest.raises(BadWeights, match="not what it was"):
        fetching.fetch(published, tmp_path)


def test_what_only_a_person_gets(server: Server, tmp_path: Path) -> None:
    file = File(name="drive.th", by_hand="a drive")
    found = fetching.fetch(replace(sources.TINY, files=(file, file_of(server))), tmp_path)
    assert [path.name for path in found.here] == ["weights.pth"]
    assert found.by_hand == [f"drive.th: a drive; put it into {tmp_path}"]


def test_a_server_that_wants_somebody_to_sign_in(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchFailed, match=r"401.*accepting its licence"):
        fetching.download(file_of(server, "locked"), tmp_path, lambda *told: None)
    with pytest.raises(FetchFailed, match="could not be fetched"):
        fetching.download(File(name="no", address="http://127.0.0.1:9/no"), tmp_path, lambda *told: None)


def test_the_command(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sources, "ALL", (replace(sources.TINY, files=(file_of(server),)), sources.X_PORTRAIT))
    assert main(["fetch", "tiny-autoencoder", "--folder", str(tmp_path), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["here"] == [str(tmp_path / "weights.pth")] and "Licence: MIT" in said.err
    assert main(["fetch", "x-portrait", "--folder", str(tmp_path), "--json"]) == 1
    said = capsys.readouterr()
    assert "Google Drive" in json.loads(said.out)["by_hand"][0] and "OpenRAIL" in said.err
    assert main(["fetch", "nothing", "--json"]) == 1


def test_every_file_has_an_address_or_a_way(tmp_path: Path) -> None:
    for published in sources.ALL:
        assert published.files and published.licence
        for file in published.files:
            assert (file.address is None) == bool(file.by_hand)
            assert file.address is None or file.address.startswith("https://")
