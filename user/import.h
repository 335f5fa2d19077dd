/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What other products say about outgoing SMTP, made into a smtpwall.conf. Needs no root. */
#ifndef SW_IMPORT_H
#define SW_IMPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "config.h"

/* One thing that did not carry over. */
struct sw_import_left {
	char *text;	/* "FILE:LINE: TEXT: why; what to do", escaped, without a newline */
	bool idle;	/* nothing is lost: no outgoing SMTP, or without effect there as well */
};

struct sw_import {
	char *conf;			/* the text of the smtpwall.conf */
	struct sw_import_left *left;	/* file by file, in the order of their lines */
	size_t n_left;
	struct sw_diag errors;		/* why there is no result */
};

/*
 * Each fills `ret`, which is to be freed with sw_import_free() whatever came of it.
 *
 * 0: ret->conf is a configuration that sw_config_load() takes. Accounts in it are those of this
 *    machine. ret->errors is empty.
 * -EINVAL: something cannot be read or is no file of that product; ret->errors says what, with
 *    file and line (0: the file as a whole). There is no text then.
 * -ENOMEM.
 */

/*
 * CSF. `path` is its directory or its csf.conf; csf.allow, csf.deny, csf.uidignore and csf.mignore
 * lie beside that and may be missing.
 *
 * Source of the format: ConfigServer/Config.pm (csf.conf), csf.pl (what the keys do, the lists).
 */
int sw_import_csf(const char *path, struct sw_import *ret);

/*
 * The sending limits of DirectAdmin. `path` is its directory, or a root directory with
 * etc/virtual in it. What customers can write there is never followed through a symbolic link.
 *
 * Source of the format: DirectAdmin's documentation and its exim.pl.
 */
int sw_import_directadmin(const char *path, struct sw_import *ret);

/*
 * The block SMTP_BLOCKING of Imunify360's YAML file `path`.
 *
 * Source of the format: Imunify360's documentation of its configuration file.
 */
int sw_import_imunify(const char *path, struct sw_import *ret);

void sw_import_free(struct sw_import *i);

#endif
