// SPDX-License-Identifier: MIT
#include "../relax.h"

void relax(void)
{
    __asm__ volatile("pause" ::: "memory");
}
