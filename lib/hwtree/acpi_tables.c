// SPDX-License-Identifier: MIT
//
// The list of tables: see <hwtree/front.h>. ACPI 6.5, 5.2.5 to 5.2.8.
#include <hwtree/front.h>
#include <lib/acpi_tables.h>
#include <lib/string.h>

constexpr uint32_t TABLE_BYTES_MAX = 1024 * 1024;

static bool sums_to_zero(const void *start, uint64_t bytes)
{
    uint8_t sum = 0;
    for (uint64_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)start)[i]);
    return sum == 0;
}

static void add_bad(struct hwtree_acpi *acpi, const char *signature)
{
    if (acpi->bad == HWTREE_ACPI_TABLES)
        return;
    char *name = acpi->bad_names[acpi->bad++];
    for (unsigned i = 0; i < ACPI_NAMESEG_SIZE; i++)
        name[i] = signature[i] > ' ' && signature[i] <= '~' ? signature[i] : '?';
}

// Two tables have no sum: the FACS, and what is no table at all.
bool hwtree_acpi_add(struct hwtree_acpi *acpi, const void *table, uint64_t bytes)
{
    struct acpi_table_header header;
    if (bytes < sizeof(header)) {
        add_bad(acpi, "????");
        return false;
    }
    memcpy(&header, table, sizeof(header));
    if (memcmp(header.signature, ACPI_SIG_FACS, ACPI_NAMESEG_SIZE) == 0)
        return true;
    if (header.length < sizeof(header) || header.length > bytes ||
        header.length > TABLE_BYTES_MAX || !sums_to_zero(table, header.length) ||
        acpi->count == HWTREE_ACPI_TABLES) {
        add_bad(acpi, header.signature);
        return false;
    }
    acpi->tables[acpi->count].table = table;
    acpi->tables[acpi->count++].bytes = header.length;
    return true;
}

// The whole table at an address, its length at most TABLE_BYTES_MAX; its sum is not looked at.
static const void *map_table(hwtree_acpi_map *map, void *context, uint64_t address,
                             uint32_t *length)
{
    struct acpi_table_header header;
    const void *table = address != 0 ? map(context, address, sizeof(header)) : nullptr;
    if (table == nullptr)
        return nullptr;
    memcpy(&header, table, sizeof(header));
    *length = header.length;
    if (header.length < sizeof(header) || header.length > TABLE_BYTES_MAX)
        return nullptr;
    table = map(context, address, header.length);
    if (table == nullptr)
        return nullptr;
    memcpy(&header, table, sizeof(header));
    return header.length == *length ? table : nullptr;
}

// No list names the DSDT.
static void add_dsdt(struct hwtree_acpi *acpi, hwtree_acpi_map *map, void *context)
{
    for (unsigned i = 0; i < acpi->count; i++) {
        struct acpi_table_fadt fadt = {};
        uint32_t bytes = acpi->tables[i].bytes;
        memcpy(&fadt, acpi->tables[i].table, bytes < sizeof(fadt) ? bytes : sizeof(fadt));
        if (memcmp(fadt.header.signature, ACPI_SIG_FADT, ACPI_NAMESEG_SIZE) != 0)
            continue;
        uint64_t address = fadt.Xdsdt != 0 ? fadt.Xdsdt : fadt.dsdt;
        const void *table = map_table(map, context, address, &bytes);
        if (table != nullptr && memcmp(table, ACPI_SIG_DSDT, ACPI_NAMESEG_SIZE) == 0)
            (void)hwtree_acpi_add(acpi, table, bytes);
        else if (address != 0)
            add_bad(acpi, ACPI_SIG_DSDT);
        return;
    }
}

static bool read_list(struct hwtree_acpi *acpi, hwtree_acpi_map *map, void *context,
                      uint64_t address, const char *signature, uint32_t width)
{
    uint32_t length;
    const char *list = map_table(map, context, address, &length);
    if (list == nullptr || memcmp(list, signature, ACPI_NAMESEG_SIZE) != 0 ||
        !sums_to_zero(list, length))
        return false;
    for (uint32_t at = sizeof(struct acpi_table_header); at + width <= length; at += width) {
        uint64_t entry = 0;
        uint32_t bytes;
        memcpy(&entry, list + at, width); // little-endian, not aligned
        if (entry == 0)
            continue;
        const void *table = map_table(map, context, entry, &bytes);
        if (table != nullptr)
            (void)hwtree_acpi_add(acpi, table, bytes);
        else
            add_bad(acpi, "????");
    }
    add_dsdt(acpi, map, context);
    return true;
}

bool hwtree_acpi_find(struct hwtree_acpi *acpi, hwtree_acpi_map *map, void *context,
                      uint64_t rsdp_address)
{
    struct acpi_table_rsdp rsdp = {};
    const void *at = map(context, rsdp_address, sizeof(struct acpi_rsdp_common));
    *acpi = (struct hwtree_acpi){};
    if (at == nullptr || !sums_to_zero(at, sizeof(struct acpi_rsdp_common)))
        return false;
    memcpy(&rsdp, at, sizeof(struct acpi_rsdp_common));
    // ACPI 1.0, as QEMU's q35 has it, ends here; later ones go on.
    if (rsdp.revision >= 2 && (at = map(context, rsdp_address, sizeof(rsdp))) != nullptr)
        memcpy(&rsdp, at, sizeof(rsdp));
    if (memcmp(rsdp.signature, ACPI_SIG_RSDP, sizeof(rsdp.signature)) != 0)
        return false;
    return read_list(acpi, map, context, rsdp.xsdt_physical_address, ACPI_SIG_XSDT, 8) ||
           read_list(acpi, map, context, rsdp.rsdt_physical_address, ACPI_SIG_RSDT, 4);
}
