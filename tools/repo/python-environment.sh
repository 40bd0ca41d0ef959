#!/usr/bin/env bash
# Makes .venv with the trainer's packages, exactly those of tools/requirements.txt.
set -euo pipefail
cd "$(dirname "$0")/../.."

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "the trainer needs Python 3.11 or later; this is $(python3 --version)" >&2
  exit 1
}
rm -rf .venv
python3 -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r tools/repo/uv.txt
VIRTUAL_ENV=$PWD/.venv .venv/bin/uv pip sync --quiet tools/repo/uv.txt tools/requirements.txt --require-hashes
touch .venv
