#!/usr/bin/env bash
# Tries the inputs of $CELEBCAM_DATA/cases on which celebcam failed once, and prints a line for each:
# pass, fail with the reason, or skip. A case is a function here: case_attack_NAME for attack/NAME, with
# _ for -. It runs in an empty folder, with the case's own folder in $case, and ends at the first `is`,
# `holds`, `lacks` or `exits` that does not hold.
# usage: tests/cases.sh [-b BINARY] [CASE...]
set -uo pipefail
started_in=$PWD
cd "$(dirname "$0")/.." || exit

binary=target/release/celebcam
[ -x "$binary" ] || binary=target/debug/celebcam
if [ "${1:-}" = -b ]; then
  binary=$started_in/${2:?usage: tests/cases.sh [-b BINARY] [CASE...]}
  [ "${2:0:1}" = / ] && binary=$2
  shift 2
fi
binary=$(realpath -e "$binary") || exit
cases=$(realpath -e "${CELEBCAM_DATA:-../shared}/cases") || exit
for variable in "${!CELEBCAM_@}"; do unset "$variable"; done
export CELEBCAM_CONFIG=/dev/null

# Somebody whom the built-in model knows, and photos of somebody whom it does not.
known=$cases/bugs/01-closeup-identify-enroll/jen.jpg
stranger=$cases/bugs/04-jfif-heic-ignored/jfif

wrong() { echo "$*" >&2 && exit 1; }
skip() { echo "$*" >&2 && exit 77; }
is() { [ "$2" = "$3" ] || wrong "$1 is $3, not $2"; } # WHAT EXPECTED ACTUAL
holds() { grep -qaF -- "$2" "$1" || wrong "$1 does not say '$2'"; } # FILE WORDS
lacks() { ! grep -qaF -- "$2" "$1" || wrong "$1 says '$2'"; } # FILE WORDS
celebcam() { timeout 60 "$binary" "$@"; }
exits() { # CODE ARGUMENT...: standard output goes to `out`, standard error to `log`
  local code=0
  celebcam "${@:2}" >out 2>log </dev/null || code=$?
  is "exit code of celebcam ${*:2}" "$1" "$code"
}
visit() { exits 0 run --confirm 1 --absence 1 --pictures "$known" "$known" "$known" "$known" "$@"; }
mode() { stat -c %a "$@" | paste -sd ' '; }

# No byte that steers a terminal, and no more lines than there should be.
plain() { # FILE LINES
  ! LC_ALL=C grep -qaP '[\x00-\x08\x0b-\x1f\x7f]' "$1" || wrong "$1 steers the terminal"
  ! LC_ALL=C.UTF-8 grep -qaP '[\x{80}-\x{9f}\x{202a}-\x{202e}\x{2066}-\x{2069}]' "$1" || wrong "$1 hides something"
  is "number of lines in $1" "$2" "$(wc -l <"$1")"
}

case_attack_terminal_escape() {
  exits 78 model "$case/kind_esc.onnx" && plain log 1
  exits 78 model "$case/id_dup_esc.onnx" && plain log 1
  exits 78 model "$case/idnul.onnx" && plain log 1
  exits 0 people --gallery "$case/gallery_model_esc" && plain out 1 && plain log 2
  exits 78 identify "$case/face.jpg" --gallery "$case/gallery_model_esc" && plain log 1
  mkdir photos
  cp "$case/face.jpg" $'photos/\e]0;pwned\a.jpg'
  cp "$case/face.jpg" $'photos/a\nb.jpg: Somebody 100 %.jpg'
  cp "$case/face.jpg" $'photos/\u202egpj.exe\u009b.jpg'
  exits 0 identify photos && plain out 3 && plain log 1
  exits 0 identify photos --format json && plain out 3
  echo 'no picture' >$'photos/\e[2J.jpg'
  exits 66 identify photos && plain log 2
  exits 2 $'--\e]0;x\a' && plain log 5
}

