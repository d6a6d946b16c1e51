#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Process 1 of a machine's namespaces, until systemd takes its place. usage: machine_init.sh ROOT NAME
set -eu
root=$1 name=$2
hostname "$name"
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
for place in /proc/sys /proc/sysrq-trigger; do # the kernel is everybody's
    mount --bind "$root$place" "$root$place" && mount -o remount,ro,bind "$root$place"
done
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/run"
mount -t tmpfs -o mode=755,nosuid tmpfs "$root/dev"
for node in null zero full random urandom tty; do
    touch "$root/dev/$node" && mount --bind "/dev/$node" "$root/dev/$node"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts "$root/dev/pts"
mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
ln -s pts/ptmx "$root/dev/ptmx"
ln -s /proc/self/fd "$root/dev/fd"
ln -s /proc/self/fd/0 "$root/dev/stdin"
ln -s /proc/self/fd/1 "$root/dev/stdout"
ln -s /proc/self/fd/2 "$root/dev/stderr"
ip link set lo up
cd "$root"
mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=quorate PATH=/usr/sbin:/usr/bin:/sbin:/bin setpriv --bounding-set=-sys_time,-sys_module /sbin/init --log-target=console --log-level=notice --show-status=no \
    systemd.unit=multi-user.target
