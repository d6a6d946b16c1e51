#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A Debian 12 root with what servers of Quorate have before Quorate comes, made by debootstrap once and kept; prints its path.
# The server's own PostgreSQL cluster is in it, as Debian's package makes it, and MariaDB, masked; nothing is started. usage: root.sh [DIR]
set -eu
cd "$(dirname "$0")/../.."
root=$(realpath -m "${1:-build/roots/server}")
base=systemd,systemd-sysv,libpam-systemd,dbus,adduser,iproute2,procps,openssl,ca-certificates,curl,jq,man-db,bash-completion
further="postgresql-15 mariadb-server galera-4 mariadb-backup socat rsync stunnel4 libuv1 liblmdb0 libnghttp2-14 libyaml-0-2 libjansson4 libprotobuf-c1 libpq5 libmariadb3 libmongoc-1.0-0 python3 python3-apt"
stamp=$(sha256sum "packaging/tests/root.sh" | cut -c1-16)
[ "$(id -u)" -eq 0 ] || { echo "root.sh: needs root" >&2; exit 77; }
inside() { chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"; }
make_root() {
    debootstrap --variant=minbase --include="$base" bookworm "$root" ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"} || return 1
    printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d"
    chmod 755 "$root/usr/sbin/policy-rc.d"
    # shellcheck disable=SC2086
    inside apt-get install -y --no-install-recommends $further || return 1
    rm -rf "$root"/usr/sbin/policy-rc.d "$root"/var/cache/apt/archives/*.deb "$root/var/lib/dbus/machine-id"
    : >"$root/etc/machine-id"
    # nothing of a real machine is to be set up; MariaDB is for an agent alone
    for unit in mariadb.service systemd-timesyncd.service systemd-networkd.service getty@tty1.service console-getty.service apt-daily.timer \
        apt-daily-upgrade.timer systemd-journald-audit.socket systemd-sysctl.service systemd-modules-load.service; do
        ln -sfn /dev/null "$root/etc/systemd/system/$unit"
    done
}
if [ "$(cat "$root.made" 2>/dev/null)" != "$stamp" ]; then
    rm -rf "$root" "$root.made"
    mkdir -p "$(dirname "$root")"
    make_root >"$root.log" 2>&1 || { tail -n 15 "$root.log" >&2; exit 1; }
    echo "$stamp" >"$root.made"
fi
echo "$root"
