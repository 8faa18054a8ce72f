#!/bin/sh
# The first process of a guest with another processor (scripts/test-arm64): runs the tests that it was given, of the released
# berth and of one with the other library, and says how that went.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin BERTH_TEST_LIMIT=90
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
echo "guest: Linux $(uname -rm)"
BERTH_BIN=/released/berth BERTH_LIBC=musl /tests/confined --test-threads=1 &&
    BERTH_LIBC=gnu /tests/confined --test-threads=1 &&
    echo "guest: passed"
echo o >/proc/sysrq-trigger
# The kernel would not be content with an init that ends.
exec sleep 60
