#!/usr/bin/env bash
# Makes the board's Debian system with systemd, an ext4 image, out of unpacked packages. No program of the
# board runs here, so what the packages' scripts would have done is done by hand, as far as it matters.
# shellcheck source=host.sh
. "$(dirname "$0")/host.sh"
target=$state/debian
packages=systemd-sysv,udev,dbus,libnss-systemd,kmod,util-linux,mount,coreutils,grep,sed,findutils,gawk,bash,dash
packages+=,base-files,base-passwd,libc-bin,login,passwd,procps,v4l-utils,dpkg,diffutils
packages+=,init-system-helpers,libgcc-s1

rm -rf "$target" "$image"
# shellcheck source=/dev/null # the system's own
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
TMPDIR=$state private_run perl "$(private_run bash -c 'command -v mmdebstrap')" --quiet --mode=root \
  --variant=extract --architectures=arm64 --aptopt='APT::Sandbox::User "root"' --include="$packages" \
  "$suite" "$target" /etc/apt/sources.list.d/debian.sources

# One /usr.
for folder in bin sbin lib; do
  [ ! -L "$target/$folder" ] || continue
  cp -a "$target/$folder/." "$target/usr/$folder/"
  rm -rf "${target:?}/$folder"
  ln -s "usr/$folder" "$target/$folder"
done
rm -rf "$target"/usr/share/{doc,man,locale,info} "$target"/var/cache/apt/* "$target"/var/lib/apt/lists/*
ln -sf gawk "$target/usr/bin/awk"
ln -sfn /run "$target/var/run"
mkdir -p "$target"/{host,run,proc,sys,dev,tmp} "$target/usr/lib/modules"

# Users and names.
cp "$target/usr/share/base-passwd/passwd.master" "$target/etc/passwd"
cp "$target/usr/share/base-passwd/group.master" "$target/etc/group"
: >"$target/etc/shadow"
chmod 640 "$target/etc/shadow"
echo 'messagebus:x:100:101::/nonexistent:/usr/sbin/nologin' >>"$target/etc/passwd"
printf '%s\n' messagebus:x:101: systemd-journal:x:102: render:x:103: input:x:104: kvm:x:105: sgx:x:106: \
  >>"$target/etc/group"
printf '%s\n' 'passwd: files systemd' 'group: files systemd' 'shadow: files' 'hosts: files' \
  >"$target/etc/nsswitch.conf"
echo board >"$target/etc/hostname"
echo '127.0.0.1 localhost board' >"$target/etc/hosts"
echo 0123456789abcdef0123456789abcdef >"$target/etc/machine-id"
: >"$target/etc/fstab"

# A boot without what no case needs.
units=$target/etc/systemd/system
mkdir -p "$units/multi-user.target.wants"
for unit in getty@.service serial-getty@.service getty.target apt-daily.timer apt-daily-upgrade.timer \
  dpkg-db-backup.timer fstrim.timer e2scrub_all.timer proc-sys-fs-binfmt_misc.automount \
  systemd-binfmt.service systemd-pstore.service systemd-timesyncd.service systemd-networkd.service \
  systemd-resolved.service systemd-update-utmp.service systemd-update-utmp-runlevel.service \
  systemd-hwdb-update.service systemd-logind.service dev-hugepages.mount dev-mqueue.mount \
  sys-kernel-debug.mount sys-kernel-tracing.mount sys-fs-fuse-connections.mount sys-kernel-config.mount \
  modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service modprobe@fuse.service \
  kmod-static-nodes.service systemd-random-seed.service systemd-sysusers.service \
  systemd-modules-load.service ldconfig.service systemd-update-done.service; do
  ln -sf /dev/null "$units/$unit"
done
# Of the devices that are there at boot only cameras and USB matter; later ones are all seen.
mkdir -p "$units/systemd-udev-trigger.service.d" "$target/etc/systemd/journald.conf.d"
cat >"$units/systemd-udev-trigger.service.d/board.conf" <<'UNIT'
[Service]
ExecStart=
ExecStart=-udevadm trigger --type=all --action=add --prioritized-subsystem=block --subsystem-match=block --subsystem-match=video4linux --subsystem-match=usb
UNIT
printf '%s\n' '[Journal]' 'Storage=volatile' 'RateLimitIntervalSec=0' >"$target/etc/systemd/journald.conf.d/board.conf"

# The case runs when the system is up.
ln -sf /usr/lib/systemd/system/multi-user.target "$units/default.target"
cat >"$units/case.service" <<'UNIT'
[Unit]
Description=Case of a test
After=basic.target dbus.service systemd-udev-trigger.service

[Service]
ExecStart=/bin/bash /host/guest/run
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
UNIT
ln -sf ../case.service "$units/multi-user.target.wants/"

/sbin/mke2fs -q -t ext4 -O '^has_journal,^metadata_csum' -m 0 -E root_owner=0:0 -d "$target" "$image.new" 400M
rm -rf "$target"
mv "$image.new" "$image"
