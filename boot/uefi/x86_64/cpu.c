// SPDX-License-Identifier: MIT
//
// x86_64 under UEFI (2.3.4): long mode, memory mapped one to one, caches on.
#include <lib/elf.h>

#include "../loader.h"

const char machine_name[] = "x86_64";
const uint16_t machine_elf = ELF_MACHINE_X86_64;

constexpr uint64_t CR4_LA57 = 1u << 12;
constexpr uint32_t CPUID_NX = 1u << 20;

const char *machine_check(void)
{
    uint64_t cr4;
    uint32_t eax = 0x8000'0001, ebx, ecx, edx; // long mode: the leaf is there
    __asm__ volatile("movq %%cr4, %0" : "=r"(cr4));
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    if ((cr4 & CR4_LA57) != 0)
        return "the firmware uses page tables of five levels; switch that off in its setup";
    if ((edx & CPUID_NX) == 0)
        return "the processor has no no-execute pages, or the firmware's setup switched them off";
    return nullptr;
}

void machine_clean(const void *start, uint64_t bytes)
{
    (void)start;
    (void)bytes;
}
