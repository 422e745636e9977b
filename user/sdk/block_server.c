// SPDX-License-Identifier: MIT
//
// See sdk/block_server.h.

#include <sdk/block_server.h>

#include <lib/types.h>
#include <sdk/memory.h>
#include <sdk/syscalls.h>

static bool shape_allowed(const struct block_attach_request *request, uint64_t data_max)
{
    const uint32_t capacity = request->capacity;
    return capacity > 0 && capacity <= BLOCK_MAX_CAPACITY && (capacity & (capacity - 1)) == 0 &&
           request->data_bytes > 0 && request->data_bytes <= data_max &&
           request->data_bytes % PAGE_SIZE == 0 && request->data_offset % PAGE_SIZE == 0 &&
           request->data_offset >= block_data(capacity) &&
           request->data_offset - block_data(capacity) <= data_max;
}

void block_share_take(struct block_share *share, const struct block_attach_request *request)
{
    *share = (struct block_share){.requests = request->requests,
                                  .completions = request->completions,
                                  .memory = request->memory};
}

status_t block_share_map(struct block_share *share, const struct block_attach_request *request,
                         uint64_t data_max, bool data)
{
    if (!shape_allowed(request, data_max))
        return BLOCK_BAD_RING;
    const uint32_t capacity = request->capacity;
    const uint64_t bytes = data ? request->data_offset + request->data_bytes : block_data(capacity);
    void *mapped;
    status_t status = memory_map_vmo(share->memory, 0, bytes, PROT_READ | PROT_WRITE, &mapped);
    if (status != STATUS_OK)
        return status;
    share->mapped = mapped;
    const bool sound =
        ring_start(&share->submitted, share->mapped, capacity, sizeof(struct block_request)) &&
        ring_start(&share->completed, share->mapped + block_completions(capacity), capacity,
                   sizeof(struct block_completion));
    return sound ? STATUS_OK : BLOCK_BAD_RING;
}

static void close_handle(uint64_t handle)
{
    if (handle != 0)
        (void)handle_close((handle_t){handle});
}

void block_share_close(struct block_share *share)
{
    if (share->mapped != nullptr)
        (void)memory_unmap(share->mapped);
    close_handle(share->memory.value);
    close_handle(share->requests.value);
    close_handle(share->completions.value);
    *share = (struct block_share){};
}
