#!/usr/bin/env bash
# Stands between cargo and the compiler for the crates of this repository: compiles them for the fuzzer,
# which is told what code an input reaches, and with the address sanitizer, which comes with the stable
# compiler behind a switch of its own and watches every access to memory. Libraries stay as they are, so
# that they need not be built once more.
# usage: RUSTC_WORKSPACE_WRAPPER=tools/repo/fuzz-rustc.sh cargo build ...
set -euo pipefail

# A build script runs by itself.
if [[ " $* " == *" --crate-name build_script_"* || " $* " != *" --crate-name "* ]]; then
  exec "$@"
fi
export RUSTC_BOOTSTRAP=1
exec "$@" --cfg fuzzing -Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer -Cpasses=sancov-module \
  -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
  -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares
