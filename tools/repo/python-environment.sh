#!/usr/bin/env bash
# Makes a Python environment with exactly the packages of a requirements file.
# Without a GPU the packages that only a GPU needs are left out: 4 of 5.5 GB. GPU=1 takes them
# nevertheless, GPU=0 leaves them out nevertheless.
# usage: tools/repo/python-environment.sh [FOLDER [REQUIREMENTS]]; .venv for the trainer by default
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-.venv}
requirements=${2:-tools/requirements.txt}

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "the tools need Python 3.11 or later; this is $(python3 --version)" >&2
  exit 1
}

has_gpu() {
  [ -e /dev/nvidiactl ] || [ -e /dev/nvidia0 ] || [ -e /dev/dxg ]
}

can_leave_out() { # whether PyTorch is among the packages and its stand-ins can be made
  grep -q '^torch==' "$requirements" && [ "$(uname -s)" = Linux ] \
    && command -v gcc >/dev/null && command -v readelf >/dev/null
}

without_gpu() { # the requirements that a machine without a GPU needs
  # PyTorch asks the CUDA runtime and its profiler whether there is a GPU.
  awk '/^[a-z0-9]/ { skip = /^(cuda-|nvidia-|triton==)/ && !/^nvidia-cuda-(runtime|cupti)==/ } !skip' "$1"
}

packages() { # REQUIREMENTS: put exactly these into the environment
  VIRTUAL_ENV=$environment "$environment/bin/uv" pip sync --quiet tools/repo/uv.txt "$1" --require-hashes
}

rm -rf "$folder"
python3 -m venv "$folder"
environment=$(cd "$folder" && pwd)
echo "*" >"$folder/.gitignore"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/repo/uv.txt
if [ "${GPU:-}" = 1 ] || { [ "${GPU:-}" != 0 ] && has_gpu; } || ! can_leave_out; then
  packages "$requirements"
else
  without_gpu "$requirements" >"$environment/requirements.txt"
  packages "$environment/requirements.txt"
  if ! { python3 tools/repo/gpu_stand_ins.py "$environment" \
    && "$folder/bin/python" -c 'import torch; assert not torch.cuda.is_available()'; }; then
    echo "PyTorch does not load without the packages for GPUs; they are installed too" >&2
    GPU=1 exec "$PWD/tools/repo/python-environment.sh" "$folder" "$requirements"
  fi
fi
touch "$folder"
