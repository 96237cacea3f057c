#!/usr/bin/env bash
# Makes the virtual environment (first argument, default .venv) and installs lidarpan into it.
# Takes the CUDA set of wheels where an NVIDIA driver answers, else the CPU set.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=${1:-.venv}
torch_version=2.13.0

say() { printf '\033[1m%s\033[0m\n' "$*"; }

# --- Debian packages: the shared libraries that open3d loads, and venv itself ---
packages=()
have_library() { (ldconfig -p 2>/dev/null || /sbin/ldconfig -p) | grep -q "$1"; }
have_library 'libusb-1\.0\.so\.0' || packages+=(libusb-1.0-0)
have_library 'libGL\.so\.1' || packages+=(libgl1)
have_library 'libEGL\.so\.1' || packages+=(libegl1)
have_library 'libgomp\.so\.1' || packages+=(libgomp1)

python=${PYTHON:-}
for candidate in python3.11 python3.12 python3.10 python3; do
    [ -n "$python" ] || ! command -v "$candidate" >/dev/null || python=$candidate
done
[ -n "$python" ] || { echo "error: no python3 found; install Python 3.11" >&2; exit 2; }
"$python" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2])' || {
    echo "error: lidarpan needs Python 3.10 or newer, got $("$python" --version)" >&2; exit 2; }
"$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)

if [ ${#packages[@]} -gt 0 ]; then
    if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else sudo=no; fi
    if [ "$sudo" = no ] || ! command -v apt-get >/dev/null; then
        echo "error: system libraries are missing; run: sudo apt-get install -y ${packages[*]}" >&2
        exit 2
    fi
    say "Installing system libraries: ${packages[*]}"
    $sudo apt-get update -qq
    DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "${packages[@]}" >/dev/null
fi

# --- Python packages ---
[ -x "$venv/bin/python" ] || { say "Creating $venv with $("$python" --version)"; "$python" -m venv "$venv"; }
pip() { "$venv/bin/python" -m pip --disable-pip-version-check "$@"; }
install() { pip install -q --no-compile "$@"; }  # bytecode comes below, on all cores
if [ "${LIDARPAN_CUDA:-}" = 1 ] || nvidia-smi >/dev/null 2>&1; then
    say "NVIDIA driver found: installing torch with CUDA"
    # spconv's wheels are built for CUDA 12, so torch's are taken from the index of the same CUDA;
    # where it cannot be reached, pip falls back to the build that PyPI has of this version.
    install --retries 0 --extra-index-url https://download.pytorch.org/whl/cu126 "torch==$torch_version"
else
    say "No NVIDIA driver: installing torch for the CPU"
    # The CPU index serves small wheels; where it cannot be reached, pip falls back to what it has.
    install --retries 0 --extra-index-url https://download.pytorch.org/whl/cpu "torch==$torch_version"
fi
say "Installing lidarpan and its dependencies"
install -e '.[curves,dev,explain,las,nuscenes,onnx,open3d,ray,recordings,spconv,tensorboard,train]' ray==2.55.1
install --no-deps --use-pep517 semantic-kitti-api==0.1 # the official evaluator, for the parity tests only

packages_of='import sysconfig; print(sysconfig.get_path("purelib"))'
"$venv/bin/python" -m compileall -qq -j 0 "$("$venv/bin/python" -c "$packages_of")" || true

# --- Compile the kernels once, so that no command has to; the demo needs those of the simulator,
# the scores and the pictures ---
say "Compiling the kernels (once, one to two minutes)"
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$venv/bin/lidarpan" doctor --compile >/dev/null
"$venv/bin/lidarpan" demo --out "$scratch" >/dev/null
touch "$venv/.installed"
say "Ready: $venv/bin/lidarpan --help"
