# shellcheck shell=bash disable=SC2034 # what is unused here is used by them
# What the scripts of the emulated board share. Sourced by them.
set -euo pipefail
vm=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$vm/../.." && pwd)

# Everything that is fetched or made; may be removed at any time.
state=${CELEBCAM_VM:-$root/build/vm}
private=$state/tools        # programs for this machine that are not installed
kernel=$state/kernel
image=$state/debian.ext4
initramfs=$state/initramfs.gz

# Runs a program out of $private with its libraries.
private_run() { # PROGRAM ARGS...
  local triplet
  triplet=$(uname -m)-linux-gnu
  LD_LIBRARY_PATH=$private/usr/lib/$triplet:$private/lib/$triplet PATH=$private/usr/bin:$private/bin:$PATH "$@"
}

depmod_for() { # ROOT: makes the index of the kernel modules under ROOT
  # shellcheck disable=SC2016 # for the inner shell
  private_run bash -c 'exec -a depmod "$(command -v kmod)" -b "$0" "$1"' "$1" "$(kernel_version)"
}

kernel_version() { basename "$kernel"/lib/modules/*; }

fail() {
  echo "tests/vm: $*" >&2
  exit 1
}
