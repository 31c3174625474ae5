#!/usr/bin/env bash
# Restore a backup and replay an archive with plain commands: WAY=raw as fast as we know how, WAY=habit as it is
# usually done. Prints the seconds of each step; leaves the server running. Called by benchmarks/restore.py.
set -euo pipefail

mark() { printf '%s %s\n' "$1" "$(echo "$(date +%s.%N) - $begun" | bc)"; begun=$(date +%s.%N); }
sql() { (cd "$DATA" && $CLIENT --batch --skip-column-names --execute="$1"); }

begun=$(date +%s.%N)
if [ "$WAY" = raw ]; then
  mkdir "$DATA"
  (cd "$BACKUP" && find . -type d -exec mkdir -p "$DATA/{}" \;
   find . -type f -printf '%s %P\0' | sort -znr | cut -z -d' ' -f2- | xargs -0 -P2 -n4 cp --parents -t "$DATA")
elif [ "$FLAVOUR" = mariadb ]; then
  $TOOL --copy-back --target-dir="$BACKUP" --datadir="$DATA" >/dev/null 2>&1
else
  cp -a "$BACKUP" "$DATA"
fi
mark restore

(cd "$DATA" && exec setsid $SERVER >"$DATA.log" 2>&1 </dev/null) &
until sql 'SELECT 1' >/dev/null 2>&1; do sleep 0.02; done
mark start

if [ "$WAY" = habit ]; then
  (cd "$DATA" && $BINLOG "$ARCHIVE"/binlog.0* | $CLIENT)
  mark replay
  exit
fi

# The logs become the relay log of a source that is never asked.
number=0
sql "$([ "$FLAVOUR" = mariadb ] && echo 'RESET SLAVE ALL' || echo 'RESET REPLICA ALL')"
for log in "$ARCHIVE"/binlog.0*; do
  number=$((number + 1)) name=$(printf 'relay.%06d' "$number")
  cp "$log" "$DATA/$name"
  echo "./$name"
done >"$DATA/relay.index"
durable="SET GLOBAL sync_binlog = 1, GLOBAL innodb_flush_log_at_trx_commit = 1; FLUSH LOGS"
if [ "$FLAVOUR" = mariadb ]; then
  sql "SET GLOBAL sync_binlog = 0, GLOBAL innodb_flush_log_at_trx_commit = 0;
    CHANGE MASTER TO MASTER_HOST='x', MASTER_USE_GTID=no, RELAY_LOG_FILE='relay.000001', RELAY_LOG_POS=4;
    START SLAVE SQL_THREAD; SELECT MASTER_GTID_WAIT('$LAST'); $durable" >/dev/null
else
  sql "SET GLOBAL sync_binlog = 0, GLOBAL innodb_flush_log_at_trx_commit = 0;
    CHANGE REPLICATION SOURCE TO SOURCE_HOST='x', RELAY_LOG_FILE='relay.000001', RELAY_LOG_POS=4;
    START REPLICA SQL_THREAD; SELECT WAIT_FOR_EXECUTED_GTID_SET('$LAST'); $durable" >/dev/null
fi
mark replay
