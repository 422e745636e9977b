// SPDX-License-Identifier: MIT
//
// The boot bundle's own account of itself (struct abi_bundle). Whether its files are what they were
// is a matter of the sum in boot.conf.
#include <lib/string.h>
#include <lib/types.h>

#include "loader.h"

static const char *check_entry(const struct abi_bundle_entry *entry, uint64_t header_bytes,
                               uint64_t bytes)
{
    if (entry->name[0] == '\0' || strnlen(entry->name, sizeof(entry->name)) == sizeof(entry->name))
        return "a file in it has no proper name";
    if (entry->offset % ABI_PAGE_SIZE != 0 || entry->offset < header_bytes ||
        entry->offset > bytes || entry->bytes > bytes - entry->offset)
        return "a file in it reaches beyond its end: it was cut short";
    return nullptr;
}

const char *bundle_check(const void *bundle, uint64_t bytes)
{
    const struct abi_bundle *b = bundle;
    if (bytes < ABI_PAGE_SIZE || bytes % ABI_PAGE_SIZE != 0)
        return "its length is not a whole number of pages";
    if (memcmp(b->magic, "SKBUNDLE", sizeof(b->magic)) != 0)
        return "it does not begin as a boot bundle does";
    if (b->version != 1)
        return "it is of another version than 1";
    if (b->count > (bytes - sizeof(*b)) / sizeof(b->entries[0]))
        return "it says that it holds more files than there is room for";
    const uint64_t header_bytes = sizeof(*b) + b->count * sizeof(b->entries[0]);
    for (uint32_t i = 0; i < b->count; i++) {
        const char *wrong = check_entry(&b->entries[i], header_bytes, bytes);
        if (wrong != nullptr)
            return wrong;
    }
    return nullptr;
}