case_attack_secret_in_events() {
  {
    timeout 6 "$binary" -v run --format json --command "cat '$known' -u user:s3cret http://cam/stream"
    timeout 6 "$binary" run --command "sh -c 'cat $known; sleep 2' -u user:s3cret --password=s3cret"
    celebcam doctor --command "sh -c 'echo \$1 >&2; exit 3' -u user:s3cret"
    celebcam config --on-event "true -H 'Authorization: Bearer s3cret'"
    CELEBCAM_COMMAND="open 'quote -u user:s3cret" celebcam run
  } >out 2>log
  lacks out s3cret && lacks log s3cret && holds out 'http://cam/stream'
}

case_attack_snapshot_world_readable() {
  umask 022
  visit --snapshot new/s
  is "modes" "700 700 600" "$(mode new new/s new/s/*)"
  exits 0 identify "$known" --annotate copies/of
  is "modes" "700 700 600" "$(mode copies copies/of copies/of/*)"
  exits 0 crop "$known" --out crops
  is "modes" "700 600" "$(mode crops crops/*)"
}

case_attack_snapshot_probe_race() {
  mkdir snaps
  echo precious >victim
  ln -s "$PWD/victim" snaps/0000-00-00T00-00-00.000Z_0_probe.jpg.part
  celebcam run --stdin --recording --snapshot snaps <"$case/empty.mjpeg" >/dev/null 2>&1
  visit --snapshot snaps
  is "the victim" precious "$(cat victim)"
  if command -v strace >/dev/null; then
    timeout 60 strace -f -o calls "$binary" -q run --confirm 1 --pictures "$known" "$known" --snapshot snaps >/dev/null
    ! grep -E 'openat.*O_CREAT' calls | grep -v O_EXCL | grep snaps || wrong "a file is made without O_EXCL"
  fi
}

case_attack_lock_symlink() {
  ln -s "$PWD/made" .g.lock
  exits 1 enroll Ann "$stranger"/1.jfif --gallery g --force
  holds log "remove it"
  [ ! -e made ] || wrong "the link was followed"
  rm .g.lock
  mkfifo pipe
  exits 78 identify "$known" --gallery pipe
  exits 78 identify "$known" --config pipe
  exits 0 enroll Ann "$stranger"/1.jfif --gallery g --force
  flock .g.lock sleep 4 &
  sleep 0.5
  exits 0 people rename Ann Bob --gallery g
  holds log "waiting for another process"
}

case_attack_annotate_overwrites_originals() {
  mkdir p a b copies
  cp "$case/face.jpg" p/ && cp "$case/face.jpg" a/x.jpg && cp "$case/face.jpg" b/x.jpg
  ln -s p link
  for folder in p ./p link p/../p; do
    exits 2 identify p --annotate "$folder" && exits 2 identify p/face.jpg --annotate "$folder"
  done
  cp "$case/face.jpg" p/face.jpg.png
  exits 2 crop p --out p
  exits 2 identify a b --annotate copies && exits 2 crop a b --out copies
  is "the folder" "" "$(ls copies)"
  mkdir elsewhere d d/sub && cp "$case/face.jpg" d/sub/ && ln -s "$PWD/elsewhere" copies/sub
  exits 1 identify d --annotate copies
  is "what the link leads to" "" "$(ls elsewhere)"
  for file in p/face.jpg a/x.jpg b/x.jpg; do cmp "$file" "$case/face.jpg" || wrong "$file changed"; done
}

case_attack_hook_escapes() {
  pgrep -f '^escapee' | sort >before
  visit --on-event "$case/fork.sh" --on-event-timeout 2
  is "what is left" "" "$(pgrep -f '^escapee' | sort | comm -13 before -)"
}

case_attack_println_fault() {
  exits 0 enroll "Ann B" "$stranger"/1.jfif --gallery g --force
  local code=0
  celebcam people rename "Ann B" Cid --gallery g >/dev/full 2>log || code=$?
  is "exit code" 1 "$code"
  lacks log "fault of celebcam" && holds log "standard output"
  celebcam people --gallery g >out 2>log && holds out Cid
  celebcam people remove Cid --gallery g 2>log | true
  is "exit code without a reader" 0 "${PIPESTATUS[0]}"
}

