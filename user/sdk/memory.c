// SPDX-License-Identifier: MIT
//
// See memory.h.
#include <sdk/memory.h>

#include <lib/types.h>
#include <sdk/start.h>

static uint64_t next_free = MEMORY_FIRST;

uint64_t memory_reserve(uint64_t bytes, uint64_t alignment)
{
    uint64_t address = align_up(next_free + PAGE_SIZE, alignment);
    next_free = address + align_up(bytes, PAGE_SIZE);
    return address;
}

status_t memory_map_vmo(vmo_t vmo, uint64_t offset, uint64_t bytes, uint64_t protection,
                        void **address)
{
    if (bytes == 0 || bytes > ABI_USER_MAX)
        return STATUS_INVALID;
    uint64_t at = memory_reserve(bytes, PAGE_SIZE);
    status_t status = vm_map(start.aspace, vmo, offset, at, align_up(bytes, PAGE_SIZE), protection);
    *address = status == STATUS_OK ? (void *)at : nullptr;
    return status;
}

status_t memory_create(uint64_t bytes, uint64_t flags, vmo_t *vmo, void **address)
{
    status_t status = vmo_create(start.account, bytes, flags, vmo);
    if (status != STATUS_OK)
        return status;
    status = memory_map_vmo(*vmo, 0, bytes, PROT_READ | PROT_WRITE, address);
    if (status != STATUS_OK)
        handle_close((handle_t){vmo->value});
    return status;
}

status_t memory_map(uint64_t bytes, void **address)
{
    vmo_t vmo;
    status_t status = memory_create(bytes, 0, &vmo, address);
    if (status == STATUS_OK)
        handle_close((handle_t){vmo.value}); // the mapping keeps the memory
    return status;
}

status_t memory_unmap(const void *address)
{
    return vm_unmap(start.aspace, (uintptr_t)address);
}
