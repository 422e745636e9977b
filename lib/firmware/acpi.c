// SPDX-License-Identifier: MIT
//
// ACPI tables: see <firmware/acpi.h>. Layouts are ACPICA's.
#include <firmware/acpi.h>
#include <lib/acpi_tables.h>
#include <lib/string.h>

const char *acpi_fault_text(enum acpi_fault fault)
{
    static const char *const texts[] = {
        [ACPI_SOUND] = "is sound",
        [ACPI_UNMAPPED] = "cannot be mapped",
        [ACPI_BAD_LENGTH] = "has a wrong length",
        [ACPI_BAD_SUM] = "has a wrong checksum",
        [ACPI_OTHER_TABLE] = "is something else",
    };
    return texts[fault];
}

static bool sums_to_zero(const void *start, size_t bytes)
{
    uint8_t sum = 0;
    for (size_t i = 0; i < bytes; i++)
        sum = (uint8_t)(sum + ((const uint8_t *)start)[i]);
    return sum == 0;
}

// ---- the list of tables

// Revision 0 has only the first part; later ones state a length and have a second checksum.
bool acpi_is_rsdp(const void *at)
{
    const struct acpi_table_rsdp *rsdp = at;
    if (memcmp(rsdp->signature, ACPI_SIG_RSDP, sizeof(rsdp->signature)) != 0 ||
        !sums_to_zero(rsdp, sizeof(struct acpi_rsdp_common)))
        return false;
    return rsdp->revision < 2 ||
           (rsdp->length >= sizeof(*rsdp) && sums_to_zero(rsdp, sizeof(*rsdp)));
}

static bool read_rsdp(const struct acpi_tables *tables, uint64_t address,
                      struct acpi_table_rsdp *rsdp)
{
    static_assert(sizeof(*rsdp) == ACPI_RSDP_BYTES);
    size_t bytes = sizeof(struct acpi_rsdp_common);
    const void *at = tables->map(tables->context, address, bytes);
    *rsdp = (struct acpi_table_rsdp){};
    if (at == nullptr)
        return false;
    memcpy(rsdp, at, bytes);
    if (rsdp->revision >= 2) {
        bytes = sizeof(*rsdp);
        at = tables->map(tables->context, address, bytes);
        if (at == nullptr)
            return false;
        memcpy(rsdp, at, bytes);
    }
    return acpi_is_rsdp(rsdp);
}

static void set_header(struct acpi_table *table, const void *at)
{
    struct acpi_table_header header;
    memcpy(&header, at, sizeof(header));
    for (unsigned i = 0; i < ACPI_NAMESEG_SIZE; i++) {
        const char c = header.signature[i];
        table->signature[i] = c > ' ' && c <= '~' ? c : '?';
    }
    table->bytes = header.length;
    if (header.length < sizeof(header) || header.length > ACPI_TABLE_BYTES_MAX)
        table->fault = ACPI_BAD_LENGTH;
}

static struct acpi_table at_address(const struct acpi_tables *tables, uint64_t address,
                                    const char *signature)
{
    struct acpi_table table = {.address = address, .signature = "????"};
    const void *header = tables->map(tables->context, address, sizeof(struct acpi_table_header));
    if (header != nullptr)
        set_header(&table, header);
    else
        table.fault = ACPI_UNMAPPED;
    if (signature != nullptr) {
        if (table.fault == ACPI_SOUND && !acpi_table_is(&table, signature))
            table.fault = ACPI_OTHER_TABLE;
        memcpy(table.signature, signature, ACPI_NAMESEG_SIZE);
    }
    return table;
}

static struct acpi_table *list(struct acpi_tables *tables, const struct acpi_table *table)
{
    if (tables->count == ACPI_TABLES_MAX) {
        tables->left_out++;
        return nullptr;
    }
    tables->list[tables->count] = *table;
    return &tables->list[tables->count++];
}

struct acpi_table *acpi_tables_add(struct acpi_tables *tables, uint64_t address,
                                   const char *signature)
{
    const struct acpi_table table = at_address(tables, address, signature);
    return list(tables, &table);
}