case_attack_last_events_false_alarm() {
  (for _ in 1 2 3 4 5 6; do cat "$known" && sleep 0.3; done; sleep 20) |
    "$binary" run --stdin --confirm 1 --on-event "$case/ignore.sh" --on-event-timeout 2 >out 2>log &
  local run=$!
  for _ in $(seq 100); do [ -s out ] && break; sleep 0.1; done
  kill "$run" && wait "$run"
  holds out "is here" && holds out "is gone"
  lacks log "are lost"
}

# Pictures of the year 2026 in a folder, and a run whose clock stands at 1970.
clock_of_1970() {
  local library
  library=$(find / -name 'libfaketimeMT.so.1' -print -quit 2>/dev/null)
  [ -n "$library" ] || skip "no libfaketime"
  mkdir s
  for day in 1 2 3 4 5; do head -c 19000 /dev/zero >"s/2026-11-2${day}T10-00-00.000Z_1_tom-hanks.jpg"; done
  for second in 12 40 70; do
    LD_PRELOAD=$library FAKETIME="@1970-01-01 00:00:$second" FAKETIME_DONT_FAKE_MONOTONIC=1 \
      timeout 60 "$binary" -q run --confirm 1 --pictures "$known" "$known" --snapshot s --snapshot-limit 300K >out
  done
  is "pictures of the last runs" 3 "$(find s -name '1970-*' | wc -l)"
}
case_attack_snapshot_clock_1970() { clock_of_1970; }
case_bugs_12_clock_1970_snapshots() { clock_of_1970; }

