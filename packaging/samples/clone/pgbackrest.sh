#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Clone method: the newest backup of a pgBackRest stanza, in the agent's file:
#
#   postgresql:
#     clone:
#       pgbackrest: /usr/share/quorate/samples/clone/pgbackrest.sh main
#
# pgBackRest writes restore_command for what the source no longer has. Tablespaces: add --tablespace-map-all=DIR here.
set -eu
stanza=${1:?usage: pgbackrest.sh STANZA}
exec pgbackrest --stanza="$stanza" --pg1-path="$QUORATE_DATA_DIR" --type=standby --log-level-console=warn restore
