/* SPDX-License-Identifier: GPL-2.0-or-later */
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "health.h"
#include "util.h"

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
