// SPDX-License-Identifier: MIT
//
// AArch64 under UEFI (2.3.6): EL1 or EL2, memory mapped one to one, caches on.
#include <lib/elf.h>
#include <lib/types.h>

#include "../loader.h"

const char machine_name[] = "aarch64";
const uint16_t machine_elf = ELF_MACHINE_AARCH64;

const char *machine_check(void)
{
    uint64_t level, memory;
    __asm__ volatile("mrs %0, CurrentEL" : "=r"(level));
    __asm__ volatile("mrs %0, id_aa64mmfr0_el1" : "=r"(memory));
    level = level >> 2 & 3;
    if (level != 1 && level != 2)
        return "the firmware runs on an exception level that is neither EL1 nor EL2";
    if ((memory >> 28 & 0xf) == 0xf)
        return "the processor has no pages of 4 KiB";
    return nullptr;
}

// To the point of coherency (DDI 0487, D7.5): the kernel begins with its caches off.
void machine_clean(const void *start, uint64_t bytes)
{
    uint64_t type;
    __asm__ volatile("mrs %0, ctr_el0" : "=r"(type));
    const uint64_t line = 4ull << (type >> 16 & 0xf);
    const uint64_t end = (uint64_t)start + bytes;
    for (uint64_t at = align_down((uint64_t)start, line); at < end; at += line)
        __asm__ volatile("dc cvac, %0" ::"r"(at) : "memory");
    __asm__ volatile("dsb sy" ::: "memory");
}

[[noreturn]] void machine_jump(uint64_t entry, uint64_t handover);

bool machine_prepare(void)
{
    return true;
}

// It is where it has to be.
void machine_enter(const struct kernel *kernel, uint64_t handover)
{
    machine_jump(kernel->entry, handover);
}
