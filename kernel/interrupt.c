// SPDX-License-Identifier: MIT
//
// Interrupts: one object per line or message vector. Dispatch counts, masks or notes, raises the
// signal, ends it and returns; it never blocks.
//
//   IDLE -> PENDING -> IDLE        (acknowledged)
//   PENDING + raised again -> AGAIN -> PENDING    (an edge while in service: told once more)
//
// A level line is masked from its raise to its acknowledge (Q1). An edge or a message needs no
// mask: each is raised once, and one that comes before the acknowledge is kept.
#include "interrupt.h"

#include <hal/hal.h>

#include "clock.h"
#include "cpu.h"
#include "handlers.h"
#include "machine.h"
#include "process.h"

static struct {
    struct spinlock lock;
    // By line; owned lines only. Read by dispatch without the lock: an entry is cleared only
    // after its line was masked.
    struct interrupt **lines;
    uint32_t count;
} interrupts;

size_t interrupts_table_bytes(void)
{
    return hal.irq->lines * sizeof(struct interrupt *);
}

void interrupts_init(void *table)
{
    lock_init(&interrupts.lock, RANK_MACHINE);
    interrupts.lines = table;
    interrupts.count = hal.irq->lines;
    for (uint32_t i = 0; i < interrupts.count; i++)
        interrupts.lines[i] = nullptr;
}

static struct interrupt *interrupt_of(struct object *object)
{
    return (struct interrupt *)(void *)object;
}

// ---- dispatch

static void raise(uint32_t line) NO_THREAD_SAFETY
{
    struct interrupt *interrupt = line < interrupts.count ? interrupts.lines[line] : nullptr;
    if (!interrupt) {
        cpu_self()->spurious++;
        if (line < interrupts.count)
            hal.irq->mask(line);
        return;
    }
    struct object *object = &interrupt->object;
    lock_acquire(&object->lock);
    CHECK(Q1, object->state == INTERRUPT_IDLE || interrupt->trigger == TRIGGER_EDGE ||
                  object->life != LIFE_LIVE);
    if (!SEEDED_BUG("Q2"))
        interrupt->count++;
    if (interrupt->trigger != TRIGGER_EDGE && !SEEDED_BUG("Q1"))
        hal.irq->mask(line);
    if (object->life == LIFE_LIVE) {
        if (object->state == INTERRUPT_IDLE) {
            object_transition(object, INTERRUPT_PENDING);
            object_signal_locked(object, SIGNAL_INTERRUPT);
        } else if (object->state == INTERRUPT_PENDING) {
            object_transition(object, INTERRUPT_AGAIN);
        }
    }
    lock_release(&object->lock);
}

void interrupts_dispatch(struct cpu *cpu)
{
    for (unsigned i = 0; i < CPU_BATCH; i++) {
        uint32_t line = hal.irq->claim();
        if (line == IRQ_NONE) {
            cpu->spurious += i == 0;
            return;
        }
        cpu->interrupts++;
        if (line == IRQ_TIMER) {
            cpu->armed_ns = UINT64_MAX; // it fired: what is due next is armed at exit
            hal.irq->complete(line);
            time_expire(cpu);
            continue;
        }
        raise(line);
        hal.irq->complete(line);
    }
}

// ---- minting

// Files an interrupt for a line that the controller lets drivers have.
static status_t line_take(struct interrupt *interrupt, uint32_t line)
{
    status_t status = STATUS_OK;
    lock_acquire(&interrupts.lock);
    if (interrupts.lines[line])
        status = STATUS_OVERLAP;
    else
        interrupts.lines[line] = interrupt;
    lock_release(&interrupts.lock);
    return status;
}

status_t sys_machine_interrupt(struct entry *entry, const struct handle_lookup *mint,
                               const struct handle_lookup *account, uint64_t line, uint64_t trigger)
{
    (void)mint;
    if (line >= interrupts.count || trigger > TRIGGER_LEVEL_LOW || !hal.irq->usable((uint32_t)line))
        return STATUS_INVALID;
    struct object *object;
    status_t status = create_with_handle(entry, account, OBJECT_INTERRUPT, &object);
    if (status != STATUS_OK)
        return status;
    struct interrupt *interrupt = interrupt_of(object);
    interrupt->line = IRQ_NONE;
    interrupt->trigger = (enum abi_trigger)trigger;
    status = line_take(interrupt, (uint32_t)line);
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        object_kill(object_reference(object), sched_priority());
        return status;
    }
    interrupt->line = (uint32_t)line;
    hal.irq->configure((uint32_t)line, interrupt->trigger);
    hal.irq->unmask((uint32_t)line);
    entry->result[0] = handle_install_reserved(entry->process, object, RIGHTS_INTERRUPT);
    return STATUS_OK;
}

// One entry of an MSI-X table (PCI 3.0, section 6.8.2): address, data, control with the mask bit.
struct vector_entry {
    volatile uint32_t address_low, address_high, data, control;
};

