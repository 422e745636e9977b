// SPDX-License-Identifier: MIT
//
// Minting device memory and I/O ports, power, and what was found at boot. See machine.h.
#include "machine.h"

#include <hal/hal.h>
#include <lib/string.h>

#include "cpu.h"
#include "dma.h"
#include "frame.h"
#include "handlers.h"
#include "log.h"
#include "process.h"
#include "thread.h"

constexpr uint32_t IO_PORTS = 0x10000;
constexpr unsigned VECTOR_PAGES_MAX = 128;

static struct {
    struct spinlock lock;
    struct boot_info boot;                // written once
    struct tree memory GUARDED_BY(&lock); // exclusive device VMOs, by first address
    struct tree ports GUARDED_BY(&lock);
    struct tree entries GUARDED_BY(&lock); // by address, where interrupts' messages are programmed
    struct boot_range vectors[VECTOR_PAGES_MAX] GUARDED_BY(&lock);
    uint32_t vector_count GUARDED_BY(&lock);
    struct object *object; // the Machine that init was given; written once
} machine;

void machine_init(const struct boot_info *boot) NO_THREAD_SAFETY
{
    lock_init(&machine.lock, RANK_MACHINE);
    machine.boot = *boot;
    machine.memory = machine.ports = machine.entries = (struct tree){};
}

void machine_opened(struct object *object)
{
    machine.object = object;
}

void machine_tell(uint32_t signals) NO_THREAD_SAFETY
{
    lock_acquire(&machine.object->lock);
    object_signal_locked(machine.object, signals);
    lock_release(&machine.object->lock);
}

// ---- device memory

static bool memory_overlaps_locked(uint64_t start, uint64_t end) REQUIRES(machine.lock)
{
    struct tree_node *node = tree_find_at_most(&machine.memory, end - 1);
    if (node) {
        const struct vmo *vmo = CONTAINER_OF(node, struct vmo, mint_node);
        if (vmo->device_base + (vmo->pages << PAGE_SHIFT) > start)
            return true;
    }
    return false;
}

static bool kernel_owns(uint64_t start, uint64_t end)
{
    for (uint32_t i = 0; i < hal.owned_count; i++)
        if (start < hal.owned[i].end && hal.owned[i].start < end)
            return true;
    return false;
}

static bool vectors_overlap_locked(uint64_t start, uint64_t end) REQUIRES(machine.lock)
{
    for (uint32_t i = 0; i < machine.vector_count; i++)
        if (start < machine.vectors[i].end && machine.vectors[i].start < end)
            return true;
    return false;
}

// How many pages are not the kernel's yet. UINT32_MAX: one of them is minted.
static uint32_t vectors_missing_locked(uint64_t start, uint64_t end) REQUIRES(machine.lock)
{
    uint32_t missing = 0;
    bool minted = false;
    for (uint64_t page = start; page < end; page += PAGE_SIZE)
        if (!vectors_overlap_locked(page, page + PAGE_SIZE)) {
            missing++;
            minted |= memory_overlaps_locked(page, page + PAGE_SIZE);
        }
    return minted ? UINT32_MAX : missing;
}

// Tables begin at multiples of 8: two entries may also overlap by half.
static bool entry_taken_locked(uint64_t entry) REQUIRES(machine.lock)
{
    struct tree_node *node = tree_find_at_most(&machine.entries, entry + VECTOR_ENTRY_BYTES - 1);
    return node && node->key + VECTOR_ENTRY_BYTES > entry;
}

static status_t vector_take_locked(uint64_t table, uint64_t entry, uint8_t **mapped)
    REQUIRES(machine.lock)
{
    uint64_t page = align_down(entry, PAGE_SIZE),
             end = align_up(entry + VECTOR_ENTRY_BYTES, PAGE_SIZE),
             start = table != 0 ? align_down(table, PAGE_SIZE) : end;
    uint32_t missing = vectors_missing_locked(start, end);
    if (entry_taken_locked(entry) || kernel_owns(page, end) ||
        missing > VECTOR_PAGES_MAX - machine.vector_count || RUNS_OUT("vector tables"))
        return STATUS_OVERLAP;
    if (RUNS_OUT("device mappings"))
        return STATUS_NO_RESOURCE;
    uint8_t *pages = arch_device_map((paddr_t){page}, end - page, ARCH_MEMORY_DEVICE);
    if (!pages)
        return STATUS_NO_RESOURCE;
    for (uint64_t at = start; at < end; at += PAGE_SIZE)
        if (!vectors_overlap_locked(at, at + PAGE_SIZE))
            machine.vectors[machine.vector_count++] = (struct boot_range){at, at + PAGE_SIZE};
    *mapped = pages + entry % PAGE_SIZE;
    return STATUS_OK;
}

