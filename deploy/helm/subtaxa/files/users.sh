#!/bin/sh
# Keeps NATS's users up to date while it runs: users.sh <from> <to> [<seconds between looks>]
# <from>/users.conf has, for each user's password, "password: $<file>", a file beside it. With the passwords in their places it
# becomes <to>/users.conf, which the server includes; when that changes, the server whose process id is in <to>/nats.pid reads it
# anew. It keeps every connection but those of users who are gone.
set -u
from=$1
to=$2
seconds=${3:-5}
umask 077

filled() {
  while IFS= read -r line; do
    case $line in
      *'password: $'*)
        password=$(cat "$from/${line##*\$}") || return 1
        printf '%s"%s"\n' "${line%\$*}" "$password"
        ;;
      *) printf '%s\n' "$line" ;;
    esac
  done <"$from/users.conf"
}

while true; do
  # where a password is still missing, the next look finds it
  if filled >"$to/next" && ! cmp -s "$to/next" "$to/users.conf"; then
    mv "$to/next" "$to/users.conf"
    echo "users.conf is new"
    if [ -f "$to/nats.pid" ]; then kill -HUP "$(cat "$to/nats.pid")"; fi
  fi
  sleep "$seconds"
done
