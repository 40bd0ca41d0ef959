#!/usr/bin/env bash
# Makes the first file system of the board: busybox, the modules that the cases load, and guest/init.
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"
modules=(virtio_pci virtio_blk ext4 crc32c_generic autofs4 9p 9pnet_virtio uvcvideo dummy_hcd gadgetfs vivid)
version=$(kernel_version)
from=$kernel/lib/modules/$version
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
to=$tree/lib/modules/$version
mkdir -p "$tree"/{bin,dev,proc,sys,new} "$to"

for module in "${modules[@]}"; do
  line=$(grep -E "/${module//[-_]/[-_]}\.ko(\.xz)?:" "$from/modules.dep") || {
    grep -qE "/${module//[-_]/[-_]}\.ko" "$from/modules.builtin" || fail "the kernel has no module $module"
    continue
  }
  for file in ${line/:/}; do # with those that it depends on
    mkdir -p "$to/$(dirname "$file")"
    case $file in
      *.xz) xz -dc "$from/$file" >"$to/${file%.xz}" ;;
      *) cp "$from/$file" "$to/$file" ;;
    esac
  done
done
cp "$from"/modules.{order,builtin,builtin.modinfo} "$to/"
depmod_for "$tree"
cp "$state/busybox/bin/busybox" "$tree/bin/"
install -m 755 "$vm/guest/init" "$tree/init"
(cd "$tree" && find . -print0 | LC_ALL=C sort -z | private_run cpio --quiet -0 -o -H newc -R 0:0 | gzip -1 >"$initramfs")
