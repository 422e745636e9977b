// SPDX-License-Identifier: MIT
#include "../instructions.h"

void instruction_undefined(void)
{
    __asm__ volatile("udf #0");
}

void instruction_privileged(void)
{
    __asm__ volatile("msr vbar_el1, xzr");
}

void instruction_breakpoint(void)
{
    __asm__ volatile("brk #0");
}
