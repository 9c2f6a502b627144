/* system/main.c: the program's entry. SPDX-License-Identifier: GPL-2.0-or-later */
#include "util/osdep.h"

int main(void)
{
    return 0;
}
