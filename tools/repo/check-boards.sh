#!/usr/bin/env bash
# Runs the tests of the aarch64 build on emulated boards: all of them on the first CPU, on the others
# those that run the kernels, which each CPU chooses by its instructions.
# usage: tools/repo/check-boards.sh CPU...
set -euo pipefail
cd "$(dirname "$0")/../.."

# Longest time for the tests of one CPU. A test that hangs under emulation has to end some time.
limit_s=1800

tests=(tools/repo/cross.sh aarch64-unknown-linux-gnu test --profile boards --locked --no-fail-fast)
suites=(--lib --bins --tests)
# Kernels that must have run, so that an emulator that hides an instruction is noticed.
kernels_of() {
  case $1 in
    cortex-a53 | cortex-a72) echo neon ;;
    *) echo neon,neon_dotprod ;;
  esac
}
tools/repo/stages.sh one "boards: build" "${tests[@]}" "${suites[@]}" --no-run
for cpu in "$@"; do
  echo "== $cpu: tests ${suites[*]}"
  started=$SECONDS
  CELEBCAM_EXPECT_ISA=$(kernels_of "$cpu") EMULATED_CPU=$cpu tools/repo/stages.sh one "boards: $cpu" timeout "$limit_s" "${tests[@]}" "${suites[@]}" || {
    echo "== $cpu: failed after $((SECONDS - started)) s" >&2
    exit 1
  }
  echo "== $cpu: passed in $((SECONDS - started)) s"
  suites=(--lib --test model --test golden)
done
