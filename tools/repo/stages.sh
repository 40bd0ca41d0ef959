#!/usr/bin/env bash
# Times the stages of a command: `all` runs a command and tells at its end how long each stage took and which
# failed, `one` runs a part of it as a stage. Stages of one name count as one. Without `all` around it, `one`
# runs its command and nothing else. The exit code is that of the command.
# usage: tools/repo/stages.sh all COMMAND...
#        tools/repo/stages.sh one STAGE COMMAND...
set -uo pipefail

usage() {
  sed -n 's/^# \(usage: \|  *\)tools/\1tools/p' "$0" >&2
  exit 2
}

table() { # reads a line a stage: code, seconds, name
  awk -F '\t' -v "total=$SECONDS" '
    !($3 in took) { order[++count] = $3 }
    { took[$3] += $2; if ($1 != 0) failed[$3] = $1 }
    END {
      if (!count) exit
      print "\nstage              seconds"
      for (i = 1; i <= count; i++)
        printf "%-20s %5d%s\n", order[i], took[order[i]], order[i] in failed ? "  failed" : ""
      printf "%-20s %5d\n", "all", total
    }'
}

[ $# -ge 2 ] || usage
case $1 in
  all)
    shift
    STAGES=$(mktemp) || exit
    export STAGES
    trap 'table <"$STAGES"; rm -f "$STAGES"' EXIT
    "$@"
    code=$?
    [ "$code" = 0 ] || grep -qv '^0' "$STAGES" || echo "failed between the stages below" >&2
    exit "$code"
    ;;
  one)
    [ $# -ge 3 ] || usage
    name=$2
    shift 2
    [ -n "${STAGES:-}" ] || exec "$@"
    "$@"
    code=$?
    printf '%s\t%s\t%s\n' "$code" "$SECONDS" "$name" >>"$STAGES"
    exit "$code"
    ;;
  *) usage ;;
esac
