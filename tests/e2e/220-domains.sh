#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# domains: from a UID, login, domain or path to what is known, on the machine of each panel.
# shellcheck disable=SC2016 # eval and at_exit expand their text later

# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
start
need jq

panels=$PWD/tests/fixtures/panels
columns='[.uid, .user, .domain, .source, .directory] | map(. // "-" | tostring) | join(" ")'

# knows NAME ROOT WHAT ROW: the first row of the answer, in JSON and in TSV.
knows() {
	local name=$1 dir=$2 what=$3 want=$4
	run "$smtpwall" domains --root "$dir" --format json "$what"
	check "$name: exit status 0" exits 0 0
	check "$name: json" is "$(jq -r ".rows[0] | $columns" <<<"$out")" "$want"
	run "$smtpwall" domains --root "$dir" --format tsv "$what"
	check "$name: tsv" is "$(head -n 1 <<<"$out" | cut -f 1-5 | sed 's/\t\t/\t-\t/g; s/\t$/\t-/' |
		tr '\t' ' ')" "$want"
}

knows "cPanel, UID" "$panels/cpanel" 1001 \
	"1001 alice example.com trueuserdomains /home/alice/public_html"
knows "cPanel, login" "$panels/cpanel" bob \
	"1002 bob bob.example trueuserdomains /home2/bob/public_html"
knows "cPanel, domain" "$panels/cpanel" SHOP.example.com. \
	"1001 alice shop.example.com userdomains /home/alice/shop"
knows "cPanel, path" "$panels/cpanel" /home/alice/shop/wp-admin \
	"1001 alice shop.example.com docroot /home/alice/shop"
knows "cPanel, path in a home" "$panels/cpanel" /home/alice/mail \
	"1001 alice example.com home /home/alice"
knows "cPanel, path in CageFS" "$panels/cpanel" /usr/share/cagefs-skeleton/home/alice/shop \
	"1001 alice shop.example.com docroot /home/alice/shop"
knows "DirectAdmin" "$panels/directadmin" 1001 \
	"1001 alice shop.example domainowners /home/alice/domains/shop.example/public_html"
knows "Plesk" "$panels/plesk" web_example \
	"10001 web_example example.com plesk /var/www/vhosts/example.com/httpdocs"
knows "Hestia" "$panels/hestia" alice \
	"1001 alice example.com hestia /home/alice/web/example.com/public_html"
knows "Virtualmin" "$panels/virtualmin" 1001 \
	"1001 alice example.com virtualmin /home/alice/public_html"
knows "ISPConfig, through the link" "$panels/ispconfig" /var/www/clients/client2/web6/web \
	"5006 web6 other.example docroot /var/www/clients/client2/web6/web"
knows "CyberPanel" "$panels/cyberpanel" examp4821 \
	"1001 examp4821 example.com cyberpanel /home/example.com/public_html"
knows "Apache" "$panels/apache" /srv/sites/bob/x "1002 bob bob.example docroot /srv/sites/bob"
knows "nginx" "$panels/nginx" /srv/blog/x "1001 alice example.com docroot /srv/blog"
knows "php-fpm" "$panels/php-fpm" alice.example "1001 alice alice.example php-fpm /home/alice/www"

mkdir -p "$tmp/plain/etc"
echo 'alice:x:1001:1001::/home/alice:/bin/sh' >"$tmp/plain/etc/passwd"
knows "an account without a domain" "$tmp/plain" 1001 "1001 alice - home /home/alice"

# ---- All of an account, and every format ----

run "$smtpwall" domains --root "$panels/cpanel" --format json alice
check "all domains, main first, alias last" is \
	"$(jq -r '[.rows[] | .kind] | join(" ")' <<<"$out")" "main addon addon sub sub alias"
check "names of a row" is "$(jq -c '.rows[0] | keys_unsorted' <<<"$out")" \
	'["uid","user","domain","source","directory","kind"]'
