// SPDX-License-Identifier: MIT
//
// See sdk/driver.h.

#include <sdk/driver.h>

#include <lib/string.h>
#include <lib/types.h>
#include <proto/init.h>
#include <sdk/memory.h>
#include <sdk/start.h>
#include <sdk/thread.h>

struct receiving {
    struct device *device;
    bool received;
    status_t status;
};

static status_t take_window(struct device *device, uint64_t vmo, uint64_t offset, uint64_t bytes)
{
    void *mapped;
    if (device->window_count == DEVICE_WINDOWS)
        return STATUS_TOO_BIG;
    uint64_t first = align_down(offset, PAGE_SIZE), end = align_up(offset + bytes, PAGE_SIZE);
    status_t status =
        memory_map_vmo((vmo_t){vmo}, first, end - first, PROT_READ | PROT_WRITE, &mapped);
    if (status == STATUS_OK)
        device->windows[device->window_count++] = (struct device_window){
            .registers = (volatile uint8_t *)mapped + (offset - first), .bytes = bytes};
    return status;
}

static status_t take_handle(struct device *device, enum device_role role, uint64_t handle,
                            uint64_t offset, uint64_t bytes)
{
    void *mapped;
    status_t status;
    switch (role) {
    case DEVICE_REGISTERS:
        return take_window(device, handle, offset, bytes);
    case DEVICE_INTERRUPT:
        if (device->interrupt_count == DEVICE_INTERRUPTS)
            return STATUS_TOO_BIG;
        device->interrupts[device->interrupt_count++] = (interrupt_t){handle};
        return STATUS_OK;
    case DEVICE_IO:
        device->io = (iorange_t){handle};
        return STATUS_OK;
    case DEVICE_DMA:
        device->dma = (dmaspace_t){handle};
        return STATUS_OK;
    case DEVICE_REPORT:
        status = memory_map_vmo((vmo_t){handle}, 0, PAGE_SIZE, PROT_READ | PROT_WRITE, &mapped);
        if (status == STATUS_OK)
            device->report = mapped;
        return status;
    case DEVICE_NONE:
        break;
    }
    return STATUS_NOT_SUPPORTED;
}

static void on_device_start(void *context, const struct init_device_start_notice *notice)
{
    struct receiving *receiving = context;
    struct device *device = receiving->device;
    if (receiving->received)
        return;
    *device = (struct device){.id = notice->device, .epoch = notice->epoch};
    (void)text_copy(device->compatible, sizeof(device->compatible), notice->compatible);
    (void)text_copy(device->properties, sizeof(device->properties), notice->properties);
    receiving->received = true;
    for (uint32_t i = 0; i < notice->handles_count && receiving->status == STATUS_OK; i++)
        receiving->status =
            take_handle(device, (enum device_role)notice->roles[i], notice->handles[i].value,
                        notice->offsets[i], notice->sizes[i]);
}

status_t device_receive(struct device *device)
{
    struct receiving receiving = {.device = device, .status = STATUS_OK};
    const struct init_client notices = {.device_start = on_device_start};
    while (!receiving.received) {
        struct wire_received received = {.end = start.bootstrap};
        status_t status = channel_receive(start.bootstrap, ABI_DEADLINE_NEVER, &received.message,
                                          &received.token);
        if (status != STATUS_OK)
            return status;
        init_client_dispatch(&notices, &receiving, &received);
    }
    return receiving.status;
}

// The value of a property: from behind its '=' to the end of its line.
static bool find_property(const struct device *device, const char *name, const char **value,
                          size_t *bytes)
{
    size_t name_bytes = strlen(name);
    for (const char *line = device->properties; *line != '\0';) {
        const char *end = line;
        while (*end != '\0' && *end != '\n')
            end++;
        if (strncmp(line, name, name_bytes) == 0 && line[name_bytes] == '=') {
            *value = line + name_bytes + 1;
            *bytes = (size_t)(end - *value);
            return true;
        }
        line = *end == '\n' ? end + 1 : end;
    }
    return false;
}

bool device_text(const struct device *device, const char *name, char *text, size_t size)
{
    const char *value;
    size_t bytes;
    if (!find_property(device, name, &value, &bytes))
        return false;
    bytes = bytes < size - 1 ? bytes : size - 1;
    memcpy(text, value, bytes);
    text[bytes] = '\0';
    return true;
}

unsigned device_numbers(const struct device *device, const char *name, uint64_t *numbers,
                        unsigned max)
{
    const char *at;
    size_t bytes;
    if (!find_property(device, name, &at, &bytes))
        return 0;
    unsigned count = 0;
    const char *end = at + bytes;
    while (at < end && count < max) {
        uint64_t number = 0;
        const char *first = at;
        for (; at < end && *at >= '0' && *at <= '9'; at++)
            number = number * 10 + (uint64_t)(*at - '0');
        if (at == first)
            return 0;
        numbers[count++] = number;
        if (at < end && *at++ != ':')
            return 0;
    }
    return count;
}
