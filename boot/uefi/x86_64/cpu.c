// SPDX-License-Identifier: MIT
//
// x86_64 under UEFI (2.3.4): long mode, memory mapped one to one, caches on.
//
// The kernel is copied to its place by a few instructions in a page of their own, on page tables of
// ours: at that place may be whatever the firmware still had until just now, its page tables, its
// stack, even this program.
#include <lib/elf.h>
#include <lib/string.h>
#include <lib/types.h>

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

// One page of code, then page tables: the root, one table below it, and four of 2 MiB pages for the
// first 4 GiB.
constexpr unsigned ENTER_PAGES = 7;
constexpr uint64_t REACH = 1ull << 32;
constexpr uint64_t PTE_PRESENT = 1, PTE_WRITE = 2, PTE_LARGE = 1u << 7;

static uint64_t *enter_pages;

// As enter.S reads it.
struct jump {
    uint64_t code, root, to, from, bytes, entry, handover;
};
[[noreturn]] void machine_jump(const struct jump *jump);
extern const char machine_copy[], machine_copy_end[];

bool machine_prepare(void)
{
    constexpr unsigned entries = PAGE_SIZE / sizeof(uint64_t);
    enter_pages = pages_take(ENTER_PAGES * PAGE_SIZE, REACH);
    if (enter_pages == nullptr)
        return false;
    memcpy(enter_pages, machine_copy, (size_t)(machine_copy_end - machine_copy));
    uint64_t *root = enter_pages + entries, *middle = root + entries, *low = middle + entries;
    root[0] = (uint64_t)middle | PTE_WRITE | PTE_PRESENT;
    for (unsigned i = 0; i < 4; i++)
        middle[i] = (uint64_t)(low + i * entries) | PTE_WRITE | PTE_PRESENT;
    for (uint64_t i = 0; i < 4 * entries; i++)
        low[i] = i * (REACH / (4 * entries)) | PTE_LARGE | PTE_WRITE | PTE_PRESENT;
    return true;
}

void machine_enter(const struct kernel *kernel, uint64_t handover)
{
    const struct jump jump = {
        .code = (uint64_t)enter_pages,
        .root = (uint64_t)enter_pages + PAGE_SIZE,
        .to = kernel->start,
        .from = kernel->staged,
        .bytes = kernel->bytes,
        .entry = kernel->entry,
        .handover = handover,
    };
    machine_jump(&jump);
}

void machine_clean(const void *start, uint64_t bytes)
{
    (void)start;
    (void)bytes;
}
