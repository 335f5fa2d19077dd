/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The terminal of `top`: the only file that knows curses. It sends what changed and no more, which
 * is what makes it bearable over a slow line. */
#ifndef SW_TOP_SCREEN_H
#define SW_TOP_SCREEN_H

#include "top.h"

/* Takes the terminal. 0; -ENOTTY when standard output or input is none; -EINVAL when its TERM is
 * not known. */
int sw_top_screen_open(bool color);
void sw_top_screen_close(void);

/* Lines that have room between what stands above and below. */
size_t sw_top_screen_height(void);

/* 0 or -ENOMEM. */
int sw_top_screen_draw(const struct sw_top_data *d, const struct sw_top *t);

/* The next key (a character, or enum sw_top_key) within `ms`; 0: none; -1: the size changed; -EIO:
 * the terminal is gone. Signals end the wait. */
int sw_top_screen_key(int ms);

#endif
