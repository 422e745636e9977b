// SPDX-License-Identifier: MIT
//
// RAM, page tables as a processor walks them, and TLBs: a translation that was used once can be
// used again, whatever the tables say by then, until it is flushed (M6, M7).
#include <stdio.h>
#include <stdlib.h>

#include "host.h"
#include "pages.h"

uint8_t *host_ram;
uint64_t host_ram_bytes;
struct host_tlb_entry host_tlb[HOST_CPUS][HOST_TLB_ENTRIES];
bool host_tlb_broadcasts;

static struct {
    paddr_t root;
    uint16_t asid;
    unsigned next; // TLB entry to replace
} loaded[HOST_CPUS];
static uint32_t asid_limit;
constexpr uint64_t ROOT_MARK = 0x526f'6f74'0000'0000; // not present

void host_mmu_reset(size_t ram_bytes, uint32_t limit);
void host_mmu_reset(size_t ram_bytes, uint32_t limit)
{
    if (host_ram)
        pages_delete(host_ram, host_ram_bytes);
    host_ram = pages_new(ram_bytes);
    host_ram_bytes = ram_bytes;
    asid_limit = limit;
    host_tlb_broadcasts = limit != 0; // with address-space numbers: as AArch64
    memset(host_tlb, 0, sizeof host_tlb);
    memset(loaded, 0, sizeof loaded);
}

void host_bad_address(uint64_t address)
{
    fprintf(stderr, "host: 0x%llx is not RAM\n", (unsigned long long)address);
    abort();
}

// A root is marked behind the entries of user space, which no walk reaches.
void arch_root_init(pte_t *root)
{
    root[511].value = ROOT_MARK;
}

uint32_t arch_asid_limit(void)
{
    return asid_limit;
}

void host_root_load(paddr_t root, uint16_t asid)
{
    unsigned cpu = host_running->number;
    if (((const pte_t *)arch_ram(root))[511].value != ROOT_MARK)
        host_bad_address(root.value);
    loaded[cpu].root = root;
    loaded[cpu].asid = asid;
    if (asid_limit == 0)
        memset(host_tlb[cpu], 0, sizeof host_tlb[cpu]);
}

static bool shows(const struct host_tlb_entry *entry, uint64_t address)
{
    return address - entry->page < entry->bytes;
}

static bool reaches(unsigned cpu)
{
    return host_tlb_broadcasts || cpu == host_running->number;
}

void host_tlb_flush_page(uint16_t asid, uint64_t address)
{
    for (unsigned cpu = 0; cpu < HOST_CPUS; cpu++)
        for (unsigned i = 0; reaches(cpu) && i < HOST_TLB_ENTRIES; i++)
            if (host_tlb[cpu][i].asid == asid && shows(&host_tlb[cpu][i], address))
                host_tlb[cpu][i].valid = false;
}

void host_tlb_flush_asid(uint16_t asid)
{
    for (unsigned cpu = 0; cpu < HOST_CPUS; cpu++)
        for (unsigned i = 0; reaches(cpu) && i < HOST_TLB_ENTRIES; i++)
            if (host_tlb[cpu][i].asid == asid)
                host_tlb[cpu][i].valid = false;
}

static bool walk(paddr_t root, uint64_t address, struct host_tlb_entry *found)
{
    paddr_t table = root;
    for (unsigned level = 3;; level--) {
        const pte_t *entries = arch_ram(table);
        pte_t entry = entries[address >> (PAGE_SHIFT + 9 * level) & 511];
        if (!pte_present(entry))
            return false;
        if (level == 0 || (level == 1 && pte_large(entry))) {
            found->bytes = (uint64_t)PAGE_SIZE << 9 * level;
            found->page = align_down(address, found->bytes);
            found->leaf = entry;
            if (pte_address(entry).value % found->bytes != 0)
                host_bad_address(pte_address(entry).value);
            return true;
        }
        table = pte_address(entry);
    }
}

// What is to be held must not be shown by another entry in part.
static void expect_no_conflict(unsigned cpu, const struct host_tlb_entry *walked)
{
    for (unsigned i = 0; i < HOST_TLB_ENTRIES; i++) {
        const struct host_tlb_entry *entry = &host_tlb[cpu][i];
        if (!entry->valid || entry->asid != walked->asid ||
            (!shows(entry, walked->page) && !shows(walked, entry->page)))
            continue;
        fprintf(stderr, "host: two translations of 0x%llx\n", (unsigned long long)walked->page);
        abort();
    }
}

bool host_access(unsigned cpu, uint64_t address, enum host_access kind, paddr_t *physical)
{
    static const uint64_t needed[] = {PROT_READ, PROT_WRITE, PROT_EXECUTE};
    if (loaded[cpu].root.value == 0 || address >= ABI_USER_MAX)
        return false;
    struct host_tlb_entry *found = nullptr;
    for (unsigned i = 0; i < HOST_TLB_ENTRIES && !found; i++) {
        struct host_tlb_entry *entry = &host_tlb[cpu][i];
        if (entry->valid && entry->asid == loaded[cpu].asid && shows(entry, address))
            found = entry;
    }
    if (!found) {
        struct host_tlb_entry walked = {.valid = true, .asid = loaded[cpu].asid};
        if (!walk(loaded[cpu].root, address, &walked))
            return false;
        expect_no_conflict(cpu, &walked);
        found = &host_tlb[cpu][loaded[cpu].next++ % HOST_TLB_ENTRIES];
        *found = walked;
    }
    if (!(pte_protection(found->leaf) & needed[kind]))
        return false;
    *physical = paddr_add(pte_address(found->leaf), address - found->page);
    return true;
}

// ---- caches: only written down

struct host_maintenance host_maintenance[HOST_MAINTENANCE];
unsigned host_maintenance_count;

static void note(enum host_maintenance_kind kind, const void *start, size_t bytes)
{
    host_maintenance[host_maintenance_count++ % HOST_MAINTENANCE] =
        (struct host_maintenance){kind, arch_ram_address(start), bytes};
}

void arch_code_sync(void *start, size_t bytes)
{
    note(HOST_CODE_SYNC, start, bytes);
}

void arch_dma_clean(const void *start, size_t bytes)
{
    note(HOST_DMA_CLEAN, start, bytes);
}

void arch_dma_invalidate(const void *start, size_t bytes)
{
    note(HOST_DMA_INVALIDATE, start, bytes);
}
