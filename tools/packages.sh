#!/bin/sh
# Installs what a target needs from Debian or npm; what cannot be had is printed as "not run".
set -eu
cd "$(dirname "$0")/.."

debian() { # debian COMMAND PACKAGE
    command -v "$1" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null 2>&1; then
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$2"; } >/dev/null 2>&1 && return 0
    fi
    echo "not run: $1 is missing and the package $2 could not be installed"
    return 0
}

for want in "$@"; do
    case "$want" in
    systemd) debian systemd-analyze systemd ;;
    npm)
        debian npm npm
        if [ -f tests/clients/package.json ] && command -v npm >/dev/null 2>&1; then
            stamp=tests/clients/node_modules/.stamp
            if [ ! -f "$stamp" ] || ! cmp -s tests/clients/package-lock.json "$stamp"; then
                if npm ci --prefix tests/clients --no-audit --no-fund --silent; then
                    cp tests/clients/package-lock.json "$stamp"
                else
                    echo "not run: the npm clients of tests/clients could not be installed"
                fi
            fi
        fi
        ;;
    *) echo "unknown package group: $want" >&2; exit 2 ;;
    esac
done