static void open_at(struct acpi_table *table, const void *at)
{
    if (at == nullptr)
        table->fault = ACPI_UNMAPPED;
    else if (!sums_to_zero(at, table->bytes))
        table->fault = ACPI_BAD_SUM;
    else
        table->at = at;
}

struct acpi_table *acpi_tables_put(struct acpi_tables *tables, const void *at, uint64_t bytes)
{
    struct acpi_table table = {.signature = "????", .fault = ACPI_BAD_LENGTH};
    if (bytes >= sizeof(struct acpi_table_header)) {
        table.fault = ACPI_SOUND;
        set_header(&table, at);
    }
    if (table.fault == ACPI_SOUND && table.bytes > bytes)
        table.fault = ACPI_BAD_LENGTH;
    if (table.fault == ACPI_SOUND)
        open_at(&table, at);
    return list(tables, &table);
}

const void *acpi_table_open(const struct acpi_tables *tables, struct acpi_table *table)
{
    if (table->at == nullptr && table->fault == ACPI_SOUND)
        open_at(table, tables->map(tables->context, table->address, table->bytes));
    return table->at;
}

bool acpi_table_is(const struct acpi_table *table, const char *signature)
{
    return memcmp(table->signature, signature, ACPI_NAMESEG_SIZE) == 0;
}

// An RSDT or XSDT: a header, then addresses of `width` bytes each.
static bool read_list(struct acpi_tables *tables, uint64_t address, const char *signature,
                      uint32_t width)
{
    if (address == 0)
        return false;
    struct acpi_table table = at_address(tables, address, signature);
    const char *start = acpi_table_open(tables, &table);
    if (start == nullptr) {
        list(tables, &table);
        return false;
    }
    for (uint32_t at = sizeof(struct acpi_table_header); table.bytes - at >= width; at += width) {
        uint64_t entry = 0;
        memcpy(&entry, start + at, width); // little-endian, not aligned
        if (entry != 0)
            acpi_tables_add(tables, entry, nullptr);
    }
    return true;
}

bool acpi_tables_read(struct acpi_tables *tables, uint64_t address)
{
    struct acpi_table_rsdp rsdp;
    return read_rsdp(tables, address, &rsdp) &&
           (read_list(tables, rsdp.xsdt_physical_address, ACPI_SIG_XSDT, sizeof(uint64_t)) ||
            read_list(tables, rsdp.rsdt_physical_address, ACPI_SIG_RSDT, sizeof(uint32_t)));
}

// ---- what is in a table

bool acpi_copy(const struct acpi_piece *piece, void *to, size_t bytes, size_t least)
{
    if (piece->bytes < least)
        return false;
    memset(to, 0, bytes);
    memcpy(to, piece->at, piece->bytes < bytes ? piece->bytes : bytes);
    return true;
}

struct acpi_piece acpi_part(const struct acpi_piece *piece, uint64_t offset, uint64_t bytes)
{
    struct acpi_piece part = {.table = piece->table};
    if (offset > piece->bytes || bytes > piece->bytes - offset)
        return part;
    part.at = piece->at + offset;
    part.bytes = (uint32_t)bytes;
    part.offset = piece->offset + (uint32_t)offset;
    return part;
}

bool acpi_next_entry(const struct acpi_piece *table, uint32_t *at, enum acpi_form form,
                     uint32_t *type, struct acpi_piece *entry)
{
    const uint32_t type_bytes = form == ACPI_16_16 ? 2 : 1, length_bytes = form == ACPI_8_8 ? 1 : 2;
    const uint32_t head = type_bytes + length_bytes;
    uint32_t length = 0;
    *type = 0;
    *entry = (struct acpi_piece){.table = table->table, .offset = table->offset + *at};
    if (*at >= table->bytes)
        return false;
    if (table->bytes - *at >= head) {
        memcpy(type, table->at + *at, type_bytes);
        memcpy(&length, table->at + *at + type_bytes, length_bytes);
    }
    if (length < head || length > table->bytes - *at)
        return false;
    entry->at = table->at + *at;
    entry->bytes = length;
    *at += length;
    return true;
}
