// SPDX-License-Identifier: MIT
#include "../instructions.h"

void instruction_undefined(void)
{
    __asm__ volatile("ud2");
}

void instruction_privileged(void)
{
    __asm__ volatile("hlt");
}

void instruction_breakpoint(void)
{
    __asm__ volatile("int3");
}
