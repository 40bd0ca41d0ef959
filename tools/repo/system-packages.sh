#!/usr/bin/env bash
# Installs the Debian packages that a step needs and that are missing, and says what each is for.
# usage: tools/repo/system-packages.sh build|fuzz|lint|python|aarch64|armhf...
set -euo pipefail

missing=()
need() { # PACKAGE PURPOSE
  if ! dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; then
    missing+=("$1")
    echo "needed: $1 ($2)"
  fi
}

foreign() { # ARCHITECTURE: let apt know packages of another architecture
  dpkg --print-foreign-architectures | grep -qx "$1" || architectures+=("$1")
}

architectures=()
for step in "$@"; do
  case $step in
    build)
      command -v dpkg-query >/dev/null || { echo "not a Debian system: install libclang and a C compiler yourself"; exit 0; }
      need gcc "links the binary"
      need libc6-dev "C headers, V4L2's among them"
      need libclang-dev "reads the V4L2 headers"
      ;;
    fuzz)
      need g++ "builds the fuzzer"
      ;;
    lint)
      command -v shellcheck >/dev/null || need shellcheck "finds faults in scripts"
      ;;
    python)
      python3 -c 'import ensurepip, venv' 2>/dev/null || need python3-venv "environment of the trainer"
      ;;
    pip)
      python3 -m pip --version >/dev/null 2>&1 || need python3-pip "fetches the sample photo"
      ;;
    aarch64)
      need gcc-aarch64-linux-gnu "links for aarch64"
      need libc6-dev-arm64-cross "C library for aarch64"
      ;;
    aarch64-rust)
      foreign arm64
      need rustc-web "Rust compiler with a standard library for aarch64"
      need libstd-rust-web-dev:arm64 "Rust standard library for aarch64"
      ;;
    armv7)
      need gcc-arm-linux-gnueabihf "links for armv7"
      need libc6-dev-armhf-cross "C library for armv7"
      ;;
    armv7-rust)
      foreign armhf
      need rustc-web "Rust compiler with a standard library for armv7"
      need libstd-rust-web-dev:armhf "Rust standard library for armv7"
      ;;
    deb)
      need binutils "reads what a binary needs"
      need mandoc "finds faults in man pages"
      need procps "has the kill that the service is reloaded by"
      ;;
    emulator)
      need qemu-user "runs the binary of another processor"
      ;;
    bench-arm)
      need gcc "builds the emulator's plugin that counts instructions"
      need binutils-aarch64-linux-gnu "tells the instructions apart"
      # Cycles are left out without it; older ones, if there are any, know the processors less well.
      ! apt-cache show llvm-22 >/dev/null 2>&1 || need llvm-22 "estimates cycles"
      ;;
    *)
      echo "unknown step: $step" >&2
      exit 2
      ;;
  esac
done
[ ${#missing[@]} -gt 0 ] || exit 0

commands=()
for architecture in "${architectures[@]}"; do
  commands+=("dpkg --add-architecture $architecture")
done
commands+=("apt-get update" "apt-get install -y --no-install-recommends ${missing[*]}")

if [ "$(id -u)" = 0 ]; then
  as_root=()
elif command -v sudo >/dev/null; then
  as_root=(sudo)
else
  echo "run this as root, then try again:" >&2
  printf '  %s\n' "${commands[@]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
for command in "${commands[@]}"; do
  echo "+ $command"
  # shellcheck disable=SC2086 # the command is made of words
  "${as_root[@]}" $command >/dev/null && continue
  # With an index that is out of step, every later `apt-get update` would fail as well.
  for architecture in "${architectures[@]}"; do
    "${as_root[@]}" dpkg --remove-architecture "$architecture" || true
    echo "Debian's packages for $architecture cannot be had now; it is forgotten again, try another day" >&2
  done
  exit 1
done
