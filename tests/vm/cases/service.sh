# shellcheck shell=bash source=../guest/lib.sh
# The service, as the package sets it up: started at boot, with a camera that is there at boot.
. /host/guest/lib.sh

property() { systemctl show -P "$1" celebcam; }

journal() { journalctl -b -u celebcam --no-pager -o "${1:-cat}"; }

here() { journal | grep -c " is here"; } # people who came so far

came() { [ "$(here)" -gt "$1" ]; }

# From here on the journal's new lines can be awaited.
follow_journal() {
  exec {news}< <(exec journalctl -b -u celebcam -f -n 0 -o short-unix)
  pause 3
}

# Waits for a line, and leaves in `took_ms` how long after `since` it was written.
await_line() { # SECONDS TEXT
  local end=$((SECONDS + $1)) line stamp
  took_ms=$(($1 * 1000))
  while [ "$SECONDS" -lt "$end" ] && read -r -t $((end - SECONDS)) -u "$news" line; do
    [[ $line == *"$2"* ]] || continue
    stamp=${line%% *}
    took_ms=$((${stamp/./} / 1000 - since))
    return 0
  done
  return 1
}

state_is() { [ "$(property ActiveState)/$(property SubState)" = "$1" ]; }

until_true 120 state_is active/running
check "it is active" state_is active/running
until_true 60 came 0
check "the person before the camera is named in the journal" grep -q "$known is here" <(journal)
first_name=$(journal short-monotonic | grep -m 1 "$known is here" | tr -d '[' | awk '{ print int($1 * 1000) }')
started=$(journal short-monotonic | grep -m 1 "Starting" | tr -d '[' | awk '{ print int($1 * 1000) }')
say "first name $first_name ms after the kernel's start, $((first_name - started)) ms after the service's"
check "its status says what it watches: $(property StatusText)" grep -q '^watching /dev/video' <(property StatusText)
pid=$(property MainPID)
check "it runs as a user of its own" grep -q celebcam <(ps -o user:20= -p "$pid")
check "D-Bus is out of its reach" test ! -S "/proc/$pid/root/run/dbus/system_bus_socket"
check "it sees no network but its own" is "$(grep -c : "/proc/$pid/net/dev")" 1
check "no new privileges, filtered calls" is "$(awk '/^(NoNewPrivs|Seccomp):/ { print $2 }' "/proc/$pid/status" | xargs)" "1 2"
exposure=$(systemd-analyze security celebcam --no-pager | sed -n 's/.*exposure level for celebcam.service: \([0-9.]*\).*/\1/p')
check "exposure: $exposure" awk "BEGIN { exit !($exposure <= 2.0) }"
say "memory of the service: $(($(property MemoryCurrent) / 1000)) kB"

say "steady state"
written() { awk '/^write_bytes:/ { print $2 }' "/proc/$pid/io"; }
before=$(written) lines=$(journal | wc -l)
sleep 20
check "nothing is written to disk in 20 s" is "$(written)" "$before"
check "nothing is logged in 20 s" is "$(journal | wc -l)" "$lines"

say "a stranger, then nobody, then the person again"
count=$(here)
tell_camera show /host/pictures/stranger.jpg
sleep 10
check "the stranger is not named" is "$(here)" "$count"
check "the person is gone" grep -q "$known is gone" <(journal)
tell_camera show /host/pictures/known.jpg
until_true 10 came "$count"
check "the person is named again" is "$(here)" "$((count + 1))"
check "nobody else was ever named" is "$(journal | grep ' is here' | grep -vc "$known")" 0

say "somebody is added"
tell_camera show /host/pictures/nobody.jpg
STATE_DIRECTORY=/var/lib/celebcam celebcam enroll "Added Person" /host/pictures/album
systemctl reload celebcam
sleep 3
tell_camera show /host/pictures/stranger.jpg
added() { journal | grep -q "Added Person is here"; }
until_true 20 added
check "whoever was added is named by the running service" added
count=$(here)
tell_camera show /host/pictures/known.jpg
until_true 30 came "$count"

say "status"
kill -USR1 "$pid"
asked() { journal | grep -q 'up 0 d'; }
until_true 5 asked
check "SIGUSR1 logs a line" asked
journal | grep 'up 0 d' | tail -1

say "unplugged and plugged in again"
systemctl stop camera
lost() { grep -q '^looking for' <(property StatusText); }
until_true 10 lost
check "its status says that it looks for the camera: $(property StatusText)" lost
sleep 40
check "the watchdog leaves it alone while it looks" is "$(property NRestarts)" 0
follow_journal
systemctl start camera
until [ -e /dev/video0 ]; do
  since=$(now_ms)
  pause 0.02
done
await_line 20 "$known is here"
check "named again after $took_ms ms" at_most "$took_ms" 3000
record "service: unplugged" "" "$took_ms"
check "a warning in the journal" grep -q 'trying again' <(journalctl -b -u celebcam -p warning --no-pager)

say "a stall that lasts longer than the watchdog's patience"
tell_camera pause
sleep 45
check "the watchdog leaves it alone" is "$(property NRestarts)" 0
tell_camera play
watching() { grep -q '^watching' <(property StatusText); }
until_true 10 watching
check "it watches again" watching

say "the process hangs"
count=$(here)
kill -STOP "$pid"
since=$(now_ms)
restarted() { [ "$(property NRestarts)" -ge 1 ] && state_is active/running; }
until_true 90 restarted
check "the watchdog has started it anew after $(($(now_ms) - since)) ms" restarted
until_true 20 came "$count"
check "and the person is named" came "$count"
record "service: process hangs" "" "$(($(now_ms) - since))"

say "stop"
since=$(now_ms)
systemctl stop celebcam
took_ms=$(($(now_ms) - since))
check "it stops within 2 s: $took_ms ms" at_most "$took_ms" 2000
check "cleanly" is "$(property Result)" success

say "wrong settings"
mkdir -p /etc/celebcam
echo 'camra = "x"' >/etc/celebcam/celebcam.toml
systemctl start celebcam
sleep 6
check "it fails for good" is "$(property ActiveState)/$(property ExecMainStatus)/$(property NRestarts)" failed/78/0
check "the journal names the nearest setting" grep -q 'did you mean camera' <(journal)
finish
