// SPDX-License-Identifier: MIT
#include "../fpu.h"

void fpu_use(void)
{
    __asm__ volatile("fld1\n\tfstp %st(0)");
}
