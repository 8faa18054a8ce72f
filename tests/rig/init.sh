# shellcheck shell=dash # which `sh` is on Debian; it is run as text
# The first process of a rig: makes the private file systems, says "ready", and stays until its standard input ends.
# It runs in mount, network and process id namespaces that `unshare` has just made; when it ends, the kernel ends
# every other process in them and the mounts go with the last of those.
#
# $1 directory of containerd's programs, $2 directory of berth, $3 the images' archive, $4 the name of berth's binary,
# then pairs of a name and the directory that is to be seen by it
set -eu
# What the tests need is mounted where no path of the host is needed: the checkout or the cache may lie under
# a directory that is about to be covered.
stage=$(mktemp -d)
mount -n -t tmpfs -o mode=755 tmpfs "$stage"
mkdir -p "$stage/rig/containerd" "$stage/rig/berth" "$stage/rig/bin" "$stage/rig/tmp" "$stage/rig/nri/plugins" \
    "$stage/rig/nri/conf.d" "$stage/rig/cni" "$stage/lock"
: >"$stage/rig/images.tar"
mount -n --bind "$1" "$stage/rig/containerd"
mount -n --bind "$2" "$stage/rig/berth"
mount -n --bind "$3" "$stage/rig/images.tar"
# berth by the names that make an interposer of it.
mkdir "$stage/rig/names"
for name in berth-runc containerd-shim-berth-runc-v2; do
    ln -s "../berth/$4" "$stage/rig/names/$name"
done
shift 4
while [ $# -gt 0 ]; do
    mkdir "$stage/rig/$1"
    mount -n --bind "$2" "$stage/rig/$1"
    shift 2
done
forget_run # tests/common/forget-run.sh, which comes before this
mount -n --move "$stage" /run
rmdir "$stage"
[ /var/run -ef /run ] || mount -n --rbind /run /var/run
mount -n -t tmpfs -o mode=755 tmpfs /var/lib
# As on a node: what is mounted here is seen in the namespaces that are copied from this one, unless they refuse it.
mount -n --make-rshared /
ip link set lo up
echo ready
# Not `exec`: the shell reaps what is handed down to it, as a node's first process does.
cat >/dev/null
exit 0
