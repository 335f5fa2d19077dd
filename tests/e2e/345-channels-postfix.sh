#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Postfix and PHP: the three ways out of one script, each counted once. See channels-cases.sh.
# shellcheck disable=SC2034 # channels-cases.sh reads them

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh

packages=(postfix)
command -v php >/dev/null || packages+=(php-cli)
own_root "${packages[@]}"
start
mail_lab
# shellcheck source=tests/e2e/channels-cases.sh
. tests/e2e/channels-cases.sh

mta=postfix owner=postfix script=/etc/init.d/postfix
three_ways
stop_server "$script"
done_testing
