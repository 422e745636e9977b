// SPDX-License-Identifier: MIT
//
// See store.h.

#include "store.h"

#include <lib/string.h>
#include <lib/types.h>
#include <sdk/memory.h>
#include <sdk/start.h>
#include <sdk/thread.h>

constexpr uint64_t WINDOW_BYTES = 64 * PAGE_SIZE;

status_t store_open(struct store *store, vmo_t memory)
{
    uint64_t unused;
    status_t status = object_inspect((handle_t){memory.value}, &unused);
    if (status != STATUS_OK)
        return status;
    const struct abi_inspect *inspect = (const void *)message_buffer()->data;
    *store = (struct store){.memory = memory, .bytes = inspect->vmo.bytes};
    store->window = memory_reserve(WINDOW_BYTES, WINDOW_BYTES);
    return store->bytes != 0 ? STATUS_OK : STATUS_INVALID;
}

// Has the window show what is at `offset`.
static status_t show(struct store *store, uint64_t offset)
{
    const uint64_t where = align_down(offset, WINDOW_BYTES);
    if (store->mapped != 0 && store->where == where)
        return STATUS_OK;
    if (store->mapped != 0)
        (void)vm_unmap(start.aspace, store->window);
    store->where = where;
    store->mapped = store->bytes - where < WINDOW_BYTES ? store->bytes - where : WINDOW_BYTES;
    status_t status =
        vm_map(start.aspace, store->memory, where, store->window, store->mapped, PROT_READ);
    if (status != STATUS_OK)
        store->mapped = 0;
    return status;
}

status_t store_read(struct store *store, uint64_t offset, uint8_t *to, uint64_t bytes)
{
    while (bytes > 0) {
        status_t status = show(store, offset);
        if (status != STATUS_OK)
            return status;
        const uint64_t skip = offset - store->where;
        const uint64_t part = store->mapped - skip < bytes ? store->mapped - skip : bytes;
        memcpy(to, (const uint8_t *)store->window + skip, part);
        offset += part;
        to += part;
        bytes -= part;
    }
    return STATUS_OK;
}
