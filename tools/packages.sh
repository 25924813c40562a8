#!/bin/sh
# Installs what a target needs from Debian or npm; what cannot be had is printed as "not run".
# The npm packages leave a stamp: the lock they were made from, or "not-available" where no npm can be
# had; browser and proxies leave one only then. Tests that need them fail without it, and are skipped only by "not-available".
set -eu
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

browser() { # what looks at the portal's pages
    stamp=tests/clients/.browser
    if debian chromium chromium; then rm -f "$stamp"; else echo "not-available" >"$stamp"; fi
}

proxies() { # what stands in front of the daemon
    stamp=tests/clients/.proxies
    if PATH=$PATH:/usr/sbin debian nginx nginx-light && debian caddy caddy; then rm -f "$stamp"; else echo "not-available" >"$stamp"; fi
}

root_directory() { # what makes a bare Debian for the package to be installed on
    stamp=tests/clients/.debian
    if [ "$(id -u)" -eq 0 ] && PATH=$PATH:/usr/sbin debian debootstrap debootstrap; then rm -f "$stamp"; else echo "not-available" >"$stamp"; fi
}

for want in "$@"; do
    case "$want" in
    systemd) debian systemd-analyze systemd || true ;;
    npm) locked tests/clients ;;
    conformance) locked tests/conformance ;;
    browser) browser ;;
    proxies) proxies ;;
    debian) root_directory ;;
    *) echo "unknown package group: $want" >&2; exit 2 ;;
    esac
done