run "$smtpwall" domains --root "$panels/cpanel" --format csv alice
check "csv has a header" is "$(head -n 1 <<<"$out")" $'uid,user,domain,source,directory,kind\r'
check "csv has a line for each" is "$(wc -l <<<"$out")" 7
run env COLUMNS=80 "$smtpwall" domains --root "$panels/cpanel" alice
check "table has titles" has "$out" DOMAIN
check "table fits" is "$(awk 'length > 80' <<<"$out")" ""

# ---- What is not known ----

for what in 4242 nobody-here nothing.example /nowhere '*' '../..' ''; do
	run "$smtpwall" domains --root "$panels/cpanel" --format json "$what"
	check "'$what': exit status 1 and one line" exits 1 1
	check "'$what': no rows" is "$(jq -c .rows <<<"$out")" "[]"
done

# ---- Sources ----

run "$smtpwall" domains --root "$panels/cpanel" --format json
check "sources: exit status 0" exits 0 0
check "sources: bad lines are counted" is "$(jq -c '.sources[] | select(.name == "cpanel") |
	[.used, .bad_lines, .bad_file, .bad_line]' <<<"$out")" '[true,11,"/etc/userdomains",8]'
check "sources: all are listed" is "$(jq '.sources | length' <<<"$out")" 12
run "$smtpwall" domains --root "$panels/cpanel"
check "sources: table" has "$out" "/etc/userdomains:8"
run "$smtpwall" domains --root "$panels/cpanel" --sources home --format json alice
check "only the sources of the list" is "$(jq -r '.rows[0].source' <<<"$out")" home
run "$smtpwall" domains --root "$panels/cpanel" --sources 'home cpanle' alice
fails "unknown source" 2 cpanle
run "$smtpwall" domains --root /nonexistent alice
fails "no such root" 2 /nonexistent
run "$smtpwall" domains alice bob
fails "two arguments" 2 bob

# ---- What the configuration says ----

config "[domains]
root = $panels/cpanel
sources = home"
run "$smtpwall" domains --format json alice
check "[domains] of the configuration: root and sources" is \
	"$(jq -r ".rows[0] | $columns" <<<"$out")" "1001 alice - home /home/alice"
run "$smtpwall" domains --format json
check "[domains]: only those are used" is \
	"$(jq -c '[.sources[] | select(.used) | .name]' <<<"$out")" '["home"]'
run "$smtpwall" domains --sources auto --format json root
check "an option: the configuration does not count" is \
	"$(jq -r '.rows[0].directory' <<<"$out")" /root
printf '[domains]\nroot = %s\n[exempt]\nusers = no-such-account\n' "$panels/cpanel" \
	>"$tmp/smtpwall.conf"
run "$smtpwall" domains root
check "a configuration with an error: answers" exits 0
check "a configuration with an error: says so" has "$err" no-such-account
config ''

# ---- Names that would act on a terminal ----

mkdir -p "$tmp/evil/etc"
printf 'alice:x:1001:1001::/home/a\033[31mlice:/bin/sh\n' >"$tmp/evil/etc/passwd"
printf 'a.example: alice==root==main==x==/home/\033]0;x\007/<script>==\n' \
	>"$tmp/evil/etc/userdatadomains"
for format in table tsv csv json; do
	run "$smtpwall" domains --root "$tmp/evil" --format "$format" alice
	check "$format: no control character" lacks "$out" $'\033'
	check "$format: nor a bell" lacks "$out" $'\007'
done

# ---- Nothing is changed by looking ----

cp -a "$panels" "$tmp/before"
find "$tmp/before" -type f -exec touch -d '2026-01-01' {} +
before=$(find "$tmp/before" -printf '%p %s %T@ %C@\n' | sort)
for panel in "$tmp"/before/*; do
	run "$smtpwall" domains --root "$panel"
	check "${panel##*/}: reads" exits 0
done
check "and writes nothing" is "$(find "$tmp/before" -printf '%p %s %T@ %C@\n' | sort)" "$before"
run "$smtpwall" domains root --quiet --format tsv
check "this machine works too" has "$out" root
done_testing
