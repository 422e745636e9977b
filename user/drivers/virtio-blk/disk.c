// SPDX-License-Identifier: MIT
//
// See disk.h. The second page of the device's memory holds, for each slot, the request's header
// and the byte that the device answers.

#include "disk.h"

#include <lib/types.h>
#include <sdk/memory.h>
#include <sdk/start.h>

#include "client.h"
#include "fault.h"

enum feature_bit { FEATURE_SIZE_MAX = 1, FEATURE_SEG_MAX = 2, FEATURE_READ_ONLY = 5 };

enum config_offset { CONFIG_CAPACITY = 0, CONFIG_SIZE_MAX = 8, CONFIG_SEG_MAX = 12 };

enum disk_answer : uint8_t { ANSWER_OK = 0, ANSWER_IO_ERROR = 1, ANSWER_UNSUPPORTED = 2 };

constexpr uint32_t TYPE_IN = 0;
constexpr uint8_t ANSWER_NONE = 0xff;
constexpr uint64_t RESET_NS = 5 * NS_PER_S;

struct slot_memory {
    uint32_t type, reserved; // 5.2.6: struct virtio_blk_req
    uint64_t sector;
    uint8_t answer;
    uint8_t padding[15];
};
constexpr uint32_t HEADER_BYTES = 16;
constexpr uint64_t SLOT_PAGE = VIRTQUEUE_BYTES;
static_assert(sizeof(struct slot_memory) * DISK_SLOTS <= PAGE_SIZE);
static_assert(DISK_MAX_BYTES / PAGE_SIZE <= DISK_MAX_SEGMENTS);

static volatile struct slot_memory *slot_memory(const struct disk *disk, uint32_t slot)
{
    volatile uint8_t *page = (volatile uint8_t *)disk->memory.memory + SLOT_PAGE;
    return (volatile struct slot_memory *)(volatile void *)page + slot;
}

static void read_config(struct disk *disk, uint64_t features)
{
    uint64_t size_max = UINT32_MAX, seg_max = 1;
    bool readable = virtio_config(&disk->virtio, CONFIG_CAPACITY, 8, &disk->sectors);
    if (features & 1u << FEATURE_SIZE_MAX)
        readable = readable && virtio_config(&disk->virtio, CONFIG_SIZE_MAX, 4, &size_max);
    if (features & 1u << FEATURE_SEG_MAX)
        readable = readable && virtio_config(&disk->virtio, CONFIG_SEG_MAX, 4, &seg_max);
    if (!readable)
        fail("the device's configuration cannot be read");
    if (size_max < PAGE_SIZE || seg_max == 0)
        fail("the device takes no segment of a page");
    disk->max_segments = seg_max < DISK_MAX_SEGMENTS ? (uint32_t)seg_max : DISK_MAX_SEGMENTS;
    disk->read_only = (features & 1u << FEATURE_READ_ONLY) != 0;
    if (disk->sectors > UINT64_MAX / BLOCK_SECTOR_BYTES)
        fail("the device claims more sectors than can be addressed");
}

static void start_queue(struct disk *disk)
{
    const char *why = nullptr;
    uint16_t most = virtio_queue_max(&disk->virtio, 0), size = VIRTQUEUE_MAX_SIZE;
    while (size > most)
        size /= 2;
    // Header, one segment and answer are the least that a request takes.
    if (size < 4)
        fail("the device's queue is too small: %u", most);
    if (disk->max_segments > size - 2u)
        disk->max_segments = size - 2u;
    status_t status = dma_create(&disk->memory, &disk->device, 2 * PAGE_SIZE, DMA_BOTH);
    if (status != STATUS_OK)
        fail("no memory for the queue: %s", status_name(status));
    if (!virtqueue_start(&disk->queue, disk->memory.memory, size))
        fail("the device's queue has a size that is no power of two: %u", size);
    dma_sync(&disk->memory, 0, 2 * PAGE_SIZE, SYNC_DEVICE);
    const struct virtio_queue_addresses addresses = {
        .descriptors = disk->memory.addresses[0],
        .available = disk->memory.addresses[0] + VIRTQUEUE_AVAILABLE,
        .used = disk->memory.addresses[0] + VIRTQUEUE_USED,
    };
    disk->notify = virtio_queue_start(&disk->virtio, 0, size, &addresses, &why);
    if (disk->notify == nullptr)
        fail("the device cannot be used: %s", why);
}

