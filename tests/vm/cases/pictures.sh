# shellcheck shell=bash source=../guest/lib.sh
# The camera sends pictures that are broken, or that need care.
. /host/guest/lib.sh
prepare_camera
plug
# Longer than a look and a second without pictures.
start --absence 6
await_name "start"

corrupt() {
  kill -USR1 "$run"
  until_true 5 has_message ' corrupt,' || true
  new_messages | sed -n 's/.* \([0-9]*\) corrupt,.*/\1/p' | tail -1
}

# Breaks the pictures. The driver's buffers still hold the ends of pictures from before, which would make half
# a picture whole again, so broken ones are put there first.
spoil() {
  tell_camera damage flip
  [ "$1" = flip ] || { pause 0.5 && tell_camera damage "$1"; }
}

for damage in flip cut; do
  mark
  spoil "$damage"
  sleep 1
  tell_camera damage none
  sleep 2
  count=$(corrupt)
  check "$damage: corrupt frames are counted: $count" test "${count:-0}" -ge 1
  check "$damage: for a second, the camera is not lost" is "$(new_events | grep -c camera_lost)" 0
  check "$damage: the visit goes on" is "$(new_events | grep -c '"event":"end"')" 0

  mark
  spoil "$damage"
  await 20 camera_lost
  check "$damage for longer than the deadline: camera_lost after $took_ms ms" at_most "$took_ms" 7000
  await 15 end
  mark
  tell_camera damage none
  goes_on "only broken pictures ($damage)"
done

mark
tell_camera show /host/pictures/nobody.jpg
await 20 end
tell_camera damage bare
tell_camera show /host/pictures/known.jpg
mark
await 20 start
check "pictures without Huffman tables: $known is named" names_known
tell_camera damage none

mark
tell_camera damage flip
sleep 1
stop "while pictures are broken"
unplug

say "raw pictures"
plug yuyv
start
await_name "YUYV"
check "YUYV is what it reads" has_message 'YUYV'
mark
tell_camera damage cut
await 20 camera_lost
await 15 end
mark
tell_camera damage none
goes_on "only broken pictures (YUYV cut)"
stop "YUYV"
finish
