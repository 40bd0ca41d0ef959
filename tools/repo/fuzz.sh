#!/usr/bin/env bash
# Runs the fuzzer on the kernels for a number of seconds. The address sanitizer, which comes with the
# stable compiler behind a switch of its own, watches every access to memory.
# usage: tools/repo/fuzz.sh [SECONDS]
set -euo pipefail
cd "$(dirname "$0")/../.."

target=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=$PWD/target/fuzz
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
mkdir -p target/fuzz/corpus
cargo build --profile fuzz --locked --package celebcam-fuzz --target "$target"
"target/fuzz/$target/fuzz/kernels" target/fuzz/corpus -max_total_time="${1:-180}" -timeout=20 \
  -artifact_prefix=target/fuzz/
