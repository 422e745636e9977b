// SPDX-License-Identifier: MIT
//
// devd: finds the devices of the machine and gives them to drivers. It has the one handle that
// can mint device objects, and gives each driver exactly those of its device.
//
//   fdt.c, acpi.c   what the firmware's tables say --> tree.h
//   isa.c           what a PC has without a table that says so
//   slots*.c        virtio devices whose registers are in memory
//   pci_*.c         what stands on the PCI buses, and where its registers go
//   plan.c          which pages a driver may have
//   mint.c          makes and destroys kernel objects; hands them to init
//   device.c        the life of a device: reset, driven, reset again
//   storm.c         interrupts that come too often
//
// It serves proto/devices.toml, for people.

#include <sdk/sdk.h>

#include <proto/devices.h>
#include <proto/init.h>
#include <sdk/service.h>

#include "device.h"
#include "isa.h"
#include "slots.h"
#include "storm.h"

constexpr uint32_t CONNECTIONS = 4;
constexpr uint64_t BUS_BYTES = 1024 * 1024;

static struct tree tree;
static struct loop loop;

// ---- physical memory

static status_t map_physical(uint64_t address, uint64_t bytes, enum abi_memory_kind kind,
                             void **mapped)
{
    vmo_t vmo;
    uint64_t first = align_down(address, PAGE_SIZE);
    uint64_t length = align_up(address + bytes, PAGE_SIZE) - first;
    status_t status =
        machine_device_memory(start.machine, start.account, first, length, kind, &vmo);
    if (status != STATUS_OK)
        return status;
    uint64_t protection = kind == MEMORY_TABLES ? PROT_READ : PROT_READ | PROT_WRITE;
    status = memory_map_vmo(vmo, 0, length, protection, mapped);
    if (status == STATUS_OK)
        *mapped = (char *)*mapped + (address - first);
    return status; // the handle stays open: device memory is unmapped with its last one
}

// Tables are few and read once: what is mapped stays mapped.
static const void *map_table(uint64_t address, uint64_t bytes)
{
    void *mapped;
    if (address > UINT64_MAX - bytes - PAGE_SIZE)
        return nullptr;
    status_t status = map_physical(address, bytes, MEMORY_TABLES, &mapped);
    return status == STATUS_OK ? mapped : nullptr;
}

static volatile uint32_t *map_bus(uint64_t address)
{
    void *mapped;
    status_t status = map_physical(address, BUS_BYTES, MEMORY_DEVICE, &mapped);
    if (status != STATUS_OK) {
        log_line("the configuration space at %#llx cannot be mapped: %s",
                 (unsigned long long)address, status_name(status));
        return nullptr;
    }
    return mapped;
}

static void find_devices(void)
{
    static const struct acpi_access access = {map_table};
    uint64_t bytes;
    status_t status = machine_info(start.machine, &bytes);
    if (status != STATUS_OK)
        fail("the machine does not say what it is: %s", status_name(status));
    const struct abi_machine_info *info = (const void *)message_buffer()->data;
    uint32_t firmware = info->firmware;
    uint64_t tables = info->tables, tables_bytes = info->tables_bytes;
    uint32_t slots_left_out;
    static char command_line[ABI_COMMAND_LINE];
    (void)text_copy(command_line, sizeof(command_line), info->command_line);

    bool understood = false;
    if (firmware == FIRMWARE_DEVICE_TREE) {
        const void *fdt = map_table(tables, tables_bytes);
        understood = fdt != nullptr && tree_from_fdt(&tree, fdt, tables_bytes);
    } else if (firmware == FIRMWARE_ACPI) {
        understood = tree_from_acpi(&tree, &access, tables);
        if (tree.host_count == 0)
            (void)isa_find_pci(&tree);
    }
    if (firmware == FIRMWARE_MP_TABLE) {
        understood = true;
        isa_add_serial(&tree);
        (void)isa_find_pci(&tree);
    }
    if (!understood)
        log_line("the firmware's tables cannot be understood: no devices");
    tree_scan_pci(&tree, map_bus);
    slots_from_command_line(&tree, command_line, &slots_left_out);
    slots_look(&tree);
    log_line("%u devices found; no IOMMU, so drivers are trusted with DMA", tree.node_count);
    if (slots_left_out > 0)
        log_line("%u virtio_mmio.device= of the command line make no sense", slots_left_out);
    if (tree.bridges_unused > 0)
        log_line("the firmware numbered no bus behind %u PCI bridges: nothing there is seen",
                 tree.bridges_unused);
    if (tree.left_out > 0)
        log_line("%u devices are left out: there is room for %u", tree.left_out, NODES);
}

