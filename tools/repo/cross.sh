#!/usr/bin/env bash
# Runs a cargo command for a board. `build` goes through `cross` where it and Docker are there, else
# through the system's cross compiler. `test` runs on an emulated processor, EMULATED_CPU, and always
# here: the tests start the binary themselves and read pictures that no container sees.
# usage: tools/repo/cross.sh TARGET build|test [CARGO OPTIONS]
set -euo pipefail
cd "$(dirname "$0")/../.."

target=${1:?usage: tools/repo/cross.sh TARGET build|test [CARGO OPTIONS]}
command=${2:?usage: tools/repo/cross.sh TARGET build|test [CARGO OPTIONS]}
shift 2
case $target in
  aarch64-unknown-linux-gnu)
    board=aarch64 debian=arm64 triplet=aarch64-linux-gnu loader=ld-linux-aarch64.so.1 cpu=cortex-a72
    ;;
  armv7-unknown-linux-gnueabihf)
    board=armv7 debian=armhf triplet=arm-linux-gnueabihf loader=ld-linux-armhf.so.3 cpu=cortex-a7
    ;;
  *)
    echo "unknown target $target; known: aarch64-unknown-linux-gnu, armv7-unknown-linux-gnueabihf" >&2
    exit 2
    ;;
esac
# Apart from the native build, whose compiler may be another.
export CARGO_TARGET_DIR=$PWD/target/boards

if [ "$command" = build ] && command -v cross >/dev/null && docker info >/dev/null 2>&1; then
  CROSS_CONFIG=cross.toml exec cross build --target "$target" "$@"
fi

# A compiler with a standard library for the board: cargo's own, or Debian's.
has_library() { [ -d "$("$1" --print target-libdir --target "$target" 2>/dev/null)" ]; }
if ! has_library "$(command -v rustc)"; then
  if command -v rustup >/dev/null && rustup target add "$target" 2>/dev/null; then
    :
  else
    tools/repo/system-packages.sh "$board-rust"
    export RUSTC=/usr/bin/rustc
    has_library "$RUSTC" || { echo "no Rust standard library for $target ($debian) to be had" >&2; exit 1; }
  fi
fi
tools/repo/system-packages.sh build "$board"
name=${target//-/_}
export "CARGO_TARGET_${name^^}_LINKER=$triplet-gcc"
export "BINDGEN_EXTRA_CLANG_ARGS_$name=-I/usr/$triplet/include"

if [ "$command" = test ]; then
  tools/repo/system-packages.sh emulator
  # Loader and C library have to come from one package, or threads and child processes hang. Debian's
  # libc6 of the board's architecture, where it is installed, lies where every loader looks for the
  # library first, so then its loader is taken too; else both are the cross compiler's.
  sysroot=/usr/$triplet
  [ ! -e "/lib/$loader" ] || sysroot=/
  runner="qemu-${board/armv7/arm} -cpu ${EMULATED_CPU:-$cpu} -L $sysroot"
  export "CARGO_TARGET_${name^^}_RUNNER=$runner"
  # The tests start the binary themselves.
  export CELEBCAM_RUNNER=$runner
fi
exec cargo "$command" --target "$target" "$@"
