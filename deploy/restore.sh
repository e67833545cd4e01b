#!/bin/sh
# Bring a backup of backup.sh back, all of it or nothing.
#
#   systemctl stop telerig
#   TELERIG_DATABASE_URL=postgresql://telerig@db.example/telerig deploy/restore.sh FILE [--replace]
#
# Into an empty database; with --replace the gateway's tables in it are dropped first. The gateway
# brings an older backup to its own schema at its next start.
#
#   TELERIG_DATABASE_URL   of the database (or DATABASE_URL)
#   PG_BIN                 folder of psql and pg_restore (absent: in PATH)
set -eu

fail() {
    echo "restore: $*" >&2
    exit 1
}

file=${1:-}
replace=${2:-}
url=${TELERIG_DATABASE_URL:-${DATABASE_URL:-}}
bin=${PG_BIN:-}

[ -n "$file" ] || fail "expected a backup: restore.sh FILE [--replace]"
[ -r "$file" ] || fail "expected a readable backup, found no $file"
[ -n "$url" ] || fail "expected TELERIG_DATABASE_URL, found none"
case $replace in
    '' | --replace) ;;
    *) fail "expected --replace, found '$replace'" ;;
esac

pg() {
    tool=$1
    shift
    if [ -n "$bin" ]; then "$bin/$tool" "$@"; else "$tool" "$@"; fi
}

ask() {
    pg psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1 --dbname="$url" --command="$1"
}

pg pg_restore --list "$file" >/dev/null || fail "expected a backup of backup.sh, found $file"
others=$(ask "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'telerig'")
[ "$others" = 0 ] || fail "a gateway is connected to this database: stop it first"
tables=$(ask "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')")
if [ "$tables" != 0 ] && [ "$replace" != --replace ]; then
    fail "expected an empty database, found $tables tables: take another one, or add --replace"
fi

# All tables, with what hangs on them; then functions, sequences and types that stand alone.
empty="
DO \$\$
DECLARE one record;
BEGIN
    FOR one IN SELECT oid::regclass AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
    LOOP EXECUTE format('DROP TABLE IF EXISTS %s CASCADE', one.name); END LOOP;
    FOR one IN SELECT oid::regprocedure AS name FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
    LOOP EXECUTE format('DROP ROUTINE IF EXISTS %s CASCADE', one.name); END LOOP;
    FOR one IN SELECT oid::regclass AS name FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'S'
    LOOP EXECUTE format('DROP SEQUENCE IF EXISTS %s CASCADE', one.name); END LOOP;
    FOR one IN SELECT oid::regtype AS name FROM pg_type
        WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')
    LOOP EXECUTE format('DROP TYPE IF EXISTS %s CASCADE', one.name); END LOOP;
END \$\$;"

{
    # One transaction: what was there stays, unless all of the backup is in. A backup that ends too
    # early ends with an error, in the middle of a table too.
    if [ "$tables" != 0 ]; then
        printf 'SET client_min_messages = warning;%s\n' "$empty"
    fi
    pg pg_restore --no-owner --no-privileges --file=- "$file" ||
        printf '\n\\.\nDO $$ BEGIN RAISE EXCEPTION %s; END $$;\n' "'the backup cannot be read to its end'"
} | pg psql --no-psqlrc --quiet --single-transaction --set=ON_ERROR_STOP=1 --output=/dev/null --dbname="$url" ||
    fail "nothing was changed"
echo "restore: $file is in; start the gateway"
