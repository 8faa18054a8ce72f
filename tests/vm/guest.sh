#!/bin/busybox sh
# The first process of the guest. `sandbox`, `address`, `gateway` and `linger` are on the kernel's command line, which
# makes variables of them. It serves pages on the pod's address and takes orders on the second serial port, one on each
# line: run ID WORDS, kill ID SIGNAL, stop.
# shellcheck shell=dash disable=SC2154 # what the kernel makes of its command line
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
modprobe -a virtio_pci virtio_net

ip link set lo up
ip address add "$address" dev eth0
ip link set eth0 up
ip route add default via "$gateway"
echo "guest of $sandbox on Linux $(uname -r)" >/www/index.html
httpd -h /www

# A container is a process here; which ones there are can be seen from outside.
run() {
    echo "$1" >"/www/containers/$1"
    eval "exec $2" &
    echo $! >"/run/$1"
}

stty -F /dev/ttyS1 raw -echo
exec 3<>/dev/ttyS1
echo "vmlike: the guest is ready after $(cut -d ' ' -f 1 /proc/uptime) s"
while read -r order id words <&3; do
    case $order in
        run) run "$id" "$words" ;;
        # It may have ended by itself.
        kill) kill "-$words" "$(cat "/run/$id")"; rm "/www/containers/$id" ;;
        stop) (sleep "$linger"; reboot -f) & ;;
    esac
    echo ok >&3
done
