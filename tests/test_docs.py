"""The documents: every command in them is understood, the cheap ones are run, and the site builds without warnings."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from importlib import resources
from itertools import islice, takewhile
from pathlib import Path

import pytest
import typer
from animate_made import astronaut_acting, driver, driver_frames

from understudy import write, write_picture
from understudy.cli import app, main

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.M | re.S)

# What is run as it stands, on small things of these names; all other commands are only parsed.
RUN = (
    "animate me.jpg driving.mp4", "animate anyone.png part.safetensors", "check", "models",
    "motion", "prepare", "cast portrait", "cast film",
)  # fmt: skip
# Too much for two cores, or for what is installed here, although they begin so.
NOT_RUN = ("--ray", "--codes", "--blend", "driver.safetensors", "warp_cpu")


def blocks(page: Path) -> list[str]:
    return [text for kind, text in FENCE.findall(page.read_text("utf-8")) if kind in ("", "sh")]


def commands(page: Path) -> list[list[str]]:
    """The words of every `understudy ...` of a page, without comments; lines that end in a backslash are joined."""
    found = []
    for text in blocks(page):
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            while words and ("=" in words[0] and not words[0].startswith("-")):
                words = words[1:]  # VARIABLE=value before a command
            words = [*takewhile(lambda word: word not in ("<", ">", "|"), words)]
            if words and words[0].rpartition("/")[2] == "understudy":
                found.append(words[1:])
    return found


EVERY = [(page, words) for page in PAGES for words in commands(page)]
NAMES = [f"{page.name}: {' '.join(words)}" for page, words in EVERY]


def test_there_are_commands_in_the_documents() -> None:
    assert len(EVERY) > 20 and {page.name for page, _ in EVERY} >= {"README.md", "training.md", "footage.md"}


@pytest.mark.parametrize(("page", "words"), EVERY, ids=NAMES)
def test_every_command_is_understood(page: Path, words: list[str]) -> None:
    """Commands and options exist, options have values of their kinds, and fields of recipes are there to be changed."""
    command = typer.main.get_command(app)
    context = command.make_context("understudy", [], resilient_parsing=True)
    rest = list(words)
    while hasattr(command, "commands"):
        assert rest and rest[0] in command.commands, f"{page.name}: there is no command {' '.join(words)}"
        command = command.commands[rest.pop(0)]
    with command.make_context(command.name, rest, parent=context) as given:
        values = given.params
    if words[0] == "train":
        _fields(values["recipe"], values.get("changes") or [])


def _fields(recipe: str, changes: list[str]) -> None:
    pytest.importorskip("torch")
    from understudy.recipes import Course, Training, named
    from understudy.recipes.recipe import changed

    stages = named(recipe)
    last = named(stages.stages[-1][0]) if isinstance(stages, Course) else stages
    assert isinstance(last, Training)
    changed(last.recipe(), changes)


def test_modules_that_are_run_are_there() -> None:
    said = {word for page in PAGES for text in blocks(page) for word in re.findall(r"(?:-m |python )([\w./]+)", text)}
    for word in said - {"venv", "http.server"}:
        path = ROOT / (word if word.endswith(".py") else word.replace(".", "/"))
        assert path.exists() or path.with_suffix(".py").exists(), word
    for page in PAGES:
        for word in re.findall(r"(?:^|\s)((?:runs|bench)/[\w.]+)", "\n".join(blocks(page))):
            assert (ROOT / word).exists(), f"{page.name}: {word}"


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small things of the names that the documents use."""
    folder = tmp_path_factory.mktemp("docs")
    picture = resources.files("understudy") / "assets" / "portrait-realistic.jpg"
    for name in ("me.jpg", "anyone.jpg"):
        (folder / name).write_bytes(picture.read_bytes())
    from understudy import read_picture

    write_picture(folder / "anyone.png", read_picture(folder / "anyone.jpg"))
    driver(folder / "driving.mp4", 10)
    driver(folder / "driver.mp4", 10)
    (folder / "films").mkdir()
    (folder / "more").mkdir()
    write(folder / "films" / "one.mp4", driver_frames(28), fps=25)
    driver(folder / "more" / "interview.mp4", list(islice(astronaut_acting(12), 12)))
    return folder


def test_cheap_commands_are_run(things: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of each page, so that what one makes the next can use."""
    pytest.importorskip("pyarrow")
    pytest.importorskip("torch")
    monkeypatch.chdir(things)
    ran = []
    for page, words in EVERY:
        line = " ".join(words)
        if not line.startswith(RUN) or any(word in line for word in NOT_RUN):
            continue
        if line.startswith("cast"):
            words = _smaller(words)
        if line.startswith("prepare"):
            words = [*words, *([] if "--workers" in words else ["--workers", "1"])]
        if words[0] in ("animate", "motion"):
            words = [*words, "--force"]
        assert main(words) == 0, f"{page.name}: understudy {line}"
        ran.append(words[0])
    assert {"animate", "check", "models", "motion", "prepare", "cast"} <= set(ran)
    assert (things / "shards" / "00000.tar").exists()


def _smaller(words: list[str]) -> list[str]:
    """The same picture of the cast, small and short."""
    for option, value in (("--size", "96"), ("--seconds", "0.1")):
        if option in words:
            words = [*words[: words.index(option) + 1], value, *words[words.index(option) + 2 :]]
    return words


def test_the_arithmetic_is_what_its_program_says() -> None:
    page = (ROOT / "docs" / "scale.md").read_text("utf-8")
    there = re.search(r"bench/scale.py -->\n(.*?)\n<!-- end", page, re.S)
    assert there is not None
    words = [sys.executable, str(ROOT / "bench" / "scale.py")]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    assert there[1].strip() == said.strip()
    other = subprocess.run([*words, "warp_cpu=0.08"], capture_output=True, text=True, check=True).stdout
    assert other != said
    assert subprocess.run([*words, "wrap_cpu=1"], capture_output=True, check=False).returncode != 0


@pytest.mark.slow
def test_the_site_builds_without_warnings(tmp_path: Path) -> None:
    if shutil.which("mkdocs", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}") is None:
        pytest.skip("mkdocs is not installed: pip install 'understudy[docs]'")
    words = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    quiet = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}  # an advertisement
    built = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False, env=quiet)
    assert built.returncode == 0, built.stderr
    pages = (ROOT / "mkdocs.yml").read_text("utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name in pages, f"{page.name} has no place in mkdocs.yml"
    html = "".join(path.read_text("utf-8") for path in (tmp_path / "site").rglob("*.html"))
    assert "fonts.googleapis.com" not in html


def test_the_container_and_the_check_take_the_same_steps() -> None:
    """All install the wheel without dependencies and under the same list."""
    scripts = [ROOT / "runs" / name for name in ("release_check.sh", "bare_debian.sh")]
    for path in (ROOT / "Dockerfile", *scripts):
        said = path.read_text("utf-8")
        assert "--no-deps" in said and "requirements/run.txt" in said and "requirements/torch.txt" in said
    for path in scripts:
        assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
