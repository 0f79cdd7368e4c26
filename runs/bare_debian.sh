#!/usr/bin/env bash
# The steps of the Dockerfile on a bare Debian, where there is no container engine: a root of its own, a wheel, a film.
#
#   sudo runs/bare_debian.sh              in a temporary folder, which is removed
#   sudo runs/bare_debian.sh FOLDER       and kept, to look at; a bare root that is there already is used
#   MIRROR=http://deb.debian.org/debian SUITE=bookworm (Python 3.11) are what it takes Debian from
#
# Needs debootstrap (apt install debootstrap), git, and a network; takes 1.5 GB. Keep it and the Dockerfile alike.
set -euo pipefail
cd "$(dirname "$0")/.."

MIRROR="${MIRROR:-http://deb.debian.org/debian}" SUITE="${SUITE:-bookworm}"
[ "$(id -u)" = 0 ] || { echo 'bare_debian.sh makes a root, and so must be run as root' >&2; exit 2; }
command -v debootstrap >/dev/null || { echo 'bare_debian.sh needs debootstrap: apt install debootstrap' >&2; exit 2; }
if [ -z "${BARE_DEBIAN_ALONE:-}" ]; then # what is mounted is seen by nobody else, and gone at the end
    exec env BARE_DEBIAN_ALONE=1 unshare --mount "$0" "$@"
fi
place="${1:-$(mktemp -d)}"
root="$place/root"
step() { printf '\n-- %s\n' "$1"; }
cleared() {
    umount -R "$root/proc" "$root/dev" 2>/dev/null || true
    [ -n "${1:-}" ] || rm -rf --one-file-system "$place"
}
trap 'cleared "${1:-}"' EXIT

step "A bare $SUITE"
if [ ! -x "$root/usr/bin/python3" ]; then
    mkdir -p "$root"
    debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$SUITE" "$root" "$MIRROR"
fi
mount --bind /dev "$root/dev"
mount -t proc proc "$root/proc"
cp --dereference /etc/resolv.conf "$root/etc/resolv.conf"
for certificates in "${PIP_CERT:-}" "${SSL_CERT_FILE:-}"; do # of a network that has its own
    if [ -f "$certificates" ]; then
        mkdir -p "$root$(dirname "$certificates")"
        cp --dereference "$certificates" "$root$certificates"
    fi
done
inside() { chroot "$root" /usr/bin/env HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin PIP_ROOT_USER_ACTION=ignore "$@"; }

step 'The wheel, from what is committed and nothing else'
rm -rf "$root/source" "$root/wheels" "$root/build" "$root/opt/understudy"
mkdir "$root/source"
git archive HEAD | tar -x -C "$root/source"
inside python3 -m venv /build
inside /build/bin/pip wheel --quiet --no-deps --wheel-dir /wheels /source

step 'Alone, under its list' # Debian keeps its own Python to itself, so it has an environment
inside python3 -m venv /opt/understudy
inside sh -c '/opt/understudy/bin/pip install --quiet --no-cache-dir --no-deps -r /source/requirements/run.txt /wheels/*.whl'
if [ "${TORCH:-no}" = yes ]; then
    inside /opt/understudy/bin/pip install --quiet --no-cache-dir -r /source/requirements/torch.txt
fi
rm -rf "$root/source" "$root/wheels" "$root/build"
inside id understudy >/dev/null 2>&1 || inside useradd --create-home understudy

step 'It animates, as nobody in particular'
cat >"$root/opt/understudy/try.sh" <<'SHELL'
set -eu
export PATH=/opt/understudy/bin:/usr/bin:/bin
cd "$(mktemp -d)"
python - <<'PYTHON'
from importlib import resources
from pathlib import Path
assets = resources.files("understudy") / "assets"
Path("portrait.jpg").write_bytes((assets / "portrait-realistic.jpg").read_bytes())
Path("driving.mp4").write_bytes((assets / "driver.mp4").read_bytes())
PYTHON
understudy --version
understudy animate portrait.jpg driving.mp4 --model warp --max-size 256 -o film.mp4 --json >told.json
python - <<'PYTHON'
import json, sys
import understudy
told = json.loads(open("told.json").read().splitlines()[-1])
frames = sum(1 for _ in understudy.read("film.mp4"))
if frames != told["frames"] or frames != sum(1 for _ in understudy.read("driving.mp4")):
    sys.exit(f"{frames} frames, of {told['frames']} that were told")
print(f"{frames} frames; {understudy.__file__}")
PYTHON
SHELL
inside su understudy -s /bin/sh /opt/understudy/try.sh
step 'The bare Debian animates'
