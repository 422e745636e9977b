// SPDX-License-Identifier: MIT
//
// See sdk/virtqueue.h.

#include <sdk/virtqueue.h>

enum { FLAG_NEXT = 1, FLAG_WRITE = 2 };

static volatile struct virtqueue_descriptor *descriptor(struct virtqueue *queue, uint16_t index)
{
    return (volatile struct virtqueue_descriptor *)(volatile void *)queue->memory + index;
}

static volatile uint16_t *available_word(struct virtqueue *queue, size_t at)
{
    return (volatile uint16_t *)(volatile void *)(queue->memory + VIRTQUEUE_AVAILABLE + at);
}

static volatile uint16_t *used_index(struct virtqueue *queue)
{
    return (volatile uint16_t *)(volatile void *)(queue->memory + VIRTQUEUE_USED + 2);
}

static volatile struct virtqueue_used *used_entry(struct virtqueue *queue, uint16_t index)
{
    volatile void *first = queue->memory + VIRTQUEUE_USED + 4;
    return (volatile struct virtqueue_used *)first + (index & (queue->size - 1));
}

bool virtqueue_start(struct virtqueue *queue, void *memory, uint16_t size)
{
    if (size == 0 || size > VIRTQUEUE_MAX_SIZE || (size & (size - 1)) != 0)
        return false;
    __builtin_memset(queue, 0, sizeof(*queue));
    __builtin_memset(memory, 0, VIRTQUEUE_BYTES);
    queue->memory = memory;
    queue->size = size;
    queue->free_count = size;
    for (uint16_t i = 0; i < size; i++)
        queue->shadow[i].next = (uint16_t)(i + 1);
    return true;
}

bool virtqueue_add(struct virtqueue *queue, const struct virtqueue_segment *segments,
                   uint16_t count, uint32_t token)
{
    if (count == 0 || count > queue->free_count)
        return false;
    uint16_t first = queue->free_first, last = first;
    uint32_t writable = 0;
    for (uint16_t i = 0; i < count; i++) {
        last = queue->free_first;
        queue->free_first = queue->shadow[last].next;
        uint16_t flags = segments[i].device_writes ? FLAG_WRITE : 0;
        if (i + 1 < count)
            flags |= FLAG_NEXT;
        if (segments[i].device_writes)
            writable += segments[i].bytes;
        volatile struct virtqueue_descriptor *d = descriptor(queue, last);
        d->address = segments[i].address;
        d->bytes = segments[i].bytes;
        d->flags = flags;
        d->next = queue->shadow[last].next;
    }
    queue->free_count = (uint16_t)(queue->free_count - count);
    queue->shadow[first].count = count;
    queue->shadow[first].writable = writable;
    queue->shadow[first].token = token;
    *available_word(queue, 4 + 2 * (size_t)(queue->available & (queue->size - 1))) = first;
    queue->available++;
    queue->pending++;
    return true;
}

uint16_t virtqueue_publish(struct virtqueue *queue)
{
    uint16_t published = queue->pending;
    // Pairs with the device's read of the index: the entries before it are whole (2.7.13.3.1).
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    *available_word(queue, 2) = queue->available;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    queue->in_flight = (uint16_t)(queue->in_flight + published);
    queue->pending = 0;
    return published;
}

static void free_chain(struct virtqueue *queue, uint16_t first)
{
    uint16_t count = queue->shadow[first].count, last = first;
    for (uint16_t i = 1; i < count; i++)
        last = queue->shadow[last].next;
    queue->shadow[last].next = queue->free_first;
    queue->free_first = first;
    queue->free_count = (uint16_t)(queue->free_count + count);
    queue->shadow[first].count = 0;
}

enum virtqueue_status virtqueue_take(struct virtqueue *queue, uint32_t *token, uint32_t *written,
                                     const char **lie)
{
    uint16_t waiting = (uint16_t)(*used_index(queue) - queue->taken);
    if (waiting == 0)
        return VIRTQUEUE_EMPTY;
    if (waiting > queue->in_flight) {
        *lie = "it used more buffers than it was given";
        return VIRTQUEUE_LIE;
    }
    __atomic_thread_fence(__ATOMIC_SEQ_CST); // the entry is read after the index that covers it
    volatile struct virtqueue_used *entry = used_entry(queue, queue->taken);
    uint32_t id = entry->id, bytes = entry->written;
    // `count` is 0 in every descriptor that is free or not the first of its chain. A chain that
    // is added but not published cannot be told from one that is; it does not stay so for long.
    if (id >= queue->size || queue->shadow[id].count == 0) {
        *lie = "it used a buffer that it does not have";
        return VIRTQUEUE_LIE;
    }
    if (bytes > queue->shadow[id].writable) {
        *lie = "it wrote more than the buffer holds";
        return VIRTQUEUE_LIE;
    }
    *token = queue->shadow[id].token;
    *written = bytes;
    free_chain(queue, (uint16_t)id);
    queue->taken++;
    queue->in_flight--;
    return VIRTQUEUE_OK;
}
