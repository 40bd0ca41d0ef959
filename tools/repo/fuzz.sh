#!/usr/bin/env bash
# Runs the fuzzer on each target for a number of seconds: first on the inputs in fuzz/corpus, then on
# new ones. The address sanitizer, which comes with the stable compiler behind a switch of its own,
# watches every access to memory. An input that fails lies in target/fuzz/failed afterwards; it belongs
# into fuzz/corpus/TARGET once it does not fail any more.
# usage: tools/repo/fuzz.sh [SECONDS [TARGET...]]
set -euo pipefail
cd "$(dirname "$0")/../.."

seconds=${1:-180}
targets=("${@:2}")
if [ ${#targets[@]} -eq 0 ]; then
  mapfile -t targets < <(sed -n '/^\[\[bin\]\]/,/^$/s/^name = "\(.*\)"/\1/p' fuzz/Cargo.toml)
fi

# Seconds and bytes of memory for one input.
input_limit_s=30
memory_limit_mb=2048

target=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=$PWD/target/fuzz
export RUSTC_BOOTSTRAP=1
export RUSTFLAGS="--cfg fuzzing -Zsanitizer=address -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1"
mapfile -t wanted < <(printf -- '--bin\n%s\n' "${targets[@]}")
cargo build --profile fuzz --locked --package celebcam-fuzz --target "$target" "${wanted[@]}"

mkdir -p target/fuzz/failed
for name in "${targets[@]}"; do
  found=target/fuzz/found/$name
  mkdir -p "$found" "fuzz/corpus/$name"
  echo "== $name: $(find "fuzz/corpus/$name" -type f | wc -l) kept inputs, then $seconds s of new ones"
  "target/fuzz/$target/fuzz/$name" "$found" "fuzz/corpus/$name" -max_total_time="$seconds" \
    -timeout="$input_limit_s" -rss_limit_mb="$memory_limit_mb" -print_final_stats=1 -verbosity=0 \
    -artifact_prefix="target/fuzz/failed/$name-"
done
