#!/usr/bin/env bash
# Boots the board with a folder that it sees as /host, and ends with the status that the case left there.
# The console goes to standard output. The image stays as it is.
# usage: tests/vm/boot.sh FOLDER [SECONDS]
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"
folder=$1 limit_s=${2:-600}
rm -f "$folder/status"
version=$(kernel_version)
# Of the processors of a Raspberry Pi, that of the 5 takes the least time to emulate.
machine=(-M "virt,gic-version=3" -cpu "${EMULATED_CPU:-cortex-a76}" -accel "tcg,thread=multi,tb-size=512" -smp 2 -m 1024
  -nodefaults -no-user-config -display none -monitor none -serial stdio -no-reboot)
devices=(-fsdev "local,id=host,path=$folder,security_model=none" -device "virtio-9p-pci,fsdev=host,mount_tag=host"
  -drive "file=$image,format=raw,if=none,id=disk,snapshot=on" -device "virtio-blk-pci,drive=disk")
started=$SECONDS
private_run timeout -k 5 "$limit_s" qemu-system-aarch64 "${machine[@]}" "${devices[@]}" \
  -kernel "$kernel/boot/vmlinuz-$version" -initrd "$initramfs" \
  -append "console=ttyAMA0 panic=-1 oops=panic quiet loglevel=4 rdinit=/init systemd.show_status=0" </dev/null 2>&1 |
  stdbuf -oL tr -d '\r' || fail "the board was still busy after $limit_s seconds, or did not start"
echo "the board was on for $((SECONDS - started)) s"
[ -e "$folder/status" ] || fail "the board went off before the case had ended"
exit "$(cat "$folder/status")"
