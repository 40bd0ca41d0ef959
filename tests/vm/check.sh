#!/usr/bin/env bash
# Runs celebcam, as it was built for boards with a 64-bit system, on an emulated one: a Debian system with
# systemd and a USB camera that the kernel takes for a real one. Every case is a boot of its own.
# usage: tests/vm/check.sh BINARY PACKAGE PHOTO PYTHON [CASE...]
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"
binary=$1 package=$2 photo=$3 python=$4
shift 4
cases=("$@")
if [ ${#cases[@]} = 0 ]; then
  for file in "$vm"/cases/*.sh; do cases+=("$(basename "$file" .sh)"); done
fi

[ "$(id -u)" = 0 ] || fail "making the board's file system needs root"
mkdir -p "$state"
"$vm/fetch.sh"
if [ ! "$image" -nt "$vm/image.sh" ]; then
  echo "making the board's system"
  "$vm/image.sh"
fi
"$vm/initramfs.sh"
host=$state/host
rm -rf "$host"
mkdir -p "$host"/{bin,guest}
aarch64-linux-gnu-gcc -O2 -Wall -Wextra -Werror -static -pthread -o "$host/bin/usb_camera" "$vm/camera/usb_camera.c"
"$python" "$vm/pictures.py" "$photo" "$host/pictures"
cp "$vm"/guest/* "$host/guest/"
cp "$package" "$host/celebcam.deb"

# A case may bring files of its own, which are put into the board's system before it starts.
prepare_overlay() { # CASE
  rm -rf "$host/overlay" "$host"/{status,journal.txt}
  mkdir -p "$host/overlay/usr/bin"
  [ "$1" = package ] || install -m 755 "$binary" "$host/overlay/usr/bin/celebcam"
  if [ "$1" = service ]; then
    local units=$host/overlay/etc/systemd/system
    mkdir -p "$units/multi-user.target.wants"
    cp "$root/packaging/celebcam.service" "$vm/guest/camera.service" "$units/"
    ln -s ../celebcam.service ../camera.service "$units/multi-user.target.wants/"
    # As in guest/lib.sh: a frame takes this board seconds.
    mkdir "$units/celebcam.service.d"
    printf '[Service]\nEnvironment=CELEBCAM_THREADS=2 CELEBCAM_CONFIRM=1\n' >"$units/celebcam.service.d/board.conf"
  fi
}

run_case() { # CASE
  prepare_overlay "$1"
  cp "$vm/cases/$1.sh" "$host/case.sh"
  echo "== $1"
  "$vm/boot.sh" "$host" 900 2>&1 | tee "$state/$1.log" |
    { grep --line-buffered -E '^(ok|FAILED|--|==|the board|tests/vm)' || true; }
}

# gadgetfs, which plays the camera, can crash the kernel when the camera is unplugged at a bad moment. That
# says nothing of celebcam, and nothing else may have failed before.
only_camera_crashed() { # CASE
  grep -q 'ep0_complete.*\[gadgetfs\]' "$state/$1.log" && ! grep -q '^FAILED' "$state/$1.log"
}

failed=()
for case in "${cases[@]}"; do
  [ -e "$vm/cases/$case.sh" ] || fail "there is no case $case; there are: $(cd "$vm/cases" && echo *.sh)"
  tries=0
  until run_case "$case"; do
    tries=$((tries + 1))
    if [ "$tries" = 3 ] || ! only_camera_crashed "$case"; then
      failed+=("$case")
      break
    fi
    echo "the emulated camera crashed the kernel, which is no fault of celebcam's; once more"
  done
  cp "$host/journal.txt" "$state/$case.journal" 2>/dev/null || true
done

if [ -e "$host/faults.tsv" ]; then
  echo
  echo "Faults, milliseconds from the camera's return to camera_restored and to the name:"
  column -t -s $'\t' -N fault,restored,named "$host/faults.tsv"
fi
[ ${#failed[@]} = 0 ] || fail "failed: ${failed[*]}; see $state/CASE.log"
