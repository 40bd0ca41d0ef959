#!/usr/bin/env bash
# Runs the fuzzer on each target for a number of seconds: first on the inputs in fuzz/corpus, then on
# new ones. The address sanitizer watches every access to memory. An input that fails lies in
# target/fuzz/failed afterwards; it belongs into fuzz/corpus/TARGET once it does not fail any more.
# FUZZ_SEED is where the fuzzer's chance begins; 0, the default, is another place each time.
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

mapfile -t wanted < <(printf -- '--bin\n%s\n' "${targets[@]}")
RUSTC_WORKSPACE_WRAPPER=$PWD/tools/repo/fuzz-rustc.sh \
  cargo build --locked --workspace "${wanted[@]}"

mkdir -p target/fuzz/failed
for name in "${targets[@]}"; do
  found=target/fuzz/found/$name
  mkdir -p "$found" "fuzz/corpus/$name"
  echo "== $name: $(find "fuzz/corpus/$name" -type f | wc -l) kept inputs, then $seconds s of new ones"
  "target/debug/$name" "$found" "fuzz/corpus/$name" -max_total_time="$seconds" \
    -seed="${FUZZ_SEED:-0}" \
    -timeout="$input_limit_s" -rss_limit_mb="$memory_limit_mb" -print_final_stats=1 -print_funcs=0 -verbosity=0 \
    -artifact_prefix="target/fuzz/failed/$name-"
done
