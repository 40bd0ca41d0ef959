#!/usr/bin/env bash
# Unpacks Debian packages and checks that they hold what an installation needs, and nothing else.
# usage: tools/repo/check-deb.sh PACKAGE...
set -euo pipefail
cd "$(dirname "$0")/../.."

: "${1:?usage: tools/repo/check-deb.sh PACKAGE...}"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)-1
unpacked=$(mktemp -d)
trap 'rm -rf "$unpacked"' EXIT

wrong() { # MESSAGE
  echo "$package: $1" >&2
  faults=$((faults + 1))
}

is() { # WHAT EXPECTED ACTUAL
  [ "$2" = "$3" ] || wrong "$1: expected
$2
and found
$3"
}

holds() { # SCRIPT LINE
  grep -qF -- "$2" "$control/$1" || wrong "$1 does not say: $2"
}

field() { dpkg-deb --field "$package" "$1"; }

check_control() {
  is Package celebcam "$(field Package)"
  is Version "$version" "$(field Version)"
  is "name of the file" "celebcam_${version}_$(field Architecture).deb" "$(basename "$package")"
  for name in Maintainer Section Priority Installed-Size Depends Description; do
    [ -n "$(field $name)" ] || wrong "no $name"
  done
  is conffiles /etc/celebcam/celebcam.toml "$(cat "$control/conffiles")"
}

check_scripts() {
  holds postinst "chgrp video /etc/celebcam/celebcam.toml"
  holds postinst "deb-systemd-helper enable celebcam.service"
  # A first installation starts the service, an upgrade starts it anew.
  holds postinst "_dh_action=start"
  holds postinst "_dh_action=restart"
  holds prerm "deb-systemd-invoke stop celebcam.service"
  holds prerm "systemctl stop 'celebcam@*.service'"
  holds postinst "systemctl try-restart 'celebcam@*.service'"
  holds postrm "deb-systemd-helper purge celebcam.service"
  holds postrm "rm -rf /var/lib/celebcam"
  for script in postinst prerm postrm; do
    [ "$(stat -c %a "$control/$script")" = 755 ] || wrong "$script cannot be run"
    sh -n "$control/$script" || wrong "$script is not a shell script"
    ! grep -q '#[A-Z]*#' "$control/$script" || wrong "$script holds a mark that should be replaced"
  done
}

# Names of the pages that a page tells of, its own among them.
pages_named() { zcat "$@" | sed 's/\\f.//g; s/\\-/-/g' | grep -oE 'celebcam(-[a-z-]+)?\(1\)' | sort -u; }

check_files() {
  local pages expected
  pages=$(pages_named "$root"/usr/share/man/man1/*.gz | sed 's,\(.*\)(1),/usr/share/man/man1/\1.1.gz,')
  expected=$(
    cat <<LIST
/etc/celebcam/celebcam.toml
/usr/bin/celebcam
/usr/lib/systemd/system/celebcam.service
/usr/lib/systemd/system/celebcam@.service
/usr/share/bash-completion/completions/celebcam
/usr/share/celebcam/celebrities135.onnx
/usr/share/doc/celebcam/changelog.Debian.gz
/usr/share/doc/celebcam/changelog.gz
/usr/share/doc/celebcam/copyright
/usr/share/doc/celebcam/examples/csi.conf
/usr/share/doc/celebcam/examples/network.conf
/usr/share/doc/celebcam/libraries.gz
/usr/share/fish/vendor_completions.d/celebcam.fish
$pages
/usr/share/zsh/vendor-completions/_celebcam
LIST
  )
  is files "$(sort <<<"$expected")" "$(cd "$root" && find . ! -type d -printf '/%P\n' | sort)"
  is "owners and modes" "" "$(
    dpkg-deb --fsys-tarfile "$package" | tar -tv --numeric-owner | grep -vE \
      -e '^-rw-r----- 0/0 .* \./etc/celebcam/celebcam.toml$' \
      -e '^drwxr-xr-x 0/0 .*/$' -e '^-rw-r--r-- 0/0 .*[^/]$' -e '^-rwxr-xr-x 0/0 .* \./usr/bin/celebcam$'
  )"
  for unit in celebcam.service celebcam@.service; do
    cmp "packaging/$unit" "$root/usr/lib/systemd/system/$unit" || wrong "$unit is another"
  done
  cmp packaging/celebcam.toml "$root/etc/celebcam/celebcam.toml" || wrong "the settings are others"
}