case_bugs_03_snapshot_full_or_readonly_at_start() {
  { [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null; } || skip "not root"
  mkdir disk
  export -f visit exits is wrong celebcam
  export binary known
  # shellcheck disable=SC2016 # the inner shell knows what was exported
  unshare -m bash -c 'mount -t tmpfs -o size=1m tmpfs disk && mkdir disk/faces
    head -c 2000000 /dev/zero >disk/fill 2>/dev/null
    visit --snapshot disk/faces; cp log full.log; ls -A disk/faces >left
    visit --snapshot disk/new
    rm disk/fill; mount -o remount,ro disk
    visit --snapshot disk/faces; cp log read-only.log
    celebcam doctor --pictures "$known" --snapshot disk/faces >doctor; true' || exit 1
  is "what is left" "" "$(cat left)"
  is "times the cause is told" 1 "$(grep -o 'No space left' full.log | wc -l)"
  holds read-only.log "Read-only file system"
  is "times the advice is told" 1 "$(grep -o 'Name another place' doctor | wc -l)"
}

case_bugs_07_password_in_events() {
  timeout 6 "$binary" run --format json --command \
    "sh -c 'cat $known; sleep 3' -i rtsp://admin:S3cret@10.0.0.5/stream1 -f mjpeg -" >out 2>log
  lacks out S3cret && lacks log S3cret && holds log 'rtsp://***@10.0.0.5'
}

case_bugs_08_nonlatin_names() {
  export CELEBCAM_GALLERY=$PWD/g
  local name id
  for name in 李娜:李娜 Иван:иван Ρένα:ρένα محمد:محمد हिन्दी:हिन-दी; do
    id=${name#*:} name=${name%:*}
    exits 0 enroll "$name" "$stranger"/*.jfif --skip --largest
    exits 0 run --pictures "$stranger"/{1,1,1,1}.jfif --snapshot s
    compgen -G "s/*_1_$id.jpg" >/dev/null || wrong "no file name says $name: $(ls s)"
    holds log "$name cannot be drawn"
    exits 0 people remove "$name"
  done
}

case_bugs_13_small_things() {
  export CELEBCAM_GALLERY=$PWD/g
  exits 0 enroll "José" "$stranger"/1.jfif --force
  exits 1 enroll "$(printf 'Jose\u0301')" "$stranger"/2.jfif --force
  exits 1 enroll "$(printf 'Jos\u200b\u202e\u00e9')" "$stranger"/2.jfif --force
  echo 'snapshot = "~/faces"' >c.toml
  exits 78 config --config c.toml && holds log "~ stands for itself"
  CELEBCAM_MAXFPS=3 exits 0 config && holds log "did you mean CELEBCAM_MAX_FPS?"
}

# Seconds and megabytes at most that the program takes: `within 2 100 66 identify x.png`, and its exit
# code, or `0|66` for one of two.
within() { # SECONDS MEGABYTES CODE ARGUMENT...
  local code=0
  command -v /usr/bin/time >/dev/null || skip "needs the package time"
  timeout 60 /usr/bin/time -o used -f '%e %M' "$binary" "${@:4}" >out 2>log </dev/null || code=$?
  [[ "|$3|" == *"|$code|"* ]] || wrong "exit code of celebcam ${*:4} is $code, not $3"
  read -r seconds kilobytes < <(tail -1 used)
  awk "BEGIN { exit !($seconds <= $1 && $kilobytes <= $2 * 1000) }" ||
    wrong "celebcam ${*:4} takes $seconds s and $((kilobytes / 1000)) MB"
}

case_attack_model_oob_write() {
  within 1 64 78 model "$case/pad60.onnx"
  within 1 64 78 identify "$case/face.jpg" --model "$case/pad60.onnx"
}

case_attack_model_huge_alloc() {
  for model in arena_1T arena_8G cos_30; do within 1 64 78 model "$case/$model.onnx"; done
  within 1 64 78 model "$case/one_pad.onnx"
  within 1 64 78 identify "$known" --model /dev/zero
  within 1 64 78 --config /dev/zero run
}

case_attack_png_palette_panic() {
  exits 66 identify "$case/plte4.png" && holds log "is broken"
  mkdir f
  cp "$known" f/a.jpg && cp "$known" f/c.jpg && cp "$case/plte4.png" f/b.png
  exits 66 identify f && holds out "f/a.jpg" && holds out "f/c.jpg"
  exits 66 crop f --out o && is "crops" 2 "$(find o -name '*.png' | wc -l)"
  exits 0 run --pictures f
}

case_attack_mjpeg_quadratic() {
  cp "$case"/* . && python3 make.py >quad.mjpeg
  # There is no whole picture in it.
  within 2 200 1 run --recording --command "cat quad.mjpeg"
}

case_attack_command_thread_leak() {
  cp "$case"/* .
  "$binary" run --command ./keep.sh >out 2>log &
  local run=$!
  sleep 30
  local threads descriptors keepers
  threads=$(find "/proc/$run/task" -mindepth 1 -maxdepth 1 | wc -l)
  descriptors=$(find "/proc/$run/fd" -mindepth 1 | wc -l)
  keepers=$(pgrep -fc '^keeper 500$')
  kill "$run" && wait "$run"
  { [ "$threads" -le 8 ] && [ "$descriptors" -le 15 ] && [ "$keepers" -le 1 ]; } ||
    wrong "after 30 s a run has $threads threads, $descriptors descriptors and $keepers processes"
  is "processes afterwards" 0 "$(pgrep -fc '^keeper 500$')"
}

case_attack_silent_truncated_photo() {
  exits 66 identify "$case/cut20.jpg" && holds log "cut off"
  exits 66 identify "$case/base_8000x8000.jpg"
}

case_attack_memory_of_pictures() {
  for picture in "$case"/*.png; do
    cp "$picture" again.png
    within 60 300 '0|66' identify "$picture" again.png --threads 2
  done
}

case_bugs_01_closeup_identify_enroll() {
  exits 0 identify "$case/jen.jpg" && holds out "Jennifer Aniston" && is "faces" 1 "$(wc -l <out)"
  exits 0 enroll X "$case"/maria*.jpg
}

case_bugs_02_motion_photo_trailer() { exits 0 identify "$case/MP_bad.jpg" "$case/MP_good.jpg"; }

case_bugs_04_jfif_heic_ignored() {
  exits 0 identify "$case/jfif" && exits 0 enroll A "$case/jfif"
  exits 0 identify "$case/phone" && holds log "5 HEIC files"
}

case_bugs_05_no_eoi() {
  exits 0 identify "$case/photo.jpg"
  timeout 60 "$binary" -v run --stdin --recording <"$case/ten-frames.mjpeg" >out 2>log || wrong "it ends with $?"
  holds log "10 frames, 0 dropped, 0 corrupt"
}

case_bugs_06_camera_url_waits_forever() {
  exits 2 run --camera ftp://10.0.0.5/stream1
  PATH=/nowhere /usr/bin/timeout 60 "$binary" run --camera rtsp://10.0.0.5/stream1 >out 2>log
  is "exit code without ffmpeg" 78 $? && holds log ffmpeg
}

case_bugs_09_command_not_there_at_start() {
  printf '#!/bin/sh\n[ -e net_up ] || { echo "Network is unreachable" >&2; exit 1; }\ncat "%s"; sleep 30\n' "$known" >flaky.sh
  chmod +x flaky.sh
  (sleep 3 && touch net_up) &
  timeout 20 "$binary" run --format json --command ./flaky.sh >out 2>log
  holds out camera_lost && holds out camera_restored
}

# The same visits from a film that is read at once and from one that is read slowly.
case_bugs_10_film_visits_depend_on_speed() {
  python3 - <<'END'
import struct, zlib
row = b"\0" + bytes([120, 120, 120]) * 400
chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 400, 400, 8, 2, 0, 0, 0))
open("grey.png", "wb").write(png + chunk(b"IDAT", zlib.compress(row * 400)) + chunk(b"IEND", b""))
END
  exits 0 identify grey.png --annotate empty
  mkdir film
  local frame
  for frame in $(seq 10 34); do ln empty/grey.png.jpg "film/$frame.jpg"; done
  for frame in 07 08 09 35 36 37; do cp "$known" "film/$frame.jpg"; done
  exits 0 run --recording --fps 10 --command "sh -c 'cat film/*.jpg'" && mv out fast
  exits 0 run --recording --fps 10 --command "sh -c 'for f in film/*.jpg; do cat \$f; sleep 0.1; done'"
  is "the visits" "$(cat fast)" "$(cat out)"
  is "lines" 4 "$(wc -l <fast)"
}

case_bugs_11_upside_down() {
  exits 0 identify "$case/rot180.jpg" --rotate 180 && holds out "Jennifer Aniston"
}

failed=0
for function in $(compgen -A function case_); do
  path=${function#case_}
  group=${path%%_*} name=${path#*_}
  name=${name//_/-}
  [ $# = 0 ] || [[ " $* " = *" $group/$name "* ]] || continue
  work=$(mktemp -d)
  (cd "$work" && case=$cases/$group/$name && export CELEBCAM_GALLERY=$work/nobody && "$function") \
    >"$work.out" 2>"$work.log"
  case $? in
    0) echo "pass  $group/$name" ;;
    77) echo "skip  $group/$name: $(tail -1 "$work.log")" ;;
    *) echo "fail  $group/$name: $(tail -1 "$work.log")" && failed=1 ;;
  esac
  rm -rf "$work" "$work.out" "$work.log"
done
# Every case has its function, and every name that was given.
names=("$@")
[ $# != 0 ] || mapfile -t names < <(cd "$cases" && printf '%s\n' */*/ | sed 's,/$,,')
for name in "${names[@]}"; do
  declare -F "case_${name//[\/-]/_}" >/dev/null || { echo "fail  $name: no function tries it"; failed=1; }
done
exit $failed
