// SPDX-License-Identifier: MIT
//
// ACPI tables for the kernel's start: see <platform/acpi.h>.
#include <platform/acpi.h>

#include <arch/arch.h>
#include <platform/boot_info.h>

static const void *map(void *context, uint64_t address, uint64_t bytes)
{
    (void)context;
    return arch_device_map((paddr_t){address}, bytes, ARCH_MEMORY_NORMAL);
}

static void complain(const struct acpi_table *table)
{
    klog("acpi: table %s at 0x%lx %s, ignored", table->signature, table->address,
         acpi_fault_text(table->fault));
}

paddr_t acpi_scan(paddr_t start, size_t bytes)
{
    const char *area = map(nullptr, start.value, bytes);
    if (area == nullptr)
        return (paddr_t){0};
    for (size_t at = 0; at + ACPI_RSDP_BYTES <= bytes; at += 16)
        if (acpi_is_rsdp(area + at))
            return paddr_add(start, at);
    return (paddr_t){0};
}

bool acpi_open(struct acpi_tables *acpi, paddr_t address)
{
    *acpi = (struct acpi_tables){.map = map};
    const bool found = acpi_tables_read(acpi, address.value);
    if (!found)
        klog("acpi: the RSDP at 0x%lx is not sound, or leads to no list", address.value);
    for (unsigned i = 0; i < acpi->count; i++)
        if (acpi->list[i].fault != ACPI_SOUND)
            complain(&acpi->list[i]);
    if (acpi->left_out > 0)
        klog("acpi: %u tables are more than %u, ignored", acpi->left_out, ACPI_TABLES_MAX);
    return found;
}

struct acpi_piece acpi_find(struct acpi_tables *acpi, const char *signature, size_t least)
{
    for (unsigned i = 0; i < acpi->count; i++) {
        struct acpi_table *table = &acpi->list[i];
        if (!acpi_table_is(table, signature) || table->fault != ACPI_SOUND)
            continue;
        if (acpi_table_open(acpi, table) == nullptr)
            complain(table);
        else if (table->bytes < least)
            klog("acpi: table %s at 0x%lx has only %u bytes, ignored", signature, table->address,
                 table->bytes);
        else
            return (struct acpi_piece){table->at, table->bytes, signature, 0};
    }
    return (struct acpi_piece){.table = signature};
}

bool acpi_next(const struct acpi_piece *table, uint32_t *at, uint32_t *type,
               struct acpi_piece *entry)
{
    if (acpi_next_entry(table, at, ACPI_8_8, type, entry))
        return true;
    if (*at < table->bytes)
        klog("acpi: table %s is broken at byte %u, the rest is ignored", table->table, *at);
    return false;
}

bool acpi_take(const struct acpi_piece *entry, void *to, size_t bytes, size_t least)
{
    if (acpi_copy(entry, to, bytes, least))
        return true;
    klog("acpi: table %s has an entry at byte %u that is too short, ignored", entry->table,
         entry->offset);
    return false;
}

static void reserve(struct boot_info *boot, uint64_t address, uint64_t bytes)
{
    if (boot_find_ram(boot, address, address) != nullptr)
        boot_add_reserved(boot, address, address + bytes);
}

void acpi_reserve_tables(const struct acpi_tables *acpi, struct boot_info *boot)
{
    reserve(boot, boot->tables.value, ACPI_RSDP_BYTES);
    for (unsigned i = 0; i < acpi->count; i++)
        if (acpi->list[i].fault == ACPI_SOUND || acpi->list[i].fault == ACPI_BAD_SUM)
            reserve(boot, acpi->list[i].address, acpi->list[i].bytes);
}
