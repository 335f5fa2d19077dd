#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Postfix as Debian installs it: under the default policy it delivers, whoever hands the mail in
# and whatever runs the queue; no one else gets past it; it is never denied by surprise.
# shellcheck disable=SC2016,SC2317 # eval expands text later; mta-cases.sh calls functions of here

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh
# shellcheck source=tests/e2e/mta-cases.sh
. tests/e2e/mta-cases.sh

own_root postfix
start
mail_lab

mta=postfix binary=/usr/sbin/postfix owner=postfix script=/etc/init.d/postfix
queued() { postqueue -j | wc -l; }
flush() { as 0 postqueue -f; }

refusals "installed"
start_server "$script"
refusals "running"
default_policy "default"
denied_direct "default"
deliveries "default"
counters "default"

stop_server "$script"
sendmail_as "$account"
check "no daemon: sendmail: accepted" exits 0
start_server "$script"
check "no daemon at first: delivered" arrives
check "no daemon at first: nothing waits" within 60 queue_has 0
((delivered += 1))
# Now, while root's master is the only process that listens.
forgotten redirect

write_config '[policy]' 'identity = strict'
run "$smtpwall" apply
check "identity = strict: apply" exits 0
denied_direct "identity = strict"
deliveries "identity = strict"
counters "identity = strict"

forgotten enforce
observed
everything_arrived
stop_server "$script"
done_testing
