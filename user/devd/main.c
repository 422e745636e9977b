// SPDX-License-Identifier: MIT
//
// devd: finds the devices of the machine and gives them to drivers. It has the one handle that
// can mint device objects, and gives each driver exactly those of its device.
//
//   tree.c          what the firmware's tables say (lib/hwtree)
//   acpi.c          what a PC has without a table that says so
//   isa.c           PCI that no table names
//   slots*.c        virtio devices whose registers are in memory
//   pci_*.c         what stands on the PCI buses, and where its registers go
//   plan.c          which pages a driver may have
//   mint.c          makes and destroys kernel objects; hands them to init
//   bridges.c       numbers and windows of PCI bridges
//   match.c         which of it all may have a driver, and which
//   device.c        the life of a device: reset, driven, reset again
//   plug.c          slots in which devices come and go; pcie_slot.c knows their registers
//   storm.c         interrupts that come too often
//
// It serves proto/devices.toml, for people.

#include <sdk/sdk.h>

#include <hwtree/front.h>
#include <proto/devices.h>
#include <proto/init.h>
#include <sdk/service.h>

#include "acpi.h"
#include "device.h"
#include "isa.h"
#include "plug.h"
#include "slots.h"
#include "storm.h"

constexpr uint32_t CONNECTIONS = 4;
constexpr uint64_t BUS_BYTES = 1024 * 1024;

constexpr uint64_t TREE_BYTES = 512 * 1024;
constexpr uint32_t FIRMWARE_NODES = 2048;
constexpr uint64_t PAGE_TABLE_BYTES = 2 * 1024 * 1024; // what one page table maps

static struct tree tree;
static struct loop loop;

// Others may read the tree: it is in memory of its own.
static vmo_t tree_vmo;
static uint64_t tree_bytes;

