#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# A real Prometheus scrapes the monitor and fires a packaged alert rule on a real flood. What rules
# and dashboard ask for is what smtpwall prints.
# shellcheck disable=SC2016,SC2034,SC2317 # eval and at_exit expand their text later; check calls

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq apt-get dpkg

# Prometheus is unpacked, not installed: no service of it may begin to run here. It is large.
fetch_prometheus() {
	mkdir -p "$build/prometheus/debs"
	(cd "$build/prometheus/debs" && { apt-get -q download prometheus ||
		{ apt-get -q update && apt-get -q download prometheus; }; } >"$tmp/fetch" 2>&1) &&
		dpkg -x "$build"/prometheus/debs/prometheus_*.deb "$build/prometheus"
}
bin=$build/prometheus/usr/bin
if ! command -v prometheus >/dev/null; then
	[[ -x $bin/promtool ]] || fetch_prometheus ||
		{ sed 's/^/# /' "$tmp/fetch"; bail_out "cannot get the package prometheus"; }
	PATH=$bin:$PATH
fi
rules=packaging/prometheus/smtpwall.rules.yml
dashboard=packaging/prometheus/smtpwall-dashboard.json

# ---- Without a server ----

run promtool check rules "$rules"
check "promtool: the rules are good" exits 0
run promtool test rules tests/prometheus/*.test.yml
check "promtool: each rule fires on its cause, and only then" exits 0

# ---- The monitor ----

port=$((20000 + $$ % 10000))
mkdir -p "$tmp/root/etc"
printf 'root:x:0:0::/root:/bin/bash\nalice:x:%s:%s::/srv:/bin/bash\n' "$account" "$account" \
	>"$tmp/root/etc/passwd"
echo 'shop.example: alice' >"$tmp/root/etc/trueuserdomains"
config "[domains]
root = $tmp/root
[metrics]
listen = 127.0.0.1:$port"
run "$smtpwall" apply
check "apply" exits 0
"$smtpwall" monitor --user nobody 2>"$tmp/monitor" &
monitor=$!
at_exit 'kill "$monitor" 2>/dev/null; wait "$monitor" 2>/dev/null'
# The text of the listener.
scrape() {
	exec 3<>"/dev/tcp/127.0.0.1/$port" || return
	printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
	sed '1,/^\r$/d' <&3 >"$tmp/metrics"
	exec 3>&-
	[[ -s $tmp/metrics ]]
}
check "the monitor serves metrics" within 60 eval 'scrape 2>/dev/null'
promtool check metrics <"$tmp/metrics" >"$tmp/out" 2>&1
status=$?
out=$(<"$tmp/out")
check "promtool: the metrics are good, and nothing is amiss with their names" eval 'exits 0 && [[ -z $out ]]'
"$smtpwall" metrics >"$tmp/command"
check "the command prints the same metrics, but for the monitor's" is "$(grep -o '^# HELP [a-z_]*' \
	"$tmp/command")" "$(grep -o '^# HELP [a-z_]*' "$tmp/metrics" | grep -v 'monitor\|history\|alerts')"

# ---- What is asked for is there ----

jq -r '.. | .expr? // empty' "$dashboard" >"$tmp/queries"
check "the dashboard has queries" eval '(($(wc -l <"$tmp/queries") > 15))'
names() { grep -ohE 'smtpwall_[a-z_]+' "$@" | sort -u; }
names "$tmp/queries" "$rules" <(jq -r '.templating | .. | .query? // empty | strings' "$dashboard") |
	grep -v '^smtpwall_rules' >"$tmp/wanted"
grep -o '^# HELP smtpwall_[a-z_]*' "$tmp/metrics" | cut -d ' ' -f 3 | sort -u >"$tmp/printed"
check "rules and dashboard ask only for what is printed" is "$(comm -23 "$tmp/wanted" "$tmp/printed")" ''

# ---- Prometheus ----

# As they are packaged, but for the two minutes before one of them fires.
sed 's/for: 2m/for: 2s/' "$rules" >"$tmp/rules.yml"
web=127.0.0.1:$((port + 10000))
cat >"$tmp/prometheus.yml" <<-END
	global:
	  scrape_interval: 1s
	  evaluation_interval: 1s
	rule_files: [ $tmp/rules.yml ]
	scrape_configs:
	  - job_name: smtpwall
	    static_configs: [ { targets: [ "127.0.0.1:$port" ] } ]
END
prometheus --config.file="$tmp/prometheus.yml" --storage.tsdb.path="$tmp/tsdb" \
	--web.listen-address="$web" --log.level=warn >"$tmp/prometheus.log" 2>&1 &
prometheus=$!
at_exit 'kill "$prometheus" 2>/dev/null; wait "$prometheus" 2>/dev/null'
ask() { promtool query instant "http://$web" "$1" 2>/dev/null; }
answers() { [[ $(ask "$1") == *"$2"* ]]; }
check "Prometheus scrapes it" within 60 answers 'up{job="smtpwall"}' '=> 1 @'
check "and knows what is in force" within 60 answers smtpwall_in_force '=> 1 @'
check "no rule fires" is "$(ask 'ALERTS{alertstate="firing"}')" ''

# A flood: more than sixty a minute over five minutes.
as "$account" bash -c 'for ((i = 0; i < 900; i++)); do : >/dev/tcp/203.0.113.9/25; done' 2>/dev/null
check "the flood is seen" within 60 answers \
	'smtpwall_uid_attempts_total{user="alice",verdict="denied"}' '=> 900 @'
check "by domain too" within 60 answers \
	'smtpwall_domain_attempts_total{domain="shop.example",verdict="denied"}' '=> 900 @'
check "SmtpwallFlood fires" within 60 answers \
	'ALERTS{alertname="SmtpwallFlood",alertstate="firing"}' 'severity="critical"'
failed=''
while IFS= read -r query; do
	query=${query//'$instance'/.*}
	query=${query//'$__rate_interval'/1m}
	promtool query instant "http://$web" "${query//'$__range'/1h}" >/dev/null 2>&1 ||
		failed+="$query"$'\n'
done <"$tmp/queries"
check "every query of the dashboard is answered" is "$failed" ''
run "$smtpwall" off
check "off: the monitor says so" within 60 answers smtpwall_in_force '=> 0 @'
check "off: SmtpwallNotInForce fires" within 60 answers \
	'ALERTS{alertname="SmtpwallNotInForce",alertstate="firing"}' 'severity="critical"'
run "$smtpwall" apply
check "apply: in force again" within 60 answers smtpwall_in_force '=> 1 @'
check "apply: SmtpwallNotInForce does not fire any more" within 60 eval \
	'[[ -z $(ask "ALERTS{alertname=\"SmtpwallNotInForce\"}") ]]'
kill "$monitor"
check "no monitor: nothing to scrape any more" within 60 answers 'up{job="smtpwall"}' '=> 0 @'
done_testing
