# shellcheck shell=bash source=../guest/lib.sh
# The camera is unplugged and plugged in again while it streams, twenty times in a row: under the same
# number and, while somebody still holds the old one, under another.
. /host/guest/lib.sh
# Otherwise the kernel joins pages after some seconds and fills up what nobody has touched, which looks like
# memory that the program takes.
echo never >/sys/kernel/mm/transparent_hugepage/enabled
prepare_camera
plug
start
await_name "start"

for cycle in $(seq 20); do
  fault="unplugged, same number"
  mark
  if [ $((cycle % 2)) = 0 ]; then
    fault="unplugged, other number"
    exec 9<"${nodes_now%% *}"
  fi
  unplug
  await 10 camera_lost
  check "cycle $cycle, $fault: camera_lost after $took_ms ms" at_most "$took_ms" 4000
  await 10 end
  plug
  goes_on "$fault"
  say "cycle $cycle: $nodes_now, $(memory_kb) kB, $(descriptors) descriptors, $(threads) threads"
  exec 9<&-
  if [ "$cycle" = 2 ]; then # both ways were gone once
    first_kb=$(memory_kb) first_descriptors=$(descriptors) first_threads=$(threads)
  fi
done
check "memory grew by $(($(memory_kb) - first_kb)) kB in 18 cycles" at_most "$(($(memory_kb) - first_kb))" 1024
check "as many descriptors as before: $(descriptors)" is "$(descriptors)" "$first_descriptors"
check "as many threads as before: $(threads)" is "$(threads)" "$first_threads"
lost=$(grep -c '"event":"camera_lost"' "$events")
check "an event for each loss: $lost" is "$lost" 20
lines=$(grep -vc DEBUG "$log")
check "fewer lines in the log than losses and returns: $lines" at_most "$lines" 40

kill -USR1 "$run"
until_true 5 has_message 'reopened 20 times' || true
check "the status line counts them" has_message 'reopened 20 times'
unplug
await 10 camera_lost
stop "while it is unplugged"
finish
