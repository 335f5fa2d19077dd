#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# From nothing to a policy and back, with the exit status of every command on the way.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
lab

try "$account"
check "before: an ordinary account reaches port 25" greeted

run "$smtpwall" status
check "nothing in force: status says 1" exits 1
check "nothing in force: and why" has "$out" "nothing is in force"
run "$smtpwall" verify
check "nothing in force: verify says 1" exits 1
check "nothing in force: and why" has "$err" "nothing is in force"
run "$smtpwall" report
check "nothing in force: report says 3" exits 3 1
run "$smtpwall" explain --uid 0
fails "nothing in force: explain" 3 "smtpwall apply"
run "$smtpwall" off
check "nothing in force: off says 0" exits 0 1
check "nothing in force: and that there was nothing" has "$err" "nothing was in force"

run "$smtpwall" apply
check "apply" exits 0 1
check "apply says what is in force" has "$err" "mode enforce is in force"
run "$smtpwall" apply --quiet
check "apply --quiet says nothing" exits 0 0
run "$smtpwall" status
check "status: exit status 0, no error" exits 0 0
check "status: healthy" has "$out" "healthy"
check "status: not 'not healthy'" lacks "$out" "NOT HEALTHY"
check "status: no escape sequences in a file" lacks "$out" $'\e'
run "$smtpwall" verify
check "verify: good" exits 0 0

try "$account"
check "an ordinary account is refused" refused "Connection refused"
try 0
check "root gets through" greeted
try 61001
check "an exempt account gets through" greeted
run "$smtpwall" report --format json
check "report: exit status 0" exits 0
check "report: the account is named" has "$out" "\"uid\":$account"

config '[policy]
mode = observe'
run "$smtpwall" apply
check "observe: apply" exits 0
try "$account"
check "observe: an ordinary account gets through" greeted
run "$smtpwall" verify
check "observe: verify is good" exits 0
check "observe: verify says so" has "$out" "observe"

# Somebody removes a pin.
rm "$SMTPWALL_PIN_DIR/v3/link_connect4"
run "$smtpwall" status
check "a pin is gone: status says 1" exits 1
check "a pin is gone: names the hook" has "$out" "connect4"
check "a pin is gone: names the repair" has "$out" "smtpwall apply"
run "$smtpwall" verify
check "a pin is gone: verify says 1" exits 1
run "$smtpwall" apply
check "a pin is gone: apply repairs" exits 0
run "$smtpwall" status
check "a pin is gone: healthy again" exits 0

run "$smtpwall" off
check "off" exits 0 1
check "off proves it" has "$err" "port 25 is open"
check "off leaves no pins" test ! -e "$SMTPWALL_PIN_DIR"
try "$account"
check "after: an ordinary account reaches port 25" greeted

# The default of everything: no configuration file at all.
export SMTPWALL_CONFIG=''
run "$smtpwall" apply --check
check "without a file: a mail server here may be in the way, nothing else" eval \
	'exits 0 || has "$err" "--force"'
done_testing
