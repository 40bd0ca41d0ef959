#!/usr/bin/env bash
# Writes packaging/celebcam@.service anew: celebcam.service, once for each of several cameras.
set -euo pipefail
cd "$(dirname "$0")/../../packaging"

{
  echo "# Made of celebcam.service by tools/repo/template-unit.sh."
  sed -e 's/^Description=.*/& (%i)/' \
    -e 's,^ExecStart=.*,ExecStart=/usr/bin/celebcam --config /etc/celebcam/%i.toml run,' \
    -e 's/^DynamicUser=yes$/&\nUser=celebcam/' celebcam.service
} >celebcam@.service
