#!/usr/bin/env bash
# Runs shellcheck on every script of the repository: on files that end in .sh, and on those whose first line
# names a shell, as `#!` or as `# shellcheck shell=`. Its settings are in .shellcheckrc.
# usage: tools/repo/check-scripts.sh
set -euo pipefail
cd "$(dirname "$0")/../.."

names_shell='^(#!.*[ /](ba|da)?sh|# shellcheck shell=)'
scripts=()
while IFS= read -r -d '' file; do
  first=
  [[ $file = *.sh ]] || read -r first <"$file" || true
  if [[ $file = *.sh || $first =~ $names_shell ]]; then scripts+=("$file"); fi
done < <(find . \( -name .git -o -name build -o -name target -o -name '.venv*' \) -prune -o -type f -print0)
shellcheck "${scripts[@]}"
echo "${#scripts[@]} scripts have no faults"
