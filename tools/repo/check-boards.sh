#!/usr/bin/env bash
# Builds for aarch64 and runs the binary on emulated boards: both models are loaded and checked,
# and bad input is refused with the right exit code.
# usage: tools/repo/check-boards.sh CPU...
set -euo pipefail
cd "$(dirname "$0")/../.."

tools/repo/cross.sh aarch64-unknown-linux-gnu build --profile boards --locked
binary=target/boards/aarch64-unknown-linux-gnu/boards/celebcam
for cpu in "$@"; do
  emulated=(timeout 120 qemu-aarch64 -cpu "$cpu" -L /usr/aarch64-linux-gnu "$binary")
  "${emulated[@]}" model | grep -q "Jennifer Aniston"
  for model in celebrities detector; do
    "${emulated[@]}" model "models/$model.onnx" >/dev/null
  done
  code=0
  "${emulated[@]}" model Cargo.toml 2>/dev/null || code=$?
  [ "$code" = 78 ] || { echo "a file that is no model gave exit code $code, not 78" >&2; exit 1; }
  echo "$cpu: models load, a wrong one is refused"
done