constexpr uint64_t VECTOR_ENTRIES_MAX = 2048;

static struct vector_entry *vector_map(uint64_t table, uint64_t entry)
{
    uint64_t page = align_down(table + entry * sizeof(struct vector_entry), PAGE_SIZE);
    uint8_t *mapped = arch_device_map((paddr_t){page}, PAGE_SIZE, ARCH_MEMORY_DEVICE);
    if (!mapped)
        return nullptr;
    uint64_t offset = table + entry * sizeof(struct vector_entry) - page;
    return (struct vector_entry *)(void *)(mapped + offset);
}

status_t sys_machine_message_interrupt(struct entry *entry, const struct handle_lookup *mint,
                                       const struct handle_lookup *account, uint64_t table,
                                       uint64_t vector, uint64_t device)
{
    (void)mint, (void)device;
    if (!hal.irq->message_allocate)
        return STATUS_NOT_SUPPORTED;
    if (vector >= VECTOR_ENTRIES_MAX || table % 8 != 0 || table == 0 || table >= 1ull << 48)
        return STATUS_INVALID;
    uint64_t end = table + (vector + 1) * sizeof(struct vector_entry);
    uint64_t first = align_down(table, PAGE_SIZE);
    end = align_up(end, PAGE_SIZE);
    if (machine_owns(first, end))
        return STATUS_INVALID;
    if (!machine_claim_vectors(first, end))
        return STATUS_OVERLAP;
    struct vector_entry *slot = vector_map(table, vector);
    if (!slot)
        return STATUS_NO_RESOURCE;
    struct object *object;
    status_t status = create_with_handle(entry, account, OBJECT_INTERRUPT, &object);
    if (status != STATUS_OK)
        return status;
    struct interrupt *interrupt = interrupt_of(object);
    interrupt->line = IRQ_NONE;
    interrupt->trigger = TRIGGER_EDGE;
    uint32_t line, data;
    uint64_t address;
    if (!hal.irq->message_allocate(&line, &address, &data)) {
        handles_unreserve(entry->process, 1);
        object_kill(object_reference(object), sched_priority());
        return STATUS_NO_RESOURCE;
    }
    interrupt->message = true;
    interrupt->line = line;
    interrupt->vector_control = &slot->control;
    status = line_take(interrupt, line);
    ASSERT(status == STATUS_OK); // the controller just said that it is free
    slot->control = 1;
    slot->address_low = (uint32_t)address;
    slot->address_high = (uint32_t)(address >> 32);
    slot->data = data;
    hal.irq->configure(line, TRIGGER_EDGE);
    hal.irq->unmask(line);
    slot->control = 0;
    entry->result[0] = handle_install_reserved(entry->process, object, RIGHTS_INTERRUPT);
    return STATUS_OK;
}

// ---- use and end

status_t sys_interrupt_acknowledge(struct entry *entry, const struct handle_lookup *handle)
    NO_THREAD_SAFETY
{
    struct object *object = handle->object;
    struct interrupt *interrupt = interrupt_of(object);
    if (!object_lock(object, handle->generation))
        return STATUS_GONE;
    status_t status = STATUS_BAD_STATE;
    if (object->state != INTERRUPT_IDLE) {
        status = STATUS_OK;
        bool again = object->state == INTERRUPT_AGAIN;
        object->signals &= ~(uint32_t)SIGNAL_INTERRUPT;
        object_transition(object, again ? INTERRUPT_PENDING : INTERRUPT_IDLE);
        if (again)
            object_signal_locked(object, SIGNAL_INTERRUPT);
        else if (interrupt->trigger != TRIGGER_EDGE)
            hal.irq->unmask(interrupt->line);
        CHECK(Q2, interrupt->acknowledged < interrupt->count);
        interrupt->acknowledged++;
    }
    entry->result[0] = interrupt->count;
    object_unlock(object);
    return status;
}

// Mask, unregister, and only then let the slot go.
enum step interrupt_teardown(struct object *object)
{
    struct interrupt *interrupt = interrupt_of(object);
    if (interrupt->line == IRQ_NONE)
        return STEP_DONE;
    if (interrupt->message)
        *interrupt->vector_control = 1;
    hal.irq->mask(interrupt->line);
    lock_acquire(&interrupts.lock);
    interrupts.lines[interrupt->line] = nullptr;
    lock_release(&interrupts.lock);
    if (interrupt->message)
        hal.irq->message_free(interrupt->line);
    return STEP_DONE;
}

void interrupt_inspect(struct object *object, struct abi_inspect *out)
{
    const struct interrupt *interrupt = interrupt_of(object);
    out->interrupt.line = interrupt->line;
    out->interrupt.count = interrupt->count;
    out->interrupt.message = interrupt->message;
    out->interrupt.masked = object->state != INTERRUPT_IDLE;
}
