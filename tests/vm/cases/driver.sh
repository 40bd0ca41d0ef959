# shellcheck shell=bash source=../guest/lib.sh
# The driver refuses or fails calls: vivid, the kernel's own virtual driver, injects errors.
. /host/guest/lib.sh
modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x0
node=/dev/video0
set_control() { v4l2-ctl -d "$node" -c "$1"; }

frames() { # that were worked on so far
  kill -USR1 "$run"
  until_true 5 has_message ' frames,' || true
  new_messages | sed -n 's/.*, \([0-9]*\) frames,.*/\1/p' | tail -1
}

flows() { # WHAT: frames come
  local before after
  mark
  before=$(frames)
  sleep 2
  mark
  after=$(frames)
  check "$1: frames flow ($before, $after)" test "${after:-0}" -gt "${before:-0}"
}

start
sleep 3
flows "start"
for error in inject_vidioc_qbuf_error inject_fatal_streaming_error disconnect; do
  mark
  set_control "$error=1"
  await 10 camera_lost
  check "$error: camera_lost after $took_ms ms" at_most "$took_ms" 3000
  await 10 camera_restored
  check "$error: camera_restored after $took_ms ms" at_most "$took_ms" 3000
  record "driver: $error" "$took_ms" ""
  flows "$error"
done
mark
set_control inject_v4l2_buf_flag_error=1
sleep 1
flows "a buffer with the flag of an error"

mark
set_control percentage_of_dropped_buffers=100
await 20 camera_lost
check "all buffers dropped: camera_lost after $took_ms ms" at_most "$took_ms" 7000
mark
set_control percentage_of_dropped_buffers=0
await 20 camera_restored
check "buffers come again: camera_restored after $took_ms ms" at_most "$took_ms" 3000
record "driver: all buffers dropped" "$took_ms" ""
stop "after errors of the driver"

for error in inject_vidioc_reqbufs_error inject_vidioc_streamon_error; do
  set_control "$error=1"
  start
  await 10 camera_restored
  check "$error at the start: frames after $took_ms ms" at_most "$took_ms" 8000
  stop "$error"
done

say "the driver is taken away and comes back"
start
sleep 3
mark
echo vivid.0 >/sys/bus/platform/drivers/vivid/unbind
await 10 camera_lost
sleep 2
mark
echo vivid.0 >/sys/bus/platform/drivers/vivid/bind
await 10 camera_restored
check "driver is back: camera_restored after $took_ms ms" at_most "$took_ms" 3000
record "driver: unbound and bound" "$took_ms" ""
stop "after the driver came back"
finish