void disk_start(struct disk *disk)
{
    const char *why = nullptr;
    status_t status = device_receive(&disk->device);
    if (status != STATUS_OK)
        fail("no device: %s", status_name(status));
    char point[DRIVER_FAULT_BYTES];
    if (device_text(&disk->device, "fault", point, sizeof(point)))
        fault_arm_start(point);
    if (disk->device.interrupt_count == 0 || disk->device.dma.value == 0)
        fail("the device was handed over without interrupt or DMA");
    if (!virtio_open(&disk->virtio, &disk->device, &why))
        fail("the device cannot be used: %s", why);

    status = virtio_reset(&disk->virtio, now_ns() + RESET_NS);
    if (status != STATUS_OK)
        fail(status == STATUS_GONE ? "the device is gone" : "the device does not answer its reset");
    fault_here(FAULT_START_RESET);
    const uint64_t wanted = VIRTIO_F_VERSION_1 | VIRTIO_F_ACCESS_PLATFORM | 1u << FEATURE_SIZE_MAX |
                            1u << FEATURE_SEG_MAX | 1u << FEATURE_READ_ONLY;
    uint64_t features;
    if (!virtio_negotiate(&disk->virtio, wanted, &features, &why))
        fail("the device cannot be used: %s", why);
    fault_here(FAULT_START_FEATURES);
    read_config(disk, features);
    start_queue(disk);
    fault_here(FAULT_START_QUEUE);
    virtio_run(&disk->virtio);
    for (uint32_t i = 0; i < DISK_SLOTS; i++)
        disk->slots[i].next_free = i + 1;
    fault_here(FAULT_START_RUN);
}

bool disk_has_room(const struct disk *disk)
{
    return disk->free_slot < DISK_SLOTS && disk->queue.free_count >= disk->max_segments + 2;
}

static void report(const struct disk *disk)
{
    struct driver_report *page = disk->device.report;
    if (page == nullptr)
        return;
    __atomic_store_n(&page->in_flight, disk->in_flight, __ATOMIC_RELAXED);
    __atomic_store_n(&page->completed, disk->completed, __ATOMIC_RELAXED);
}

// The data of a request as the device sees it, adjacent pages together.
static uint32_t data_segments(const struct dma_buffer *data, uint64_t offset, uint32_t bytes,
                              struct virtqueue_segment *segments, uint32_t max)
{
    uint32_t count = 0;
    while (bytes > 0) {
        uint64_t address = data->addresses[offset / PAGE_SIZE] + offset % PAGE_SIZE;
        uint32_t part = (uint32_t)(PAGE_SIZE - offset % PAGE_SIZE);
        if (part > bytes)
            part = bytes;
        struct virtqueue_segment *last = count > 0 ? &segments[count - 1] : nullptr;
        if (last != nullptr && last->address + last->bytes == address) {
            last->bytes += part;
        } else {
            if (count == max)
                return 0;
            segments[count++] = (struct virtqueue_segment){address, part, true};
        }
        offset += part;
        bytes -= part;
    }
    return count;
}

