/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pin directory. PIN_DIR/v<ABI> holds links and maps and nothing else; it appears whole, by
 * rename, and whoever changes anything in it holds the lock on PIN_DIR.
 */
#ifndef SW_PINS_H
#define SW_PINS_H

#include <stdbool.h>

#define SW_PIN_DIR_DEFAULT "/sys/fs/bpf/smtpwall"

struct sw_pins {
	char *dir;	/* PIN_DIR/v<ABI> */
	char *root;	/* PIN_DIR */
	int lock_fd;	/* -1: opened for reading */
	bool exists;	/* `dir` is there */
};

/*
 * Opens the pin directory. With `write` it is created (0700) where missing, bpffs is mounted at
 * /sys/fs/bpf when that is where it should be and is not, and the lock is taken.
 * 0; -EAGAIN when another loader holds the lock; -ENOTSUP when the place is not on bpffs; -EEXIST
 * when a directory is there that others own or may write to, and with it what is pinned; other
 * -errno. `ret` is written on success only; free it with sw_pins_close().
 */
int sw_pins_open(const char *pin_dir, bool write, struct sw_pins *ret);

/* Gives up the lock; PIN_DIR goes when nothing is in it. */
void sw_pins_close(struct sw_pins *p);

/* Opens the pinned object `name` in dir; a descriptor or -errno. Read-only descriptors of maps
 * are enough for reports. */
int sw_pins_get(const char *dir, const char *name);

/* Pins `fd` as dir/name, in place of what may be there, without a moment in which neither is.
 * 0 or -errno. */
int sw_pins_put(const char *dir, const char *name, int fd);

/* The same in two steps: beside the pin that may be there, which stays, under a name of its own,
 * and then in its place. What was put aside can be removed again. 0 or -errno. */
int sw_pins_put_aside(const char *dir, const char *aside, int fd);
int sw_pins_move_in(const char *dir, const char *aside, const char *name);
void sw_pins_remove_aside(const char *dir, const char *aside);

/* Removes dir/name; one that is not there is no error. */
int sw_pins_remove(const char *dir, const char *name);

/* A new empty directory beside p->dir, to be filled and then published; malloc'd in *ret. */
int sw_pins_stage(const struct sw_pins *p, char **ret);

/* Renames `staged` to p->dir. 0; -EEXIST when p->dir is there already; other -errno. */
int sw_pins_publish(struct sw_pins *p, const char *staged);

/* Removes a directory made by sw_pins_stage() that is not to be published. 0 or -errno. */
int sw_pins_discard(const char *staged);

/* Removes every directory of ours in PIN_DIR except `keep` (a path, or NULL), with what they
 * hold: stagings of loaders that died, other ABI versions, and with NULL everything. Links go
 * first. In `keep` goes what such loaders had put aside. */
int sw_pins_sweep(struct sw_pins *p, const char *keep);

#endif