status_t machine_vector_take(struct tree_node *node, uint64_t table, uint64_t entry,
                             uint8_t **mapped) NO_THREAD_SAFETY
{
    if (!SEEDED_BUG("D entry"))
        lock_acquire(&machine.lock); // also for the mapping: one at a time
    status_t status = vector_take_locked(table, entry, mapped);
    if (status == STATUS_OK)
        tree_insert(&machine.entries, node, entry);
    if (!SEEDED_BUG("D entry"))
        lock_release(&machine.lock);
    return status;
}

void machine_vector_returned(struct tree_node *node)
{
    lock_acquire(&machine.lock);
    tree_remove(&machine.entries, node);
    lock_release(&machine.lock);
}

void machine_memory_returned(struct vmo *vmo)
{
    lock_acquire(&machine.lock);
    if (vmo->mint_node.linked)
        tree_remove(&machine.memory, &vmo->mint_node);
    lock_release(&machine.lock);
}

bool machine_owns(uint64_t start, uint64_t end)
{
    // Reserved ranges hold the kernel's image and the bundle; firmware tables may be read.
    const struct boot_range *bundle = &machine.boot.bundle;
    return frames_overlap(start, end) || (start < bundle->end && bundle->start < end) ||
           (start < machine.boot.kernel.end && machine.boot.kernel.start < end);
}

status_t sys_machine_device_memory(struct entry *entry, const struct handle_lookup *mint,
                                   const struct handle_lookup *account, uint64_t paddr,
                                   uint64_t bytes, uint64_t kind)
{
    (void)mint;
    constexpr uint64_t PHYSICAL_MAX = 1ull << 48;
    if (kind > MEMORY_TABLES || (paddr | bytes) % PAGE_SIZE != 0 || bytes == 0 ||
        bytes > VMO_MAX_PAGES << PAGE_SHIFT || paddr >= PHYSICAL_MAX ||
        paddr + bytes > PHYSICAL_MAX || machine_owns(paddr, paddr + bytes))
        return STATUS_INVALID;
    bool tables = kind == MEMORY_TABLES;
    status_t status = handles_reserve(entry->process, 1);
    if (status != STATUS_OK)
        return status;
    struct vmo *vmo;
    status = vmo_create_physical(lookup_ref(account), paddr, bytes >> PAGE_SHIFT, tables, &vmo);
    if (status == STATUS_OK && !tables) {
        if (!SEEDED_BUG("D memory"))
            lock_acquire(&machine.lock);
        if (kernel_owns(paddr, paddr + bytes) || memory_overlaps_locked(paddr, paddr + bytes) ||
            vectors_overlap_locked(paddr, paddr + bytes))
            status = STATUS_OVERLAP;
        else
            tree_insert(&machine.memory, &vmo->mint_node, paddr);
        if (!SEEDED_BUG("D memory"))
            lock_release(&machine.lock);
        if (status != STATUS_OK)
            object_discard(&vmo->object);
    }
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        return status;
    }
    const struct console *console = hal.console;
    if (console && !console->io_ports && paddr < console->base + console->bytes &&
        console->base < paddr + bytes)
        log_release_console(); // a driver owns the UART from now on
    uint32_t rights = tables ? RIGHTS_VMO & ~(uint32_t)(RIGHT_WRITE | RIGHT_EXECUTE | RIGHT_PIN)
                             : RIGHTS_VMO & ~(uint32_t)(RIGHT_EXECUTE | RIGHT_PIN);
    entry->result[0] = handle_publish(entry->process, &vmo->object, rights);
    return STATUS_OK;
}

// ---- I/O ports

status_t sys_machine_io_range(struct entry *entry, const struct handle_lookup *mint,
                              const struct handle_lookup *account, uint64_t base, uint64_t count)
{
    (void)mint;
    if (!arch_has_io_ports())
        return STATUS_NOT_SUPPORTED;
    if (count == 0 || base >= IO_PORTS || count > IO_PORTS - base)
        return STATUS_INVALID;
    struct object *object;
    status_t status = create_with_handle(entry, account, OBJECT_IORANGE, &object);
    if (status != STATUS_OK)
        return status;
    struct iorange *range = (struct iorange *)(void *)object;
    range->base = (uint32_t)base;
    range->count = (uint32_t)count;
    if (!SEEDED_BUG("D ports"))
        lock_acquire(&machine.lock);
    struct tree_node *node = tree_find_at_most(&machine.ports, base + count - 1);
    if (node) {
        const struct iorange *before = CONTAINER_OF(node, struct iorange, node);
        if (before->base + before->count > base)
            status = STATUS_OVERLAP;
    }
    if (status == STATUS_OK)
        tree_insert(&machine.ports, &range->node, base);
    if (!SEEDED_BUG("D ports"))
        lock_release(&machine.lock);
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        object_discard(object);
        return status;
    }
    const struct console *console = hal.console;
    if (console && console->io_ports && base < console->base + console->bytes &&
        console->base < base + count)
        log_release_console();
    entry->result[0] = handle_publish(entry->process, object, RIGHTS_IORANGE);
    return STATUS_OK;
}

