/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the loader tests look at around a wall: its pins, its rows, its messages. */
#ifndef SCENE_H
#define SCENE_H

#include <stdbool.h>
#include <stddef.h>

#define SCENE_TEXT 4096

/* Names in a directory, sorted, with a blank behind each; "" when it is not there. */
void scene_list(const char *dir, char ret[SCENE_TEXT]);

/* The same for a directory below another. */
void scene_list_in(const char *dir, const char *name, char ret[SCENE_TEXT]);

/* From here on standard error is kept aside; scene_heard() gives it back with what was written. */
void scene_listen(void);
void scene_heard(char ret[SCENE_TEXT]);

/* Removes a cgroup. A process that just ended may still be listed: waits for it, not for ever. */
void scene_rmdir(const char *cgroup);

/* Lines in a text. */
size_t scene_lines(const char *text);

/* Runs fn in a child: its result, or -1 when the child was ended by a signal. */
int scene_child(int (*fn)(void *), void *arg);

#endif
