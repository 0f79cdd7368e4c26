#!/usr/bin/env bash
# Before a release: build the wheel, install it alone in an empty environment, and animate. The steps of the Dockerfile.
#
#   runs/release_check.sh              with requirements/run.txt, as `make` and the Dockerfile install
#   runs/release_check.sh --plain      with constraints.txt, as plain pip installs (2 GB)
#   runs/release_check.sh --torch      and PyTorch, for a film by diffusion
#   PYTHON=python3.12 runs/release_check.sh
set -euo pipefail
cd "$(dirname "$0")/.."

PYTHON="${PYTHON:-python3}"
plain=no torch=no
for word in "$@"; do
    case "$word" in
        --plain) plain=yes ;;
        --torch) torch=yes ;;
        *) echo "release_check.sh knows --plain and --torch, not $word" >&2; exit 2 ;;
    esac
done
place="$(mktemp -d)"
trap 'rm -rf "$place"' EXIT
step() { printf '\n-- %s\n' "$1"; }

step 'The wheel, from what is committed and nothing else'
mkdir "$place/source"
git archive HEAD | tar -x -C "$place/source"
"$PYTHON" -m venv "$place/empty"
bin="$place/empty/bin"
pip=("$bin/python" -m pip --disable-pip-version-check --quiet)
"${pip[@]}" wheel --no-deps --wheel-dir "$place/dist" "$place/source"
wheel="$(ls "$place"/dist/understudy-*.whl)"
"$bin/python" - "$wheel" <<'PYTHON'
import sys, zipfile
names = zipfile.ZipFile(sys.argv[1]).namelist()
strange = [name for name in names if not name.startswith(("understudy/", "understudy-"))]
missing = [name for name in ("understudy/pretrained/autoencoder-small.safetensors", "understudy/assets/driver.mp4",
                             "understudy/py.typed") if name not in names]
if strange or missing:
    sys.exit(f"the wheel holds {strange[:5]} and lacks {missing}")
print(f"{len(names)} files, {sum(i.file_size for i in zipfile.ZipFile(sys.argv[1]).infolist()) / 1e6:.1f} MB")
PYTHON

step 'Alone, in an empty environment'
if [ "$plain" = yes ]; then
    "${pip[@]}" install -c constraints.txt "$wheel"
    "${pip[@]}" check
else
    "${pip[@]}" install --no-deps -r requirements/run.txt "$wheel"
fi
if [ "$torch" = yes ]; then "${pip[@]}" install -r requirements/torch.txt; fi

step 'It animates'
mkdir "$place/work"
cd "$place/work" # not the checkout: what is imported is what was installed
export PYTHONSAFEPATH=1
unset PYTHONPATH
"$bin/python" - <<'PYTHON'
from importlib import resources
from pathlib import Path
assets = resources.files("understudy") / "assets"
Path("portrait.jpg").write_bytes((assets / "portrait-realistic.jpg").read_bytes())
Path("driving.mp4").write_bytes((assets / "driver.mp4").read_bytes())
PYTHON
"$bin/understudy" --version
"$bin/understudy" models
"$bin/understudy" check portrait.jpg
"$bin/understudy" animate portrait.jpg driving.mp4 --model warp --max-size 256 -o film.mp4 --json > told.json
if [ "$torch" = yes ]; then
    "$bin/understudy" cast portrait --who 1000107 --size 256 -o cast.png
    "$bin/understudy" cast film --who 1000109 --how 3 --seconds 0.4 --size 256 -o part.mp4
    "$bin/understudy" animate cast.png part.mp4 --steps 1 -o diffused.mp4
fi
"$bin/python" - <<'PYTHON'
import json, sys
import understudy
from understudy.clip import read_metadata
told = json.loads(open("told.json").read().splitlines()[-1])
film, driver = understudy.read("film.mp4"), understudy.read("driving.mp4")
frames = [frame.mean() for frame in film]
words = " ".join(read_metadata("film.mp4").values())
if len(frames) != sum(1 for _ in driver) or len(frames) != told["frames"]:
    sys.exit(f"{len(frames)} frames, of {told['frames']} that were told")
if "warp" not in words:
    sys.exit("the film does not say what it was made with")
print(f"{len(frames)} frames, {told['frames_per_second']:.1f} a second; {understudy.__file__}")
PYTHON
step 'The release check passed'
