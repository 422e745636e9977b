// SPDX-License-Identifier: MIT
#include "../fpu.h"

void fpu_use(void)
{
    __asm__ volatile(".inst 0x1e604000"); // fmov d0, d0
}
