# shellcheck shell=bash
# What the cases share. Sourced by them, as root on the board.
#
# One camera is plugged in and out, one run of celebcam is watched. `mark` says from where on events and
# messages count, `await` waits for an event and leaves in `took_ms` how long after `since` it happened, by the
# event's own time. Nothing polls by starting programs while something is measured: on an emulated board that
# would take a processor.

known="Jennifer Aniston"
events=/run/celebcam-events
log=/run/celebcam-log
control=/run/camera
failures=0
position=0
since=0
took_ms=0
: >>"$events"
: >>"$log"
run=
feed=
camera=

exec {never}<> <(:)

now_ms() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# Sleeps without starting a program.
pause() { read -r -t "$1" -u "$never" || true; }

say() { echo "-- $*"; }

check() { # WHAT COMMAND...
  local what=$1
  shift
  if "$@"; then
    echo "ok      $what"
  else
    echo "FAILED  $what"
    failures=$((failures + 1))
  fi
}

at_most() { [ "$1" -le "$2" ]; }

is() { [ "$1" = "$2" ]; }

# Ends the case.
finish() {
  [ "$failures" = 0 ] || tail -n 40 "$log" "$events"
  exit "$((failures > 0))"
}

# A line of the table of faults: what, milliseconds to the restored camera, milliseconds to the name.
record() { printf '%s\t%s\t%s\n' "$1" "$2" "$3" >>/host/faults.tsv; }

# The camera.

prepare_camera() {
  modprobe dummy_hcd
  modprobe gadgetfs
  modprobe uvcvideo
  mkdir -p /dev/gadget
  mountpoint -q /dev/gadget || mount -t gadgetfs gadget /dev/gadget
  [ -p "$control" ] || mkfifo "$control"
  install -m 755 /host/bin/usb_camera /run/usb_camera
}

video_nodes() { # one of "video*" where there is none
  local nodes=(/dev/video*)
  nodes_now=${nodes[*]}
}

plug() { # [mjpeg|yuyv [PICTURE]]: also marks; `since` is when the device was there
  local format=${1:-mjpeg} picture=${2:-known}
  local file=/host/pictures/$picture.jpg
  [ "$format" = mjpeg ] || file=/host/pictures/$picture.yuyv
  video_nodes
  before=$nodes_now
  # On a busy host the kernel may lose patience with the camera's answers, which then is no camera.
  for _ in 1 2 3; do
    /run/usb_camera /dev/gadget "$format" 15 "$file" "$control" &
    camera=$!
    mark
    wait_for_node && return
    unplug
  done
  fail_case "the camera does not show up"
}

# `since` is when the node was not there for the last time.
wait_for_node() {
  local end=$((since + 5000)) time=$since
  while video_nodes && [ "$nodes_now" = "$before" ]; do
    since=$time
    pause 0.02
    time=$((${EPOCHREALTIME/[.,]/} / 1000))
    [ "$time" -lt "$end" ] || return 1
  done
}

unplug() {
  kill "$camera"
  wait "$camera" 2>/dev/null
  camera=
}

tell_camera() { echo "$*" >"$control"; }

# celebcam.

# A run whose events and messages are kept. An emulated board takes seconds for a frame, so both its
# processors work on it, and the first frame in which somebody is recognized is a start.
start() { # ARGS...
  : >"$events"
  : >"$log"
  feed_closed
  mark
  celebcam -v run --format json --confirm 1 --threads 2 "$@" >"$events" 2>"$log" &
  run=$!
  follow
}

feed_closed() {
  [ -z "$feed" ] || exec {feed}<&-
  feed=
}

# Reads the events of the run as they come.
follow() {
  exec {feed}< <(exec tail -n +1 -f --pid="$run" "$events")
}

# Events and messages from here on count, and so does time.
mark() {
  [ -z "$feed" ] || while read -r -t 0.01 -u "$feed"; do :; done
  position=$(wc -l <"$events")
  message_position=$(wc -l <"$log")
  since=$(now_ms)
}

new_events() { tail -n "+$((position + 1))" "$events"; }

new_messages() { tail -n "+$((message_position + 1))" "$log"; }

until_true() { # SECONDS COMMAND...
  local end=$(($(now_ms) + $1 * 1000))
  shift
  until "$@"; do
    [ "$(now_ms)" -lt "$end" ] || return 1
    pause 0.1
  done
}

# Waits for an event of a kind, and goes on behind it.
await() { # SECONDS KIND
  local end=$((SECONDS + $1)) kind=$2
  took_ms=$(($1 * 1000))
  last_event=
  while [ "$SECONDS" -lt "$end" ]; do
    read -r -t $((end - SECONDS)) -u "$feed" last_event || return 1
    [[ $last_event == *"\"event\":\"$kind\""* ]] || continue
    local ts=${last_event#*\"ts\":\"}
    took_ms=$(($(date -d "${ts%%\"*}" +%s%3N) - since))
    return 0
  done
  return 1
}

has_message() { new_messages | grep -qE "$1"; }

names_known() { [[ $last_event == *"\"name\":\"$known\""* ]]; }

# The person is named, after a start from nothing.
await_name() { # WHAT
  await 60 start
  check "$1: $known is named" names_known
}

# Recognition goes on within three seconds of `since`, when the camera was there again.
goes_on() { # FAULT
  local restored_ms
  await 20 camera_restored
  restored_ms=$took_ms
  check "$1: camera_restored after $restored_ms ms" at_most "$restored_ms" 3000
  await 20 start
  check "$1: $known is named after $took_ms ms" names_known
  check "$1: recognition goes on within 3 s" at_most "$took_ms" 3000
  record "$1" "$restored_ms" "$took_ms"
}

# SIGTERM ends the run within two seconds.
stop() { # WHAT
  local status asked
  asked=$(now_ms)
  kill -TERM "$run"
  (sleep 20 && kill -KILL "$run") 2>/dev/null &
  local guard=$!
  wait "$run"
  status=$?
  local took=$(($(now_ms) - asked))
  kill "$guard" 2>/dev/null
  check "$1: SIGTERM ends it after $took ms" at_most "$took" 2000
  check "$1: its exit code is 0" is "$status" 0
}

memory_kb() { awk '/^VmRSS:/ { print $2 }' "/proc/$run/status"; }

descriptors() { find "/proc/$run/fd" -mindepth 1 | wc -l; }

threads() { find "/proc/$run/task" -mindepth 1 -maxdepth 1 | wc -l; }

fail_case() {
  echo "FAILED  $*"
  failures=$((failures + 1))
  finish
}