enum block_status disk_submit(struct disk *disk, struct client *client,
                              const struct block_request *request)
{
    if (request->operation != BLOCK_READ)
        return BLOCK_NOT_SUPPORTED;
    const struct dma_buffer *data = &client->data;
    if (request->sectors == 0 || request->sectors > DISK_MAX_BYTES / BLOCK_SECTOR_BYTES)
        return BLOCK_BAD_REQUEST;
    uint32_t bytes = request->sectors * BLOCK_SECTOR_BYTES;
    if (request->sector > disk->sectors || request->sectors > disk->sectors - request->sector ||
        request->data_offset % BLOCK_SECTOR_BYTES != 0 || bytes > data->bytes ||
        request->data_offset > data->bytes - bytes)
        return BLOCK_BAD_REQUEST;

    uint32_t index = disk->free_slot;
    uint64_t slots = disk->memory.addresses[1], at = index * sizeof(struct slot_memory);
    struct virtqueue_segment segments[DISK_MAX_SEGMENTS + 2];
    segments[0] = (struct virtqueue_segment){slots + at, HEADER_BYTES, false};
    uint32_t count =
        data_segments(data, request->data_offset, bytes, segments + 1, disk->max_segments);
    if (count == 0) // more pages than the device takes segments
        return BLOCK_BAD_REQUEST;
    segments[count + 1] =
        (struct virtqueue_segment){slots + at + offsetof(struct slot_memory, answer), 1, true};

    struct disk_slot *slot = &disk->slots[index];
    volatile struct slot_memory *memory = slot_memory(disk, index);
    memory->type = TYPE_IN;
    memory->reserved = 0;
    memory->sector = request->sector;
    memory->answer = ANSWER_NONE;
    dma_sync(&disk->memory, SLOT_PAGE + at, sizeof(struct slot_memory), SYNC_DEVICE);
    dma_sync(data, request->data_offset, bytes, SYNC_DEVICE);
    if (!virtqueue_add(&disk->queue, segments, (uint16_t)(count + 2), index))
        fail("the queue has no room although there was some"); // disk_has_room was not asked
    disk->free_slot = slot->next_free;
    *slot = (struct disk_slot){
        .client = client, .id = request->id, .data_offset = request->data_offset, .bytes = bytes};
    fault_here(FAULT_SUBMIT_ADD);
    return BLOCK_OK;
}

void disk_flush(struct disk *disk)
{
    if (disk->queue.pending == 0)
        return;
    dma_sync(&disk->memory, 0, VIRTQUEUE_BYTES, SYNC_DEVICE); // entries before the index
    disk->in_flight += virtqueue_publish(&disk->queue);
    report(disk);
    dma_sync(&disk->memory, 0, VIRTQUEUE_BYTES, SYNC_DEVICE);
    fault_here(FAULT_SUBMIT_PUBLISH);
    virtio_notify(&disk->virtio, disk->notify, 0);
    fault_here(FAULT_SUBMIT_NOTIFY);
}

void disk_sync_used(const struct disk *disk)
{
    dma_sync(&disk->memory, 0, VIRTQUEUE_BYTES, SYNC_CPU);
}

uint32_t disk_most_in_flight(const struct disk *disk)
{
    // Each takes three descriptors; the last one must find room for the longest (disk_has_room).
    uint32_t most = (disk->queue.size - (disk->max_segments + 2)) / 3u + 1;
    return most < DISK_SLOTS ? most : DISK_SLOTS;
}

bool disk_complete(struct disk *disk, struct disk_slot *done, enum block_status *status)
{
    uint32_t index, written;
    const char *lie;
    switch (virtqueue_take(&disk->queue, &index, &written, &lie)) {
    case VIRTQUEUE_EMPTY:
        return false;
    case VIRTQUEUE_LIE:
        fail("the device lies: %s", lie);
    case VIRTQUEUE_OK:
        break;
    }
    disk->in_flight--;
    disk->completed++;
    report(disk);
    uint64_t at = index * sizeof(struct slot_memory);
    dma_sync(&disk->memory, SLOT_PAGE + at, sizeof(struct slot_memory), SYNC_CPU);
    uint8_t answer = slot_memory(disk, index)->answer;
    struct disk_slot *slot = &disk->slots[index];
    *done = *slot;
    slot->client = nullptr;
    slot->next_free = disk->free_slot;
    disk->free_slot = index;

    switch (answer) {
    case ANSWER_OK:
        // All of the data and the answer; less is not success.
        if (written < done->bytes + 1)
            fail("the device lies: it says that it is done and wrote only %u bytes", written);
        dma_sync(&done->client->data, done->data_offset, done->bytes, SYNC_CPU);
        *status = BLOCK_OK;
        return true;
    case ANSWER_IO_ERROR:
        *status = BLOCK_IO_ERROR;
        break;
    case ANSWER_UNSUPPORTED:
        *status = BLOCK_NOT_SUPPORTED;
        break;
    default:
        fail("the device lies: it answered %u to a request", answer);
    }
    disk->failed++;
    return true;
}
