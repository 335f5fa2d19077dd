#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# On the root of the real cgroup tree, as on a production host: every cgroup is covered. Short,
# and taken down whatever happens: while it lasts the whole machine is under the policy.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
lab

real=/sys/fs/bpf/smtpwall
[[ ! -e $real ]] || skip_all "smtpwall is in force on this machine: $real"

unset SMTPWALL_CGROUP
mkdir -p "$cgroup/a/b/c"
at_exit 'remove_cgroup "$cgroup/a"; :'
at_exit 'remove_cgroup "$cgroup/a/b"'
at_exit 'remove_cgroup "$cgroup/a/b/c"'
at_exit '"$smtpwall" off --quiet || echo "# off failed: smtpwall may be in force"'

# from CGROUP UID: the greeting of the server, or the error, in a process of that cgroup.
from() {
	local cgroup=$1
	try "$2"
}

from "$root_cgroup" "$account"
check "before: open" greeted
run "$smtpwall" apply
check "apply to the real root" exits 0
run "$smtpwall" status --format json
check "status: healthy" exits 0
check "status: on the root" has "$out" "\"cgroup\":\"$root_cgroup\""
for place in "$root_cgroup" "$cgroup" "$cgroup/a" "$cgroup/a/b/c"; do
	name=${place#"$root_cgroup"}/
	from "$place" "$account"
	check "an ordinary account is refused in $name" refused "Connection refused"
	from "$place" 0
	check "root gets through in $name" greeted
done
mkdir "$cgroup/a/later"
at_exit 'remove_cgroup "$cgroup/a/later"'
from "$cgroup/a/later" "$account"
check "and in a cgroup made afterwards" refused "Connection refused"
run "$smtpwall" verify
check "verify: good" exits 0
run "$smtpwall" off
check "off" exits 0
check "off proves it" has "$err" "port 25 is open"
from "$cgroup/a" "$account"
check "after: open" greeted
done_testing
