#!/bin/sh
# Installs what a target needs from Debian or npm; what cannot be had is printed as "not run".
# The npm packages leave a stamp: the lock they were made from, or "not-available" where no npm can be
# had; a program leaves one only then. Tests whose program is missing fail, and are skipped only by that stamp.
set -eu
PATH=$PATH:/usr/sbin
cd "$(dirname "$0")/.."

debian() { # debian COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2"; } >/dev/null 2>&1 && return 0
    fi
    echo "not run: $1 is missing and the package $2 could not be installed"
    return 1
}

locked() { # locked DIRECTORY: what its package-lock.json pins
    modules=$1/node_modules
    if ! debian npm npm; then
        mkdir -p "$modules"
        echo "not-available" >"$modules/.stamp"
        return 0
    fi
    cmp -s "$1/package-lock.json" "$modules/.stamp" && return 0
    npm ci --prefix "$1" --no-audit --no-fund --silent && cp "$1/package-lock.json" "$modules/.stamp" && return 0
    echo "not run: the npm packages of $1 could not be installed"
}

program() { # program COMMAND PACKAGE: what tests run; tests/support/packages.py reads the stamp
    stamp=tests/clients/.no-$1
    if debian "$1" "$2"; then rm -f "$stamp"; else echo "not-available" >"$stamp"; fi
}

root_directory() { # what makes a bare Debian for the package to be installed on
    if [ "$(id -u)" -eq 0 ]; then program debootstrap debootstrap; return; fi
    echo "not run: debootstrap needs root"
    echo "not-available" >tests/clients/.no-debootstrap
}

for want in "$@"; do
    case "$want" in
    systemd) debian systemd-analyze systemd || true ;;
    npm) locked tests/clients ;;
    conformance) locked tests/conformance ;;
    browser) program chromium chromium ;;
    proxies) program nginx nginx-light; program caddy caddy ;;
    debian) root_directory ;;
    *) echo "unknown package group: $want" >&2; exit 2 ;;
    esac
done
