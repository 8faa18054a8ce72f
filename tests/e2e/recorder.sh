#!/bin/sh
# A delegate that writes down how it was run and becomes the real one: $REAL, in a directory below $RECORDS for each call.
# Of the shell's own descriptors 9 is left out, and those from 10 on. It reads its status itself, because it blocks
# signals while it forks; a child lists its descriptors, because it turns its own round for a command's output.
set -eu
mkdir -p "$RECORDS"
record=$(mktemp -d "$RECORDS/$(date +%s%N)-XXXXXX")
exec 9>"$record/process"
while read -r line; do case $line in SigBlk:* | SigIgn:* | Threads:*) echo "$line" >&9 ;; esac; done </proc/$$/status
readlink /proc/$$/cwd >&9
(
    exec >&9
    for fd in "/proc/$$/fd"/[0-8]; do
        echo "${fd##*/}"
        readlink "$fd"
    done
)
exec 9>&-
cat /proc/$$/cmdline >"$record/cmdline"
cat /proc/$$/environ >"$record/environ"
bundle=. previous=
for word in "$@"; do
    [ "$previous" != --bundle ] || bundle=$word
    previous=$word
done
[ ! -f "$bundle/config.json" ] || cp "$bundle/config.json" "$record/config"
# A shim is told things on its standard input; an OCI runtime's is the container's.
if [ "$STDIN" = read ]; then
    cat >"$record/stdin"
    exec <"$record/stdin"
fi
touch "$record/complete"
exec "$REAL" "$@"
