#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs the Debian packages that building and the demo need, and nothing else: no service is started or
# enabled, no default database cluster is made, and what was there before is not touched.
# usage: deps.sh [--tests] [--packages] [--galera] [--browser] [--print]      --tests: also what only tests and benchmarks need; --packages:
# what `make deb` needs; --galera: what the Galera demo needs, and nothing of PostgreSQL; --browser: what web-verify needs
set -eu
build="gcc libc6-dev make pkg-config libuv1-dev liblmdb-dev libssl-dev libcrypt-dev libprotobuf-c-dev protobuf-c-compiler
libnghttp2-dev libjansson-dev libyaml-dev libpq-dev libmariadb-dev libmongoc-dev"
demo="postgresql-15 postgresql-client-15 openssl iproute2 procps psmisc curl jq util-linux"
tests="libcmocka-dev clang clang-format clang-tidy libclang-rt-14-dev afl++ valgrind gcovr strace etcd-client etcd-server
nghttp2-client patroni haproxy pgbouncer pgpool2 python3-idna iputils-ping nftables xfsprogs e2fsprogs"
galera="mariadb-server mariadb-client mariadb-backup galera-4 galera-arbitrator-4 rsync socat stunnel4 haproxy nftables iproute2 procps
curl jq openssl util-linux e2fsprogs"
mongodb="python3-pymongo nodejs node-mongodb prometheus-mongodb-exporter"
debian="debhelper dpkg-dev"
tests="$tests $galera $mongodb $debian prometheus lintian debootstrap man-db systemd zsh fish yamllint ansible-core ansible-lint"
packages="$build $demo" is_print=""
for option; do
    case $option in
    --tests) packages="$packages $tests" ;;
    --galera) packages="$build $galera" ;;
    --browser) packages="$build $demo chromium chromium-driver nodejs $(command -v npm >/dev/null || echo npm)" ;;
    --packages) packages="$packages $debian" ;;
    --print) is_print=yes ;;
    *) echo "usage: deps.sh [--tests] [--packages] [--galera] [--browser] [--print]" >&2 && exit 2 ;;
    esac
done
missing=""
for package in $packages; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
if [ -z "$missing" ]; then exit 0; fi
if [ -n "$is_print" ]; then echo "$missing"; exit 0; fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if sudo -n true 2>/dev/null; then
        as_root="sudo"
    else
        echo "deps: missing:$missing" >&2
        echo "deps: this user may not install them; run $(command -v sudo >/dev/null && echo "this" || echo "this as root"):" >&2
        echo "  $(command -v sudo >/dev/null && echo "sudo ")bash $(cd "$(dirname "$0")" && pwd)/deps.sh $*" >&2
        exit 1
    fi
fi

echo "deps: installing$missing"
# Keep Debian's maintainer scripts from starting anything: policy-rc.d 101 means "not allowed". A file that
# is there already stays as it is.
policy=/usr/sbin/policy-rc.d
made_policy=""
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
    $as_root chmod 755 "$policy"
    made_policy=yes
fi
made_clusterconf=""
conf=/etc/postgresql-common/createcluster.conf
if [ ! -e "$conf" ]; then
    $as_root mkdir -p /etc/postgresql-common
    echo "create_main_cluster = false" | $as_root tee "$conf" >/dev/null
    made_clusterconf=yes
fi
cleanup() {
    [ -n "$made_policy" ] && $as_root rm -f "$policy"
    [ -n "$made_clusterconf" ] && [ -e "$conf" ] && ! dpkg-query -S "$conf" >/dev/null 2>&1 && $as_root rm -f "$conf"
    return 0
}
trap cleanup EXIT
$as_root apt-get update -qq
# shellcheck disable=SC2086
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold $missing >/dev/null

# Units that the packages just installed have enabled; one that was there before keeps its state.
for unit in mariadb-server:mariadb galera-arbitrator-4:garb stunnel4:stunnel4 etcd-server:etcd patroni:patroni postgresql-15:postgresql haproxy:haproxy prometheus:prometheus prometheus-mongodb-exporter:prometheus-mongodb-exporter pgbouncer:pgbouncer pgpool2:pgpool2; do
    case " $missing " in *" ${unit%%:*} "*) ;; *) continue ;; esac
    $as_root deb-systemd-helper disable "${unit#*:}.service" >/dev/null 2>&1 || true
    $as_root deb-systemd-helper update-state "${unit#*:}.service" >/dev/null 2>&1 || true
    $as_root update-rc.d "${unit#*:}" disable >/dev/null 2>&1 || true
done
