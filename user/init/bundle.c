// SPDX-License-Identifier: MIT
//
// The boot bundle, mapped whole and read-only. It comes from whoever started the machine, and a
// broken one must give a message rather than a fault: every bound is checked on each lookup.
#include "init.h"

static const struct abi_bundle *bundle;
static uint64_t bundle_bytes;

const char *bundle_open(vmo_t vmo)
{
    uint64_t unused;
    if (object_inspect((handle_t){vmo.value}, &unused) != STATUS_OK)
        return "cannot be inspected";
    struct abi_inspect inspect;
    memcpy(&inspect, message_buffer()->data, sizeof(inspect));
    bundle_bytes = inspect.vmo.bytes;
    void *address;
    status_t status = memory_map_vmo(vmo, 0, bundle_bytes, PROT_READ, &address);
    if (status != STATUS_OK)
        return status_name(status);
    const struct abi_bundle *header = address;
    if (bundle_bytes < sizeof(*header) || memcmp(header->magic, "SKBUNDLE", 8) != 0)
        return "not a bundle";
    if (header->version != 1)
        return "another version";
    if (header->count > (bundle_bytes - sizeof(*header)) / sizeof(struct abi_bundle_entry))
        return "cut";
    bundle = header;
    return nullptr;
}

const void *bundle_find(const char *name, uint64_t *bytes)
{
    for (uint32_t i = 0; bundle != nullptr && i < bundle->count; i++) {
        const struct abi_bundle_entry *entry = &bundle->entries[i];
        if (strncmp(entry->name, name, sizeof(entry->name)) != 0)
            continue;
        if (entry->offset > bundle_bytes || entry->bytes > bundle_bytes - entry->offset)
            return nullptr;
        *bytes = entry->bytes;
        return (const uint8_t *)bundle + entry->offset;
    }
    return nullptr;
}
