/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "ask.h"
#include "conflicts.h"
#include "util.h"

#define ASK_TIMEOUT_MS	3000
#define ASK_MAX		(4 * 1024 * 1024)	/* bytes of rules; more are not looked at */

static FILE *open_below(const char *root, const char *path)
{
	_cleanup_free_ char *full = NULL;

	return asprintf(&full, "%s%s", root, path) < 0 ? NULL : fopen(full, "re");
}

static bool exists_below(const char *root, const char *path)
{
	_cleanup_free_ char *full = NULL;

	return asprintf(&full, "%s%s", root, path) >= 0 && access(full, F_OK) == 0;
}

/* csf.conf: NAME = "value", one a line. */
static bool csf_blocks(const char *root)
{
	_cleanup_fclose_ FILE *f = open_below(root, "/etc/csf/csf.conf");
	char line[512], value[8];

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " SMTP_BLOCK = \"%7[^\"]\"", value) == 1)
			return strcmp(value, "1") == 0;
	return false;
}

/* Imunify360's YAML: a top-level key SMTP_BLOCKING with `enable: True` indented below it. */
static bool imunify_blocks(const char *root)
{
	_cleanup_fclose_ FILE *f = open_below(root, "/etc/sysconfig/imunify360/imunify360.config");
	char line[512], value[8];
	bool inside = false;

	while (f && fgets(line, sizeof(line), f)) {
		if (strchr(" \t\r\n#", line[0]) == NULL)
			inside = strncmp(line, "SMTP_BLOCKING:", 14) == 0;
		else if (inside && sscanf(line, " enable: %7[A-Za-z]", value) == 1)
			return !strcasecmp(value, "true") || !strcasecmp(value, "yes");
	}
	return false;
}

void sw_conflicts_find(const char *root, struct sw_texts *ret)
{
	if (csf_blocks(root))
		sw_texts_add(ret, "CSF has SMTP_BLOCK = \"1\" in /etc/csf/csf.conf: both deny; set it to "
			     "\"0\" and run 'csf -r' once smtpwall enforces");
	if (exists_below(root, "/var/cpanel/smtpgidonlytweak"))
		sw_texts_add(ret, "cPanel's SMTP Restrictions are on: they redirect port 25 before a "
			     "packet leaves; turn them off in WHM Tweak Settings");
	if (imunify_blocks(root))
		sw_texts_add(ret, "Imunify360 has SMTP_BLOCKING enabled: both deny; turn it off there");
	if (exists_below(root, "/opt/csm/csm.yaml") || exists_below(root, "/etc/csm/csm.yaml"))
		sw_texts_add(ret, "CSM is installed: if its connect enforcement is on, a connect is "
			     "refused by whichever of the two denies it");
}

/* Whether this file has a line that begins with `word` (any, with ""). `otherwise` where there is no
 * such file. */
static bool has_line(const char *path, const char *word, bool otherwise)
{
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	char line[512];

	if (!f)
		return otherwise;
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, word, strlen(word)))
			return true;
	return false;
}

/* Asks the first of these programs that is there. */
static void ask(struct sw_chains *c, enum sw_filter filter, const char *const *programs, size_t n)
{
	static const char *const nft_arguments[] = { "-nnn", "list", "ruleset", NULL };
	static const char *const none[] = { NULL };
	int r = -ENOENT;

	for (size_t i = 0; i < n && r == -ENOENT; i++) {
		const char *const *more = filter == SW_FILTER_NFT ? nft_arguments : none;
		const char *argv[] = { programs[i], more[0], more[0] ? more[1] : NULL,
				       more[0] ? more[2] : NULL, NULL };
		_cleanup_free_ char *text = NULL;

		r = sw_ask(argv, ASK_TIMEOUT_MS, ASK_MAX, &text);
		if (!r)
			sw_chains_add(c, filter, text);
	}
}

/* What is not loaded has no rules, and looking must not load it. A kernel without modules has it
 * built in, if at all. */
static bool has_nf_tables(void)
{
	return has_line("/proc/modules", "nf_tables ", true);
}

void sw_conflicts_rules(const uint16_t *ports, size_t n_ports, struct sw_texts *ret)
{
	/* iptables-save is either of the two; it is asked where there is no name that says which. */
	static const char *const v4[] = { "/usr/sbin/iptables-nft-save", "/sbin/iptables-nft-save",
					  "/usr/sbin/iptables-save", "/sbin/iptables-save" };
	static const char *const v6[] = { "/usr/sbin/ip6tables-nft-save", "/sbin/ip6tables-nft-save",
					  "/usr/sbin/ip6tables-save", "/sbin/ip6tables-save" };
	static const char *const old4[] = { "/usr/sbin/iptables-legacy-save",
					    "/sbin/iptables-legacy-save",
					    "/usr/sbin/iptables-save", "/sbin/iptables-save" };
	static const char *const old6[] = { "/usr/sbin/ip6tables-legacy-save",
					    "/sbin/ip6tables-legacy-save",
					    "/usr/sbin/ip6tables-save", "/sbin/ip6tables-save" };
	static const char *const nft[] = { "/usr/sbin/nft", "/sbin/nft" };
	struct sw_chains c = { .ports = ports, .n_ports = n_ports };
	bool nf_tables = has_nf_tables();

	if (nf_tables) {
		ask(&c, SW_FILTER_IPTABLES, v4, ARRAY_SIZE(v4));
		ask(&c, SW_FILTER_IP6TABLES, v6, ARRAY_SIZE(v6));
		ask(&c, SW_FILTER_NFT, nft, ARRAY_SIZE(nft));
	}
	if (has_line("/proc/net/ip_tables_names", "", false))
		ask(&c, SW_FILTER_LEGACY, old4, nf_tables ? 2 : ARRAY_SIZE(old4));
	if (has_line("/proc/net/ip6_tables_names", "", false))
		ask(&c, SW_FILTER_LEGACY6, old6, nf_tables ? 2 : ARRAY_SIZE(old6));
	sw_chains_tell(&c, ret);
	sw_chains_free(&c);
}
