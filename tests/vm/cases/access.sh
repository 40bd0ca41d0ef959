# shellcheck shell=bash source=../guest/lib.sh
# The camera is not there yet, is used by somebody else, or may not be opened.
. /host/guest/lib.sh
prepare_camera
# The emulator translates code when it first runs, for half a second; no board does.
celebcam identify /host/pictures/known.jpg >/dev/null

start
await 10 camera_lost
check "without a camera it says so" has_message 'no camera found'
sleep 2
plug
goes_on "absent at the start"
stop "with a camera that came late"

check "a single look without a camera of that name ends with 69" is "$(celebcam enroll Nobody --from-camera --camera NoSuch >/dev/null 2>&1; echo $?)" 69
start --camera NoSuchCamera
await 10 camera_lost
stop "while it is absent"

say "somebody else streams"
v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=100000 >/dev/null 2>&1 &
other=$!
sleep 2
start
await 10 camera_lost
check "the log says that another program has it" has_message 'another program is using the camera'
sleep 2
mark
kill "$other"
wait "$other" 2>/dev/null
goes_on "busy"
stop "a camera that was busy"

say "a user who is not in the group"
chmod 660 /dev/video0
as_nobody() {
  : >"$events"
  : >"$log"
  feed_closed
  mark
  env -u HOME setpriv --reuid 65534 --regid 65534 --clear-groups \
    celebcam -v run --format json --confirm 1 --threads 2 >"$events" 2>"$log" &
  run=$!
  follow
}
as_nobody
await 10 camera_lost
check "the log names the group" has_message 'group video'
sleep 1
mark
chmod 666 /dev/video0
goes_on "permission denied"
stop "with permission"
chmod 660 /dev/video0
as_nobody
await 10 camera_lost
stop "while permission is denied"

say "by name and by link"
for camera_name in "test camera" /dev/video0 0 /dev/v4l/by-id/*-index0; do
  start --camera "$camera_name"
  await_name "--camera $camera_name"
  stop "--camera $camera_name"
done
celebcam cameras | tee /run/cameras
check "the camera is listed with its format" grep -q 'MJPEG 640x480' /run/cameras
check "with its link" grep -q '/dev/v4l/by-id/' /run/cameras
check "its metadata node is told apart" grep -q 'metadata' /run/cameras
finish
