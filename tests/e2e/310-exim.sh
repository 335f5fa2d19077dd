#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# Exim as Debian installs it: under the default policy it delivers, whoever hands the mail in and
# whatever runs the queue; no one else gets past it; it is never denied by surprise.
# shellcheck disable=SC2016,SC2317 # eval expands text later; mta-cases.sh calls functions of here

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
# shellcheck source=tests/e2e/mta-root.sh
. tests/e2e/mta-root.sh
# shellcheck source=tests/e2e/mta-cases.sh
. tests/e2e/mta-cases.sh

own_root exim4-daemon-light
start
mail_lab

mta=exim binary=/usr/sbin/exim4 owner=Debian-exim script=/etc/init.d/exim4
queued() { exim4 -bpc; }
flush() { as 0 exim4 -qff; }

refusals "installed"
start_server "$script"
refusals "running"
default_policy "default"
denied_direct "default"
deliveries "default"
counters "default"

# hold: a message that is only put in the queue.
hold() {
	sendmail_as "$account" -odq
	check "$1: sendmail puts it in the queue" exits 0 0
	check "$1: it waits there" queue_has 1
}

hold "queue run"
flush
check "queue run: delivered" arrives
stop_server "$script"
sendmail_as "$account"
check "no daemon: sendmail: delivered" arrives
hold "queue run of the daemon"
start_server "$script"
check "queue run of the daemon: delivered" arrives
check "nothing waits" within 60 queue_has 0
((delivered += 3))
counters "queue runs"

write_config '[policy]' 'identity = strict'
run "$smtpwall" apply
check "identity = strict: apply" exits 0
denied_direct "identity = strict"
deliveries "identity = strict"
counters "identity = strict"

forgotten enforce
forgotten redirect
observed
everything_arrived
stop_server "$script"
done_testing
