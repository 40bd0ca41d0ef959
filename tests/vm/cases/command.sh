# shellcheck shell=bash source=../guest/lib.sh
# A program that gives pictures, as rpicam-vid does for CSI cameras, dies or falls silent.
. /host/guest/lib.sh
cat >/run/program <<'PROGRAM'
#!/bin/bash
# Fifteen pictures a second, for ever.
trap 'exit 0' TERM
while :; do
  cat /run/known.jpg
  sleep 0.066
done
PROGRAM
chmod +x /run/program
cp /host/pictures/known.jpg /run/known.jpg

start --command /run/program
await_name "start"
children() { pgrep -f '^/bin/bash /run/program' | wc -l; }

# The program gets a signal, is lost within so many milliseconds, and is there again.
starts_again() { # WHAT SIGNAL MILLISECONDS
  mark
  pkill "-$2" -f '^/bin/bash /run/program'
  await 30 camera_lost
  check "$1: camera_lost after $took_ms ms" at_most "$took_ms" "$3"
  since=$(now_ms)
  await 10 camera_restored
  check "$1: started again after $took_ms ms" at_most "$took_ms" 3000
  record "program $1" "$took_ms" ""
  check "$1: there is one program: $(children)" is "$(children)" 1
}

starts_again killed KILL 4000
starts_again silent STOP 15000

mark
pkill -STOP -f '^/bin/bash /run/program'
sleep 1
stop "while the program is silent"
check "no program is left: $(children)" is "$(children)" 0

start --command /run/program
await_name "again"
mark
chmod -x /run/program
pkill -KILL -f '^/bin/bash /run/program'
await 10 camera_lost
sleep 2
stop "while the program cannot be started"
finish
