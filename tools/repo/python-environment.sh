#!/usr/bin/env bash
# Makes a Python environment with exactly the packages of a requirements file.
# usage: tools/repo/python-environment.sh [FOLDER [REQUIREMENTS]]; .venv for the trainer by default
set -euo pipefail
cd "$(dirname "$0")/../.."
folder=${1:-.venv}
requirements=${2:-tools/requirements.txt}

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "the tools need Python 3.11 or later; this is $(python3 --version)" >&2
  exit 1
}
rm -rf "$folder"
python3 -m venv "$folder"
echo "*" >"$folder/.gitignore"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/repo/uv.txt
VIRTUAL_ENV=$PWD/$folder "$folder/bin/uv" pip sync --quiet tools/repo/uv.txt "$requirements" --require-hashes
touch "$folder"
