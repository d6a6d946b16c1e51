#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Clone method: the newest backup that a Barman host has, sent to this host over ssh, in the agent's file:
#
#   postgresql:
#     clone:
#       barman: /usr/share/quorate/samples/clone/barman.sh barman@backup pg-main postgres@10.0.0.2
#
# The keys of both directions must be in place: the agent's user to Barman's, and back.
set -eu
barman=${1:?usage: barman.sh BARMAN_HOST SERVER THIS_HOST} server=${2:?SERVER} self=${3:?THIS_HOST}
exec ssh -o BatchMode=yes "$barman" "barman recover --standby-mode --get-wal --remote-ssh-command 'ssh -o BatchMode=yes $self' $server latest '$QUORATE_DATA_DIR'"
