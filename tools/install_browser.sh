#!/usr/bin/env bash
# Installs the Chromium that the tests of the web pages drive, where that is allowed; without one
# they are skipped and say so.
set -uo pipefail
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    command -v "$name" >/dev/null && exit 0
done
if [ "$(id -u)" = 0 ]; then sudo=; elif sudo -n true 2>/dev/null; then sudo=sudo; else sudo=no; fi
if [ "$sudo" != no ] && command -v apt-get >/dev/null; then
    echo "Installing Chromium for the tests of the web pages"
    $sudo apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq --no-install-recommends chromium >/dev/null
fi
command -v chromium >/dev/null ||
    echo "no Chromium: the tests of the web pages are skipped (sudo apt-get install chromium)"
exit 0
