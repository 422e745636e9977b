// SPDX-License-Identifier: MIT
//
// See mint.h.

#include "mint.h"

#include <lib/format.h>
#include <lib/string.h>
#include <lib/types.h>
#include <proto/init.h>
#include <sdk/device.h>
#include <sdk/start.h>

static const struct tree *tree;

void mint_begin(const struct tree *whole)
{
    tree = whole;
}

static uint32_t range_count(const struct driven *d)
{
    return hwtree_node(tree->hardware, d->node)->ranges.count;
}

static void destroy(uint64_t *handle)
{
    if (*handle == 0)
        return;
    (void)object_destroy((handle_t){*handle}); // GONE: it is already
    (void)handle_close((handle_t){*handle});
    *handle = 0;
}

void mint_destroy(struct driven *d)
{
    destroy(&d->interrupt.value);
    for (uint32_t i = 0; i < PLAN_WINDOWS; i++)
        destroy(&d->windows[i].value);
    destroy(&d->io.value);
    destroy(&d->dma.value);
}

static status_t mint_line(struct driven *d)
{
    const struct hwtree_interrupt *interrupt = tree_interrupt(tree, d->node);
    if (interrupt == nullptr)
        return STATUS_NOT_FOUND;
    enum abi_trigger trigger = TRIGGER_EDGE;
    if (interrupt->trigger == HWTREE_TRIGGER_LEVEL)
        trigger =
            interrupt->polarity == HWTREE_POLARITY_LOW ? TRIGGER_LEVEL_LOW : TRIGGER_LEVEL_HIGH;
    return machine_interrupt(start.machine, start.account, interrupt->line, trigger, &d->interrupt);
}

status_t mint_message(const struct tree *whole, const struct pci_device *device, uint16_t vector,
                      interrupt_t *interrupt)
{
    struct plan_message message;
    uint64_t controller;
    uint32_t id;
    if (!plan_message(device, vector, &message) ||
        !tree_messages(whole, device->node, &id, &controller))
        return STATUS_NOT_FOUND;
    return machine_message_interrupt(start.machine, start.account, message.table, message.vector,
                                     id, controller, interrupt);
}

// A message if the device and the machine have them, else its line.
static status_t mint_interrupt(struct driven *d)
{
    status_t status =
        d->pci != nullptr ? mint_message(tree, d->pci, 0, &d->interrupt) : STATUS_NOT_FOUND;
    d->message = status == STATUS_OK;
    if (status == STATUS_NO_RESOURCE)
        log_line("%s gets no message interrupt", d->name);
    if (status != STATUS_NOT_FOUND && status != STATUS_NOT_SUPPORTED &&
        status != STATUS_NO_RESOURCE)
        return status;
    return mint_line(d);
}

static status_t mint_pci(struct driven *d, const char **what)
{
    if (!plan_make(&d->plan, d->pci, what))
        return STATUS_NOT_SUPPORTED;
    for (uint32_t i = 0; i < d->plan.count; i++) {
        *what = "registers";
        status_t status =
            machine_device_memory(start.machine, start.account, d->plan.windows[i].address,
                                  d->plan.windows[i].bytes, MEMORY_DEVICE, &d->windows[i]);
        if (status != STATUS_OK)
            return status;
    }
    *what = "DMA space";
    return machine_dma_space(start.machine, start.account, d->id, &d->dma);
}

// A device that is on no bus: each of its register ranges, in whole pages, and its I/O ports.
static status_t mint_plain(struct driven *d, const char **what)
{
    d->plan = (struct plan){};
    for (uint32_t i = 0; i < range_count(d); i++) {
        const struct hwtree_range *range = hwtree_range(tree->hardware, d->node, i);
        bool io = range->space == HWTREE_SPACE_IO;
        status_t status;
        *what = io ? "I/O ports" : "registers";
        if (io) {
            status =
                machine_io_range(start.machine, start.account, range->base, range->bytes, &d->io);
        } else {
            uint64_t first = align_down(range->base, PAGE_SIZE);
            uint64_t bytes = align_up(range->base + range->bytes, PAGE_SIZE) - first;
            if (d->plan.count == PLAN_WINDOWS)
                return STATUS_TOO_BIG;
            uint32_t n = d->plan.count++;
            d->plan.windows[n] = (struct plan_window){.address = first, .bytes = bytes};
            status = machine_device_memory(start.machine, start.account, first, bytes,
                                           MEMORY_DEVICE, &d->windows[n]);
        }
        if (status != STATUS_OK)
            return status;
    }
    if (d->slot == 0)
        return STATUS_OK;
    *what = "DMA space";
    return machine_dma_space(start.machine, start.account, d->id, &d->dma);
}

