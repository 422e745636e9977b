// SPDX-License-Identifier: MIT
//
// Finding ACPI tables: see <platform/acpi.h>. Structures are those of ACPI 6.5, 5.2.5 to 5.2.8,
// with ACPICA's layouts.
#include <platform/acpi.h>

#include <arch/arch.h>
#include <lib/acpi_tables.h>
#include <lib/string.h>
#include <platform/boot_info.h>

static bool sums_to_zero(const void *start, size_t bytes)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum += ((const uint8_t *)start)[i];
    return sum == 0;
}

// Revision 0 has only the first part; later ones state a length and have a second checksum.
static bool rsdp_is_sound(const struct acpi_table_rsdp *rsdp)
{
    if (memcmp(rsdp->signature, ACPI_SIG_RSDP, sizeof(rsdp->signature)) != 0 ||
        !sums_to_zero(rsdp, sizeof(struct acpi_rsdp_common)))
        return false;
    return rsdp->revision < 2 || (rsdp->length >= sizeof(*rsdp) && rsdp->length <= PAGE_SIZE &&
                                  sums_to_zero(rsdp, sizeof(*rsdp)));
}

paddr_t acpi_scan(paddr_t start, size_t bytes)
{
    const char *area = arch_device_map(start, bytes, ARCH_MEMORY_NORMAL);
    if (area == nullptr)
        return (paddr_t){0};
    for (size_t at = 0; at + sizeof(struct acpi_table_rsdp) <= bytes; at += 16)
        if (rsdp_is_sound((const struct acpi_table_rsdp *)(area + at)))
            return paddr_add(start, at);
    return (paddr_t){0};
}

// Maps the header of the table at `address`; its length is sensible. nullptr: it is not.
static const struct acpi_table_header *table_header(uint64_t address)
{
    const struct acpi_table_header *header =
        arch_device_map((paddr_t){address}, sizeof(*header), ARCH_MEMORY_NORMAL);
    if (header == nullptr) {
        klog("acpi: the table at 0x%lx cannot be mapped, ignored", address);
        return nullptr;
    }
    if (header->length < sizeof(*header) || header->length > ACPI_TABLE_BYTES_MAX) {
        klog("acpi: the table at 0x%lx says that it has %u bytes, ignored", address,
             header->length);
        return nullptr;
    }
    return header;
}

// Maps the whole table and checks its sum.
static const struct acpi_table_header *table_open(uint64_t address, const char *name)
{
    const struct acpi_table_header *header = table_header(address);
    if (header == nullptr)
        return nullptr;
    header = arch_device_map((paddr_t){address}, header->length, ARCH_MEMORY_NORMAL);
    if (header == nullptr) {
        klog("acpi: table %s at 0x%lx cannot be mapped, ignored", name, address);
        return nullptr;
    }
    if (!sums_to_zero(header, header->length)) {
        klog("acpi: table %s at 0x%lx has a wrong checksum, ignored", name, address);
        return nullptr;
    }
    return header;
}

static void list_add(struct acpi *acpi, uint64_t address)
{
    if (address == 0)
        return;
    const struct acpi_table_header *header = table_header(address);
    if (header == nullptr)
        return;
    if (acpi->count == ACPI_TABLES_MAX) {
        klog("acpi: more than %u tables, the one at 0x%lx is ignored", ACPI_TABLES_MAX, address);
        return;
    }
    memcpy(acpi->tables[acpi->count].signature, header->signature, ACPI_NAMESEG_SIZE);
    acpi->tables[acpi->count].bytes = header->length;
    acpi->tables[acpi->count++].address = address;
}

// Reads an RSDT or XSDT: a header, then addresses of `width` bytes each.
static bool list_read(struct acpi *acpi, uint64_t address, const char *name, size_t width)
{
    const struct acpi_table_header *header = table_open(address, name);
    if (header == nullptr)
        return false;
    if (memcmp(header->signature, name, ACPI_NAMESEG_SIZE) != 0) {
        klog("acpi: what should be the %s at 0x%lx is something else", name, address);
        return false;
    }
    const char *entries = (const char *)(header + 1);
    const size_t count = (header->length - sizeof(*header)) / width;
    for (size_t i = 0; i < count; i++) {
        uint64_t entry = 0;
        memcpy(&entry, entries + i * width, width); // little-endian, not aligned
        list_add(acpi, entry);
    }
    return true;
}

bool acpi_open(struct acpi *acpi, paddr_t address)
{
    *acpi = (struct acpi){};
    const struct acpi_table_rsdp *rsdp =
        arch_device_map(address, sizeof(*rsdp), ARCH_MEMORY_NORMAL);
    if (rsdp == nullptr || !rsdp_is_sound(rsdp)) {
        klog("acpi: there is no sound RSDP at 0x%lx", address.value);
        return false;
    }
    if (rsdp->revision >= 2 && rsdp->xsdt_physical_address != 0 &&
        list_read(acpi, rsdp->xsdt_physical_address, ACPI_SIG_XSDT, sizeof(uint64_t)))
        return true;
    return rsdp->rsdt_physical_address != 0 &&
           list_read(acpi, rsdp->rsdt_physical_address, ACPI_SIG_RSDT, sizeof(uint32_t));
}

const void *acpi_find(const struct acpi *acpi, const char *signature, size_t at_least,
                      size_t *bytes)
{
    for (unsigned i = 0; i < acpi->count; i++) {
        if (memcmp(acpi->tables[i].signature, signature, ACPI_NAMESEG_SIZE) != 0)
            continue;
        const struct acpi_table_header *header = table_open(acpi->tables[i].address, signature);
        if (header == nullptr)
            continue;
        if (header->length < at_least) {
            klog("acpi: table %s has only %u bytes, ignored", signature, header->length);
            continue;
        }
        *bytes = header->length;
        return header;
    }
    return nullptr;
}

static void reserve(struct boot_info *boot, uint64_t address, uint64_t bytes)
{
    if (boot_find_ram(boot, address, address) != nullptr)
        boot_add_reserved(boot, address, address + bytes);
}

void acpi_reserve_tables(const struct acpi *acpi, struct boot_info *boot)
{
    reserve(boot, boot->tables.value, ACPI_RSDP_BYTES);
    for (unsigned i = 0; i < acpi->count; i++)
        reserve(boot, acpi->tables[i].address, acpi->tables[i].bytes);
}
