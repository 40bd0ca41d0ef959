# A program that gives pictures, as rpicam-vid does for CSI cameras, dies or falls silent.
. /host/guest/lib.sh
cat >/run/program <<'PROGRAM'
#!/bin/bash
# Fifteen pictures a second, for ever.
trap 'exit 0' TERM
while :; do
  cat /host/pictures/known.jpg
  sleep 0.066
done
PROGRAM
chmod +x /run/program
cp /host/pictures/known.jpg /run/known.jpg
sed -i 's|/host/pictures|/run|' /run/program

start --command /run/program
await_name "start"
children() { pgrep -f '^/bin/bash /run/program' | wc -l; }

mark
pkill -KILL -f '^/bin/bash /run/program'
await 10 camera_lost
check "killed: camera_lost after $took_ms ms" at_most "$took_ms" 4000
since=$(now_ms)
await 10 camera_restored
check "killed: started again after $took_ms ms" at_most "$took_ms" 3000
record "program killed" "$took_ms" ""
check "there is one program: $(children)" is "$(children)" 1

say "it falls silent"
mark
pkill -STOP -f '^/bin/bash /run/program'
await 30 camera_lost
check "silent: camera_lost after $took_ms ms" at_most "$took_ms" 15000
since=$(now_ms)
await 10 camera_restored
check "silent: started again after $took_ms ms" at_most "$took_ms" 3000
record "program silent" "$took_ms" ""
check "the silent one was ended: $(children)" is "$(children)" 1

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