// Where trees are made, and where the last ones are. The addresses are used again: a page table
// stays with the addresses that it was needed for.
enum place : uint8_t { PLACE_MADE, PLACE_KEPT, PLACES = PLACE_KEPT + 2 };
static uint64_t places; // of PLACE_BYTES each
static enum place tree_place = PLACE_KEPT;
constexpr uint64_t PLACE_BYTES = TREE_BYTES + PAGE_SIZE; // the last page stays free
static_assert(PLACES * PLACE_BYTES <= PAGE_TABLE_BYTES);
constexpr uint64_t PLACE_WAIT_NS = NS_PER_S;

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
static const void *map_table(void *context, uint64_t address, uint64_t bytes)
{
    (void)context;
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

static bool read_device_tree(const struct abi_machine_info *info, const char **why)
{
    static struct fdt_place found[FIRMWARE_NODES];
    static struct hwtree_fdt_node nodes[FIRMWARE_NODES];
    struct fdt fdt;
    const void *blob = map_table(nullptr, info->tables, info->tables_bytes);
    if (blob == nullptr)
        return false;
    *why = fdt_fault_text(fdt_read(&fdt, blob, info->tables_bytes, found, FIRMWARE_NODES));
    return hwtree_read_fdt(&tree.builder, &fdt, nodes);
}

static bool read_firmware(const struct abi_machine_info *info, const char **why)
{
    static struct acpi_tables acpi;
    if (info->firmware == FIRMWARE_DEVICE_TREE)
        return read_device_tree(info, why);
    if (info->firmware == FIRMWARE_MP_TABLE) {
        acpi_describe_pc(&tree.builder);
        return true;
    }
    if (info->firmware != FIRMWARE_ACPI ||
        !hwtree_acpi_find(&acpi, map_table, nullptr, info->tables))
        return false;
    hwtree_read_acpi(&tree.builder, &acpi);
    acpi_add_devices(&tree.builder, &acpi);
    return true;
}

static void say_problems(void)
{
    const uint32_t *problems = tree.hardware->problems;
    for (unsigned cause = 0; cause < HWTREE_CAUSES; cause++)
        if (problems[cause] > 0)
            log_line("the firmware's tables: %u times, something %s", problems[cause],
                     hwtree_cause_text(cause));
}

// Memory at a place. What was there before is unmapped, but the kernel takes it down in the
// background.
static status_t take_place(enum place place, uint64_t bytes, vmo_t *vmo, void **mapped)
{
    const uint64_t at = places + place * PLACE_BYTES, deadline_ns = now_ns() + PLACE_WAIT_NS;
    status_t status = vmo_create(start.account, bytes, 0, vmo);
    if (status != STATUS_OK)
        return status;
    while ((status = vm_map(start.aspace, *vmo, 0, at, align_up(bytes, PAGE_SIZE),
                            PROT_READ | PROT_WRITE)) == STATUS_OVERLAP &&
           now_ns() < deadline_ns)
        (void)thread_sleep(now_ns() + NS_PER_MS);
    *mapped = (void *)(uintptr_t)at;
    if (status != STATUS_OK)
        (void)handle_close((handle_t){vmo->value});
    return status;
}

static status_t begin_tree(void **memory)
{
    vmo_t vmo;
    status_t status = take_place(PLACE_MADE, TREE_BYTES, &vmo, memory);
    if (status == STATUS_OK)
        (void)handle_close((handle_t){vmo.value}); // the mapping keeps it
    return status;
}

// The finished tree goes to memory of exactly its length, and what it was made in is given back.
static void keep_tree(void)
{
    void *made = tree.builder.tree, *kept;
    tree_bytes = tree_finish(&tree);
    tree_place = tree_place == PLACE_KEPT ? PLACE_KEPT + 1 : PLACE_KEPT;
    status_t status = take_place(tree_place, tree_bytes, &tree_vmo, &kept);
    if (status != STATUS_OK)
        fail("no memory for the hardware tree: %s", status_name(status));
    memcpy(kept, made, tree_bytes);
    tree.hardware = kept;
    memory_unmap(made);
}

// The tree that follows, after something was plugged in or taken out. Who has the one before keeps
// it: its memory ends with the last handle.
static bool follow_tree(uint8_t leaves, uint8_t arrives, uint32_t *found)
{
    static uint32_t numbers[TREE_NODES_MAX];
    void *before = (void *)(uintptr_t)tree.hardware, *memory;
    const vmo_t vmo = tree_vmo;
    if (begin_tree(&memory) != STATUS_OK)
        return false;
    if (!tree_follow(&tree, memory, TREE_BYTES, leaves, arrives, numbers, found)) {
        memory_unmap(memory);
        return false;
    }
    devices_renumber(numbers);
    keep_tree();
    memory_unmap(before);
    (void)handle_close((handle_t){vmo.value});
    return true;
}

// What is needed once, at the start.
static void reserve(void)
{
    // What is mapped for each reset of a device begins in a page table of its own, so that what a
    // reset costs does not hang on how much was read before.
    (void)memory_reserve(PAGE_SIZE, PAGE_TABLE_BYTES);
}

// What the kernel's command line says to devd, but for slots (slots.h).
static void read_options(const char *line)
{
    char messages[8];
    if (!text_option(line, "messages", messages, sizeof(messages)))
        return;
    tree.messages_off = strcmp(messages, "off") == 0;
    log_line("messages=%s on the command line: %s", messages,
             tree.messages_off ? "devices interrupt by their lines"
                               : "not understood, only 'off' is");
}

static void find_devices(void)
{
    uint64_t bytes;
    void *memory;
    const char *why = "is of no kind that is known";
    status_t status = machine_info(start.machine, &bytes);
    if (status != STATUS_OK)
        fail("the machine does not say what it is: %s", status_name(status));
    struct abi_machine_info info;
    memcpy(&info, message_buffer()->data, sizeof(info));
    places = memory_reserve(PAGE_TABLE_BYTES, PAGE_TABLE_BYTES);
    status = begin_tree(&memory);
    if (status != STATUS_OK ||
        !hwtree_begin(&tree.builder, memory, TREE_BYTES,
                      info.firmware == FIRMWARE_DEVICE_TREE ? HWTREE_DEVICE_TREE : HWTREE_ACPI))
        fail("no memory for the hardware tree: %s", status_name(status));
    if (!read_firmware(&info, &why)) {
        log_line("no devices: what the firmware says %s", why);
        if (hwtree_count(tree.builder.tree, HWTREE_NODES) == 0)
            (void)hwtree_add_node(&tree.builder, HWTREE_NONE, "", 0);
    }
    tree_find_hosts(&tree);
    if (tree.host_count == 0 && info.firmware != FIRMWARE_DEVICE_TREE)
        (void)isa_find_pci(&tree);
    tree_send_messages(&tree);
    read_options(info.command_line);
    tree_scan_pci(&tree, map_bus);
    uint32_t slots_left_out;
    slots_from_command_line(&tree.builder, info.command_line, &slots_left_out);
    uint32_t slots = slots_look(&tree.builder);
    keep_tree();
    reserve();
    say_problems();
    log_line(
        "%u nodes in the hardware tree, %u PCI functions, %u virtio slots in use; no IOMMU, so "
        "drivers are trusted with DMA",
        hwtree_count(tree.hardware, HWTREE_NODES), tree.function_count, slots);
    if (slots_left_out > 0)
        log_line("%u virtio_mmio.device= of the command line make no sense", slots_left_out);
    if (tree.bridges_unused > 0)
        log_line("%u PCI bridges have no bus number: nothing behind them is seen",
                 tree.bridges_unused);
    if (tree.left_out > 0)
        log_line("%u PCI functions are left out: there is no room for them", tree.left_out);
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
    (void)text_copy(reply->name, sizeof(reply->name), d->name);
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

static status_t on_hardware(void *context, struct wire_call call,
                            struct devices_hardware_reply *reply)
{
    (void)context;
    (void)call;
    handle_t copy;
    status_t status = handle_duplicate((handle_t){tree_vmo.value},
                                       RIGHT_READ | RIGHT_MAP | RIGHT_TRANSFER, &copy);
    *reply = (struct devices_hardware_reply){.bytes = tree_bytes, .tree = {copy.value}};
    return status;
}

static const struct devices_server operations = {
    .device_info = on_device_info,
    .interrupt_info = on_interrupt_info,
    .hardware = on_hardware,
};

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
    plugs_start(&tree, &loop, follow_tree);
    devices_start(&tree);
    if (plugs_count() > 0)
        log_line("%u slots in which devices may come and go", plugs_count());
    for (;;) {
        // Slots before devices: they say which of those go.
        uint64_t next = plugs_poll(), devices = devices_poll(), storms = storms_poll();
        next = devices < next ? devices : next;
        status = loop_turn(&loop, storms < next ? storms : next);
        if (status != STATUS_OK && status != STATUS_TIMED_OUT && status != STATUS_CANCELLED)
            fail("waiting failed: %s", status_name(status));
    }
}
