# SPDX-License-Identifier: Apache-2.0
# A Galera node as Debian sets it up: what plain.sh runs beside us, and what a cluster looks like before it comes over to us.
plain_config() { # NAME: its my.cnf
    local name address data list=""
    data=$(data_of "$1") address=$(address_of "$1")
    for name in "${DATABASES[@]}"; do list+=${list:+,}$(address_of "$name"); done
    cat <<CNF
[mysqld]
datadir=$data/mysql
socket=$(socket_of "$1")
pid_file=$data/run/mariadbd.pid
bind_address=0.0.0.0
log_error=$data/state/mariadb.log
skip_name_resolve=ON
performance_schema=OFF
innodb_buffer_pool_size=64M
innodb_log_file_size=32M
innodb_flush_log_at_trx_commit=1
innodb_autoinc_lock_mode=2
binlog_format=ROW
wsrep_on=ON
wsrep_provider=/usr/lib/galera/libgalera_smm.so
wsrep_cluster_name=$SQL_CLUSTER
wsrep_cluster_address=gcomm://$list
wsrep_node_name=$1
wsrep_node_address=$address
wsrep_sst_method=${GALERA_SST:-rsync}
wsrep_provider_options="gcache.size=32M${PLAIN_PROVIDER:+;$PLAIN_PROVIDER}"
CNF
}