check_binary() {
  local binary=$root/usr/bin/celebcam machine needed newest promised
  case $(field Architecture) in
    amd64) machine="ELF64 Advanced Micro Devices X86-64" ;;
    arm64) machine="ELF64 AArch64" ;;
    armhf) machine="ELF32 ARM" ;;
  esac
  is machine "$machine" "$(readelf -h "$binary" | sed -n 's/^ *\(Class\|Machine\): *//p' | paste -sd ' ')"
  # What the packages libc6 and libgcc-s1 hold.
  needed=$(readelf -dW "$binary" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p')
  is "other libraries" "" "$(grep -vE '^(libc|libm|libgcc_s|ld-linux.*)\.so\.[0-9]$' <<<"$needed" || true)"
  newest=$(readelf -VW "$binary" | sed -n 's/.*Name: GLIBC_\([0-9.]*\)  Flags: none.*/\1/p' | sort -V | tail -1)
  promised=$(field Depends | sed -n 's/.*libc6 (>= \([0-9.]*\)).*/\1/p')
  dpkg --compare-versions "$newest" le "$promised" ||
    wrong "the binary needs libc6 $newest, the package asks for $promised: build it on an older system, or \
raise the number in Cargo.toml"
}

check_documents() {
  local doc=$root/usr/share/doc/celebcam share=$root/usr/share
  is "newest changelog entry" "celebcam ($version) stable; urgency=medium" \
    "$(zcat "$doc/changelog.Debian.gz" | head -1)"
  zcat "$doc/changelog.gz" | cmp - CHANGELOG.md || wrong "the changelog is another"
  grep -q '^Format: .*/copyright-format/1.0/$' "$doc/copyright" || wrong "the copyright is not for machines"
  for page in "$share"/man/man1/*.gz; do
    zcat "$page" | mandoc -T lint -W warning || wrong "$(basename "$page") has faults"
  done
  bash -n "$share/bash-completion/completions/celebcam" || wrong "bash cannot read its completions"
  if command -v zsh >/dev/null; then
    zsh -n "$share/zsh/vendor-completions/_celebcam" || wrong "zsh cannot read its completions"
  fi
  if command -v fish >/dev/null; then
    fish -n "$share/fish/vendor_completions.d/celebcam.fish" || wrong "fish cannot read its completions"
  fi
}

check_service() {
  command -v systemd-analyze >/dev/null || return 0
  local unit said
  # Its program is not installed here.
  for unit in celebcam.service celebcam@.service; do
    sed "s,/usr/bin/celebcam,/bin/true," "$root/usr/lib/systemd/system/$unit" >"$unpacked/$unit"
  done
  for unit in celebcam.service celebcam@door.service; do
    said=$(systemd-analyze verify --man=no "$unpacked/$unit" 2>&1) || said=${said:-it is refused}
    # Before 254 it knows nothing of restarts that grow rare.
    said=$(grep -vE "Unknown key( name)? '?Restart(Steps|MaxDelaySec)" <<<"$said" || true)
    is "what systemd says of $unit" "" "$said"
  done
}

faults=0
for package in "$@"; do
  root=$unpacked/root control=$unpacked/control
  rm -rf "$root" "$control"
  dpkg-deb --extract "$package" "$root"
  dpkg-deb --control "$package" "$control"
  before=$faults
  check_control
  check_scripts
  check_files
  check_binary
  check_documents
  check_service
  [ "$faults" != "$before" ] || echo "$package: checked"
done
[ "$faults" = 0 ]
