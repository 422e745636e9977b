// SPDX-License-Identifier: MIT
//
// The boot bundle, mapped whole and read-only. It comes from whoever started the machine, and a
// broken one must give a message rather than a fault: every bound is checked on each lookup.
#include "init.h"

static const struct abi_bundle *bundle;
static uint64_t bundle_bytes;
static vmo_t bundle_vmo;

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
    bundle_vmo = vmo;
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

status_t bundle_slice(account_t account, const char *name, vmo_t *vmo)
{
    uint64_t bytes = 0;
    const uint8_t *file = bundle_find(name, &bytes);
    if (file == nullptr || bytes == 0)
        return STATUS_NOT_FOUND;
    const uint64_t offset = (uint64_t)(file - (const uint8_t *)bundle);
    const uint64_t whole = align_up(bytes, PAGE_SIZE);
    if (offset % PAGE_SIZE != 0 || whole > bundle_bytes - offset)
        return STATUS_INVALID;
    return vmo_slice(account, bundle_vmo, offset, whole,
                     RIGHT_DUPLICATE | RIGHT_TRANSFER | RIGHT_INSPECT | RIGHT_READ | RIGHT_MAP,
                     vmo);
}