enum step iorange_teardown(struct object *object)
{
    struct iorange *range = (struct iorange *)(void *)object;
    lock_acquire(&machine.lock);
    tree_remove(&machine.ports, &range->node);
    lock_release(&machine.lock);
    return STEP_DONE;
}

void iorange_inspect(struct object *object, struct abi_inspect *out)
{
    out->iorange.base = ((struct iorange *)(void *)object)->base;
    out->iorange.count = ((struct iorange *)(void *)object)->count;
}

static bool io_access_valid(const struct iorange *range, uint64_t offset, uint64_t width)
{
    return (width == 1 || width == 2 || width == 4) && offset < range->count &&
           width <= range->count - offset;
}

status_t sys_io_read(struct entry *entry, const struct handle_lookup *handle, uint64_t offset,
                     uint64_t width) NO_THREAD_SAFETY
{
    const struct iorange *range = (struct iorange *)(void *)handle->object;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    status_t status = io_access_valid(range, offset, width) ? STATUS_OK : STATUS_INVALID;
    if (status == STATUS_OK)
        entry->result[0] = arch_io_read((uint16_t)(range->base + offset), (unsigned)width);
    object_unlock(handle->object);
    return status;
}

status_t sys_io_write(struct entry *entry, const struct handle_lookup *handle, uint64_t offset,
                      uint64_t width, uint64_t value) NO_THREAD_SAFETY
{
    (void)entry;
    const struct iorange *range = (struct iorange *)(void *)handle->object;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    status_t status =
        io_access_valid(range, offset, width) && value <= UINT32_MAX ? STATUS_OK : STATUS_INVALID;
    if (status == STATUS_OK)
        arch_io_write((uint16_t)(range->base + offset), (unsigned)width, (uint32_t)value);
    object_unlock(handle->object);
    return status;
}

// ---- information and power

status_t sys_machine_info(struct entry *entry, const struct handle_lookup *handle)
{
    (void)handle;
    struct abi_machine_info *info = (struct abi_machine_info *)(void *)entry->thread->message->data;
    memset(info, 0, sizeof *info);
    info->firmware = machine.boot.firmware;
    info->cpus = cpu_count();
    info->tables = machine.boot.tables.value;
    info->tables_bytes = machine.boot.tables_bytes;
    for (uint32_t i = 0; i < machine.boot.ram_count; i++)
        info->ram_bytes += machine.boot.ram[i].end - machine.boot.ram[i].start;
    info->pages_total = frames_total();
    info->pages_free = frames_free();
    info->objects_total = objects_total();
    info->objects_free = objects_free();
    info->quarantined_pages = dma_quarantined_pages();
    info->message_interrupts = hal.irq->message_allocate != nullptr;
    info->dev_build = dev_build;
    memcpy(info->command_line, machine.boot.command_line, sizeof info->command_line);
    for (unsigned i = 0; i < ABI_INVARIANTS; i++)
        info->checks[i] = counter_read(&invariant_evaluations[i]);
    entry->result[0] = sizeof *info;
    return STATUS_OK;
}

status_t sys_machine_cpu(struct entry *entry, const struct handle_lookup *handle, uint64_t number)
{
    (void)handle;
    if (number >= cpu_count())
        return STATUS_INVALID;
    const struct cpu *cpu = cpus[number];
    struct abi_cpu_info *info = (struct abi_cpu_info *)(void *)entry->thread->message->data;
    *info = (struct abi_cpu_info){
        .hardware_id = cpu->hardware_id,
        .idle_ns = counter_read(&cpu->idle_ns),
        .idle_since_ns = counter_read(&cpu->idle_since_ns),
        .switches = counter_read(&cpu->switches),
        .device_interrupts = counter_read(&cpu->device_interrupts),
        .timer_interrupts = counter_read(&cpu->timer_interrupts),
        .spurious = counter_read(&cpu->spurious),
        .asked = counter_read(&cpu->asked),
        .posts = counter_read(&cpu->posts),
        .flushes = counter_read(&cpu->flushes),
    };
    entry->result[0] = sizeof *info;
    return STATUS_OK;
}

status_t sys_machine_power(struct entry *entry, const struct handle_lookup *handle, uint64_t action)
{
    (void)entry, (void)handle;
    if (action != POWER_OFF && action != POWER_REBOOT)
        return STATUS_INVALID;
    if (!hal.power)
        return STATUS_NOT_SUPPORTED;
    void (*perform)(void) = action == POWER_OFF ? hal.power->off : hal.power->reboot;
    if (!perform)
        return STATUS_NOT_SUPPORTED;
    perform();
    return STATUS_NOT_SUPPORTED;
}
