#!/bin/sh
# Puts Deno's binary, the one pinned below, into the given folder: npm has it as a package of its own for each platform.
set -eu
target=$1
version=2.9.6
case "$(uname -m)" in
  x86_64)
    package=@deno/linux-x64-glibc
    sha512=de67784ca2c2bb3b0b0e67cea02e4a37b34065ac525643209bae2f83a7e80f4d090400c2a584b6ff942a5dfce09cfe59433de22cff6f05026d120735d7a380a1
    ;;
  *)
    echo "no Deno is pinned for $(uname -m): add its package and hash to $0" >&2
    exit 1
    ;;
esac
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
npm pack --silent --pack-destination "$work" "$package@$version" >"$work/name"
archive="$work/$(cat "$work/name")"
echo "$sha512  $archive" | sha512sum --check --quiet
tar --extract --gzip --file "$archive" --directory "$work" package/deno
mkdir -p "$target"
install -m 0755 "$work/package/deno" "$target/deno"
