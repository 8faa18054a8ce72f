# shellcheck shell=dash # which `sh` is on Debian; it is run as text
# Takes the mounts at and below /run out of the mount namespace that this runs in, which is private. A machine has some once
# `ip netns add` was run on it: a tmpfs over /run would cover them, and mountinfo would go on listing them.
forget_run() {
    while last=$(awk '$5 ~ "^/run(/|$)" { last = $5 } END { print last }' /proc/self/mountinfo) && [ -n "$last" ]; do
        umount -n --lazy "$last" || return
    done
}
