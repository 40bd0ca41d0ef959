# shellcheck shell=bash source=../guest/lib.sh
# The camera stays plugged in and gives no frames.
. /host/guest/lib.sh
prepare_camera
plug
start
await_name "start"
usual=$(threads)

mark
tell_camera pause
await 20 camera_lost
check "camera_lost after $took_ms ms" at_most "$took_ms" 7000
check "the log says why" has_message 'gave no picture for 5 seconds'
await 10 end
check "its driver was told to let go" until_true 10 has_message 'reopen|640x480'
mark
tell_camera play
goes_on "stalled"
check "no thread is left waiting: $(threads)" is "$(threads)" "$usual"

say "it stalls and is unplugged, so that two things go wrong at once"
tell_camera pause
await 20 camera_lost
await 10 end
unplug
sleep 1
plug
goes_on "stalled, then unplugged"

mark
tell_camera pause
sleep 1
stop "before the deadline of a stall"
tell_camera play
start
await_name "again"
mark
tell_camera pause
await 20 camera_lost
stop "after the deadline of a stall"
finish
