# shellcheck shell=bash source=../guest/lib.sh
# The Debian package: installed, upgraded, removed and purged.
. /host/guest/lib.sh
prepare_camera
plug

# The board's system was unpacked and not installed, so dpkg knows of no library.
install_package() { dpkg --force-depends -i /host/celebcam.deb; }

active() { systemctl is-active --quiet celebcam; }

check "it installs" install_package
check "the service is enabled" is "$(systemctl is-enabled celebcam)" enabled
until_true 60 active
check "and runs" active
named() { journalctl -b -u celebcam --no-pager -o cat | grep -q "$known is here"; }
until_true 60 named
check "and names who is before the camera" named
for file in /usr/bin/celebcam /etc/celebcam/celebcam.toml /usr/share/man/man1/celebcam.1.gz \
  /usr/share/bash-completion/completions/celebcam /usr/share/doc/celebcam/copyright; do
  check "$file is there" test -s "$file"
done
check "the settings are for those who may use cameras" is "$(stat -c '%a %G' /etc/celebcam/celebcam.toml)" "640 video"
check "the settings are a configuration file" grep -q '/etc/celebcam/celebcam.toml' <(dpkg-query -W -f '${Conffiles}' celebcam)

say "one more camera"
# A program stands for it, which shows a picture again and again; with the addition for the network.
install -m 644 /host/pictures/known.jpg /etc/celebcam/door.jpg
cp -p /etc/celebcam/celebcam.toml /etc/celebcam/door.toml
cat >>/etc/celebcam/door.toml <<'END'
command = "sh -c 'while cat /etc/celebcam/door.jpg; do sleep 1; done'"
END
install -D -m 644 /usr/share/doc/celebcam/examples/network.conf \
  /etc/systemd/system/celebcam@.service.d/network.conf
systemctl daemon-reload
door_active() { systemctl is-active --quiet celebcam@door; }
door_named() { journalctl -b -u celebcam@door --no-pager -o cat | grep -q "$known is here"; }
check "its service starts" systemctl start celebcam@door
until_true 120 door_named
check "and names who is before it" door_named
check "with the network" is "$(systemctl show -P PrivateNetwork celebcam@door)" no
check "and the first goes on" active

say "what the doctor finds"
celebcam doctor | tee /run/doctor
check "the doctor finds that the service has the camera" grep -q 'systemctl stop celebcam celebcam@door' /run/doctor
systemctl stop celebcam celebcam@door
celebcam doctor
check "the doctor is content when the camera is free" is "$?" 0
systemctl start celebcam celebcam@door

say "upgrade"
echo 'absence = 3' >>/etc/celebcam/celebcam.toml
until_true 60 door_active
first=$(systemctl show -P MainPID celebcam)
first_door=$(systemctl show -P MainPID celebcam@door)
check "it installs again" install_package
until_true 60 active
check "the service was started anew" test "$(systemctl show -P MainPID celebcam)" != "$first"
until_true 60 door_active
check "and that of the other camera" test "$(systemctl show -P MainPID celebcam@door)" != "$first_door"
check "the settings were kept" grep -q 'absence = 3' /etc/celebcam/celebcam.toml

say "removal"
check "it is removed" dpkg --force-depends -r celebcam
check "the service has stopped" is "$(systemctl is-active celebcam)" inactive
check "and that of the other camera" is "$(systemctl is-active celebcam@door)" inactive
check "the settings are kept" test -e /etc/celebcam/celebcam.toml
check "it is purged" dpkg --force-depends -P celebcam
check "the settings are gone" test ! -e /etc/celebcam/celebcam.toml
finish