status_t mint_all(struct driven *d, const char **what)
{
    status_t status = d->pci != nullptr ? mint_pci(d, what) : mint_plain(d, what);
    if (status == STATUS_OK) {
        *what = "interrupt";
        status = mint_interrupt(d);
    }
    if (status != STATUS_OK)
        mint_destroy(d);
    return status;
}

// ---- handing over

static struct init_driver_start_request request; // a kilobyte: not for the stack

static void give(enum device_role role, uint64_t handle, uint32_t rights, uint64_t offset,
                 uint64_t bytes)
{
    handle_t copy = {0};
    uint32_t i = request.handles_count;
    if (handle == 0 || i == DEVICE_HANDLES_MAX ||
        handle_duplicate((handle_t){handle}, rights | RIGHT_TRANSFER, &copy) != STATUS_OK)
        return;
    request.handles[i] = copy;
    request.roles[i] = role;
    request.offsets[i] = offset;
    request.sizes[i] = bytes;
    request.handles_count++;
}

[[gnu::format(printf, 1, 2)]] static void add_property(const char *format, ...)
{
    size_t at = strlen(request.properties);
    va_list arguments;
    va_start(arguments, format);
    format_text_v(request.properties + at, sizeof(request.properties) - at, format, arguments);
    va_end(arguments);
}

static void describe_virtio(const struct driven *d)
{
    static const char *const names[PCI_VIRTIO_KINDS] = {
        [PCI_VIRTIO_COMMON] = "common",
        [PCI_VIRTIO_NOTIFY] = "notify",
        [PCI_VIRTIO_ISR] = "isr",
        [PCI_VIRTIO_DEVICE] = "device",
    };
    const struct pci_function *function = &d->pci->function;
    for (unsigned kind = PCI_VIRTIO_COMMON; kind < PCI_VIRTIO_KINDS; kind++) {
        uint32_t window;
        uint64_t offset;
        const struct pci_virtio_region *region = &function->virtio[kind];
        if (region->bytes != 0 && plan_find(&d->plan, region, &window, &offset))
            add_property("virtio.%s=%u:%llu:%u\n", names[kind], window, (unsigned long long)offset,
                         region->bytes);
    }
    add_property("virtio.multiplier=%u\n", function->virtio_notify_multiplier);
}

static void give_registers(const struct driven *d)
{
    for (uint32_t i = 0; i < d->plan.count; i++) {
        uint64_t offset = 0, bytes = d->plan.windows[i].bytes;
        if (d->pci == nullptr && i < range_count(d)) {
            const struct hwtree_range *range = hwtree_range(tree->hardware, d->node, i);
            offset = range->base - d->plan.windows[i].address;
            bytes = range->bytes;
        }
        give(DEVICE_REGISTERS, d->windows[i].value, RIGHT_READ | RIGHT_WRITE | RIGHT_MAP, offset,
             bytes);
    }
}

status_t mint_hand_over(struct driven *d, const char *fault)
{
    struct init_driver_start_reply reply;
    memset(&request, 0, sizeof(request));
    (void)text_copy(request.driver, sizeof(request.driver), d->driver);
    (void)text_copy(request.compatible, sizeof(request.compatible), d->compatible);
    request.device = d->id;
    request.epoch = d->epoch + 1;
    give_registers(d);
    give(DEVICE_IO, d->io.value, RIGHT_READ | RIGHT_WRITE, 0, 0);
    give(DEVICE_INTERRUPT, d->interrupt.value, RIGHT_WAIT | RIGHT_ACKNOWLEDGE | RIGHT_INSPECT, 0,
         0);
    give(DEVICE_DMA, d->dma.value, RIGHT_PIN, 0, 0);
    give(DEVICE_REPORT, d->report_vmo.value, RIGHT_READ | RIGHT_WRITE | RIGHT_MAP, 0, 0);
    add_property("message=%u\n", d->message);
    if (d->pci != nullptr && pci_is_virtio(d->pci))
        describe_virtio(d);
    if (d->slot != 0)
        add_property("virtio.mmio=0\n");
    if (fault[0] != '\0')
        add_property("fault=%s\n", fault);
    status_t status = init_driver_start(start.bootstrap, &request, &reply, ABI_DEADLINE_NEVER);
    if (status != STATUS_OK) {
        for (uint32_t i = 0; i < request.handles_count; i++)
            (void)handle_close(request.handles[i]); // stale if the message was delivered
        return status;
    }
    d->epoch++;
    (void)text_copy(d->service, sizeof(d->service), reply.service);
    return STATUS_OK;
}
