#!/usr/bin/env bash
# Fetches what the emulated board needs from Debian: the emulator and tools for this machine, a kernel and
# busybox for the board. Nothing is installed: an emulator of the system's own could be in the way of
# other packages.
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
if ! apt-cache show linux-image-arm64:arm64 >/dev/null 2>&1; then
  "${as_root[@]}" dpkg --add-architecture arm64
  "${as_root[@]}" apt-get -qq update
fi

unpack() { # INTO PACKAGE...
  local into=$1 debs
  debs=$state/packages/$(basename "$1")
  shift
  mkdir -p "$into" "$debs"
  (cd "$debs" && apt-get -qq -o APT::Sandbox::User=root download "$@")
  for deb in "$debs"/*.deb; do dpkg -x "$deb" "$into"; done
  rm -r "$debs"
  touch "$into/.complete"
}

if [ ! -e "$private/.complete" ]; then
  echo "fetching the emulator"
  # What an installation would bring along.
  needed=$(apt-get install -s --no-install-recommends qemu-system-arm cpio kmod mmdebstrap |
    awk '/^Inst/ { print $2 }' | sort -u)
  # shellcheck disable=SC2086 # one word a package
  unpack "$private" $needed
fi
if [ ! -e "$kernel/.complete" ]; then
  echo "fetching the kernel"
  package=$(apt-cache depends --no-recommends linux-image-arm64:arm64 | awk '/Depends:/ { print $2; exit }')
  unpack "$kernel" "${package%%:*}:arm64"
  [ -e "$kernel/lib" ] || ln -s usr/lib "$kernel/lib"
  depmod_for "$kernel"
fi
[ -e "$state/busybox/.complete" ] || unpack "$state/busybox" busybox-static:arm64