// ---- for people

static status_t on_device_info(void *context, struct wire_call call,
                               const struct devices_device_info_request *request,
                               struct devices_device_info_reply *reply)
{
    (void)context;
    (void)call;
    const struct driven *d = device_at(request->index);
    if (d == nullptr)
        return STATUS_NOT_FOUND;
    *reply = (struct devices_device_info_reply){
        .device = d->id,
        .state = d->state,
        .epoch = d->epoch,
        .trusted_dma = d->dma.value != 0,
    };
    (void)text_copy(reply->name, sizeof(reply->name), d->node->name);
    (void)text_copy(reply->compatible, sizeof(reply->compatible), d->compatible);
    (void)text_copy(reply->driver, sizeof(reply->driver), d->driver);
    return STATUS_OK;
}

static status_t on_interrupt_info(void *context, struct wire_call call,
                                  const struct devices_interrupt_info_request *request,
                                  struct devices_interrupt_info_reply *reply)
{
    (void)context;
    (void)call;
    uint32_t index = request->index;
    for (uint32_t i = 0; i < devices_count(); i++) {
        const struct driven *d = device_at(i);
        uint64_t bytes;
        if (d->interrupt.value == 0 || index-- > 0)
            continue;
        status_t status = object_inspect((handle_t){d->interrupt.value}, &bytes);
        if (status != STATUS_OK)
            return status;
        const struct abi_inspect *inspect = (const void *)message_buffer()->data;
        *reply = (struct devices_interrupt_info_reply){
            .device = d->id,
            .line = inspect->interrupt.line,
            .cpu = inspect->interrupt.cpu,
            .count = inspect->interrupt.count,
            .message = inspect->interrupt.message != 0,
            .masked = inspect->interrupt.masked != 0,
            .storms = inspect->interrupt.storms,
            .aside = inspect->interrupt.aside != 0,
        };
        (void)text_copy(reply->name, sizeof(reply->name), d->service);
        return STATUS_OK;
    }
    return STATUS_NOT_FOUND;
}

static const struct devices_server operations = {.device_info = on_device_info,
                                                 .interrupt_info = on_interrupt_info};

static void on_message(struct connection *connection, const struct wire_received *received)
{
    devices_dispatch(&operations, connection, received);
}

static void on_driver_ended(void *context, const struct init_driver_ended_notice *notice)
{
    (void)context;
    device_driver_ended(notice->device);
}

int main(const char *argument)
{
    (void)argument;
    static struct connection connections[CONNECTIONS];
    static struct service service = {
        .connections = connections,
        .connection_max = CONNECTIONS,
        .message = on_message,
        .notices.driver_ended = on_driver_ended,
    };
    find_devices();
    status_t status = loop_create(&loop);
    if (status == STATUS_OK)
        status = service_start(&service, &loop);
    if (status == STATUS_OK)
        status = storms_watch(&loop);
    if (status != STATUS_OK)
        fail("cannot start: %s", status_name(status));
    devices_start(&tree);
    for (;;) {
        uint64_t devices = devices_poll(), storms = storms_poll();
        status = loop_turn(&loop, devices < storms ? devices : storms);
        if (status != STATUS_OK && status != STATUS_TIMED_OUT && status != STATUS_CANCELLED)
            fail("waiting failed: %s", status_name(status));
    }
}
