#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# verify on a cgroup that takes no processes itself, as every slice of systemd with controllers.

# shellcheck disable=SC2016 # at_exit expands its text later
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start

read -r controller _ <"$root_cgroup/cgroup.controllers" || true
[[ -n ${controller:-} ]] || skip_all "no controller is in the v2 tree"
if ! grep -qw "$controller" "$root_cgroup/cgroup.subtree_control"; then
	echo "+$controller" >"$root_cgroup/cgroup.subtree_control" ||
		skip_all "cannot enable $controller"
	at_exit 'echo "-$controller" >"$root_cgroup/cgroup.subtree_control" 2>/dev/null'
fi
echo "+$controller" >"$cgroup/cgroup.subtree_control" || skip_all "cannot enable $controller"
# Before the root's: in reverse order.
at_exit 'echo "-$controller" >"$cgroup/cgroup.subtree_control"'

run as 0 true
check "the cgroup takes no process" eval '((status != 0))'
run "$smtpwall" apply
check "apply" exits 0
run "$smtpwall" verify
check "verify: good" exits 0
check "and leaves no cgroup behind" is "$(find "$cgroup" -mindepth 1 -type d)" ""
run "$smtpwall" off
check "off: proves it too" exits 0
check "and leaves no cgroup behind either" is "$(find "$cgroup" -mindepth 1 -type d)" ""
done_testing
