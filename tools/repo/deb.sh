#!/usr/bin/env bash
# Builds Debian packages into target/debian and checks them. One that cannot be built does not keep the
# others from being built.
# usage: tools/repo/deb.sh [arm64|armhf|amd64]...; all of them by default
set -euo pipefail
cd "$(dirname "$0")/../.."

cargo_deb=3.8.0
tools=$PWD/target/tools
# Man pages and completions, laid out as /usr/share, and notices of libraries. Cargo.toml names them.
manual=build/manual
notices=build/libraries.gz

[ $# -gt 0 ] || set -- arm64 armhf amd64
for architecture in "$@"; do
  case $architecture in
    arm64 | armhf | amd64) ;;
    *)
      echo "unknown architecture $architecture; known: arm64, armhf, amd64" >&2
      exit 2
      ;;
  esac
done

tools/repo/system-packages.sh build deb
if [ "$("$tools/bin/cargo-deb" --version 2>/dev/null)" != "cargo-deb $cargo_deb" ]; then
  CARGO_TARGET_DIR=$tools/target cargo install cargo-deb --version "$cargo_deb" --locked --root "$tools" --force
fi

# Packages of the same source are the same, byte for byte. Compilers are not told the time: with another
# one everything would be compiled anew.
source_date=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || date +%s)}
rm -rf "$manual"
cargo run --locked --example manual -- "$manual" "$source_date"

build() { # ARCHITECTURE: the release binary, for `target` in `folder`
  folder=$PWD/target/boards
  case $1 in
    "$(dpkg --print-architecture)")
      folder=$PWD/target target=$(rustc -vV | sed -n 's/^host: //p') cross=()
      cargo build --release --locked
      return
      ;;
    arm64) target=aarch64-unknown-linux-gnu ;;
    armhf) target=armv7-unknown-linux-gnueabihf ;;
    *)
      echo "$1 can be built on $1 only" >&2
      return 1
      ;;
  esac
  cross=(--target "$target")
  tools/repo/cross.sh "$target" build --release --locked
}

pack() { # makes `package` of the binary, which the release profile has stripped
  python3 tools/repo/notices.py "$target" "$notices" &&
    package=$(CARGO_TARGET_DIR=$folder SOURCE_DATE_EPOCH=$source_date "$tools/bin/cargo-deb" --no-build --no-strip --locked \
      "${cross[@]}" --output target/debian/)
}

packages=() missing=()
for architecture in "$@"; do
  echo "== $architecture"
  if build "$architecture" && pack && tools/repo/check-deb.sh "$package"; then
    packages+=("$package")
  else
    missing+=("$architecture")
  fi
done

echo
for package in "${packages[@]}"; do
  echo "$(du -h --apparent-size "$package" | cut -f 1)  $package"
done
for architecture in "${missing[@]}"; do
  echo "no package for $architecture: see above" >&2
done
[ ${#missing[@]} = 0 ]
