// SPDX-License-Identifier: MIT
//
// Interrupts: one object per line or message vector. Dispatch counts, masks or notes, raises the
// signal, ends it and returns; it never blocks.
//
//   IDLE -> PENDING -> IDLE        (acknowledged)
//   PENDING + raised again -> AGAIN -> PENDING    (an edge while in service: told once more)
//
// A level line is masked from its raise to its acknowledge (Q1). An edge or a message needs no
// mask: each is raised once, and one that comes before the acknowledge is kept. One that comes too
// often is put aside (storm.h).
#include "interrupt.h"

#include <hal/hal.h>
#include <lib/string.h>

#include "clock.h"
#include "cpu.h"
#include "handlers.h"
#include "log.h"
#include "machine.h"
#include "process.h"

static struct {
    struct spinlock lock; // also of all that hal.h wants done by one CPU at a time
    // By line; owned lines only. While one is here its object is not freed.
    struct interrupt **lines;
    uint32_t count; // written once at boot
} interrupts;

size_t interrupts_table_bytes(void)
{
    return hal.irq->lines * sizeof(struct interrupt *);
}

void interrupts_init(void *table)
{
    lock_init(&interrupts.lock, RANK_IRQ);
    interrupts.lines = table;
    interrupts.count = hal.irq->lines;
    memset(table, 0, interrupts_table_bytes());
}

static struct interrupt *interrupt_of(struct object *object)
{
    return (struct interrupt *)(void *)object;
}

// ---- dispatch

// Whose a line is; none: it is masked.
static struct object_ref owner_of(uint32_t line)
{
    struct object_ref owner = {};
    lock_acquire(&interrupts.lock);
    if (line < interrupts.count && interrupts.lines[line])
        owner = object_reference(&interrupts.lines[line]->object);
    else if (line < interrupts.count)
        hal.irq->mask(line);
    lock_release(&interrupts.lock);
    return owner;
}

// After its owner was found dying. By now that may be gone, and the line a new one's, who must not
// find it masked.
static void mask_of_the_dying(uint32_t line)
{
    lock_acquire(&interrupts.lock);
    if (interrupts.lines[line] && object_dies(&interrupts.lines[line]->object))
        hal.irq->mask(line);
    lock_release(&interrupts.lock);
}

static void set_masked(uint32_t line, bool masked)
{
    lock_acquire(&interrupts.lock);
    if (masked)
        hal.irq->mask(line);
    else
        hal.irq->unmask(line);
    lock_release(&interrupts.lock);
}

static void message_switch(struct interrupt *interrupt, bool on)
{
    *interrupt->source.word = on ? interrupt->source.on : interrupt->source.off;
}

// Counts it, and tells whoever waits, now or at the acknowledge.
static void note(struct interrupt *interrupt) REQUIRES(interrupt->object.lock)
{
    struct object *object = &interrupt->object;
    if (!SEEDED_BUG("Q2"))
        interrupt->count++;
    if (object->state == INTERRUPT_IDLE) {
        object_transition(object, INTERRUPT_PENDING);
        object_signal_locked(object, SIGNAL_INTERRUPT);
    } else {
        object_transition(object, INTERRUPT_AGAIN);
    }
}

void interrupt_quieten(struct interrupt *interrupt, bool quiet) NO_THREAD_SAFETY
{
    if (interrupt->message)
        message_switch(interrupt, !quiet);
    else if (interrupt->trigger == TRIGGER_EDGE || interrupt->object.state == INTERRUPT_IDLE)
        set_masked(interrupt->line, quiet);
    if (!quiet && interrupt->source.forgets)
        note(interrupt);
}

static void raise(struct cpu *cpu, uint32_t line) NO_THREAD_SAFETY
{
    struct object_ref owner = owner_of(line);
    if (!owner.object) {
        counter_add(&cpu->spurious, 1);
        return;
    }
    if (!object_lock(owner.object, owner.generation)) {
        mask_of_the_dying(line);
        return;
    }
    struct object *object = owner.object;
    struct interrupt *interrupt = interrupt_of(object);
    CHECK(Q1, object->state == INTERRUPT_IDLE || interrupt->trigger == TRIGGER_EDGE);
    interrupt->cpu = cpu->number;
    if (interrupt->trigger != TRIGGER_EDGE && !SEEDED_BUG("Q1"))
        set_masked(line, true);
    note(interrupt);
    bool storm = storm_begins(interrupt, cpu);
    object_unlock(object);
    if (storm)
        machine_tell(SIGNAL_STORM);
}

void interrupts_dispatch(struct cpu *cpu)
{
    for (unsigned i = 0; i < CPU_BATCH; i++) {
        uint32_t line = hal.irq->claim();
        if (line == IRQ_NONE) {
            if (i == 0)
                counter_add(&cpu->spurious, 1);
            return;
        }
        if (line == IRQ_IPI) {
            hal.irq->complete(line);
            counter_add(&cpu->asked, 1);
            panic_stop_here();
            tlb_answer(cpu); // what is in the inbox is handled at the entry's end
            continue;
        }
        if (line == IRQ_TIMER) {
            counter_add(&cpu->timer_interrupts, 1);
            cpu->armed_ns = UINT64_MAX; // it fired: what is due next is armed at exit
            hal.irq->complete(line);
            time_expire(cpu);
            continue;
        }
        counter_add(&cpu->device_interrupts, 1);
        raise(cpu, line);
        hal.irq->complete(line);
    }
}

// ---- minting

// Takes a line that the controller lets drivers have, configured and still masked.
static status_t line_take(struct interrupt *interrupt, uint32_t line)
{
    status_t status = STATUS_OK;
    lock_acquire(&interrupts.lock);
    if (!hal.irq->usable(line)) {
        status = STATUS_INVALID;
    } else if (interrupts.lines[line] && !SEEDED_BUG("Q taken")) {
        status = STATUS_OVERLAP;
    } else {
        interrupts.lines[line] = interrupt;
        interrupt->line = line;
        hal.irq->configure(line, interrupt->trigger);
    }
    lock_release(&interrupts.lock);
    return status;
}

status_t sys_machine_interrupt(struct entry *entry, const struct handle_lookup *mint,
                               const struct handle_lookup *account, uint64_t line, uint64_t trigger)
{
    (void)mint;
    if (line >= interrupts.count || trigger > TRIGGER_LEVEL_LOW)
        return STATUS_INVALID;
    struct object *object;
    status_t status = create_with_handle(entry, account, OBJECT_INTERRUPT, &object);
    if (status != STATUS_OK)
        return status;
    struct interrupt *interrupt = interrupt_of(object);
    interrupt->trigger = (enum abi_trigger)trigger;
    storm_init(interrupt);
    status = line_take(interrupt, (uint32_t)line);
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        object_discard(object);
        return status;
    }
    set_masked((uint32_t)line, false);
    entry->result[0] = handle_publish(entry->process, object, RIGHTS_INTERRUPT);
    return STATUS_OK;
}

// One entry of an MSI-X table (PCI 3.0, section 6.8.2): address, data, control with the mask bit.
struct vector_entry {
    volatile uint32_t address_low, address_high, data, control;
};
static_assert(sizeof(struct vector_entry) == VECTOR_ENTRY_BYTES);

constexpr uint64_t VECTOR_ENTRIES_MAX = 2048;

// An MSI capability (6.8.1): its head, then the address in one word or in two, the data, and in some a bit
// each that masks a message.
constexpr uint64_t CAPABILITIES_START = 0x40, CAPABILITIES_END = 0x100;
constexpr uint32_t CAPABILITY_ID = 0xff, CAPABILITY_MSI = 5;
constexpr uint32_t MSI_ENABLE = 1u << 16, MSI_MULTIPLE = 7u << 20, MSI_WIDE = 1u << 23,
                   MSI_MASKS = 1u << 24;

// What a message interrupt is minted for: the ABI's arguments.
struct message_request {
    uint64_t table, vector, device, controller;
};

static bool is_capability(const struct message_request *request)
{
    return request->vector == ABI_VECTOR_MSI;
}

static uint64_t entry_address(const struct message_request *request)
{
    return request->table + request->vector * VECTOR_ENTRY_BYTES;
}

// Takes a free message line, which nobody raises yet.
static bool message_line_take(struct interrupt *interrupt, uint64_t controller, uint64_t device,
                              uint64_t *address, uint32_t *data)
{
    if (RUNS_OUT("message lines"))
        return false;
    uint32_t line;
    lock_acquire(&interrupts.lock);
    bool taken = hal.irq->message_allocate((paddr_t){controller}, device, &line, address, data);
    if (taken) {
        ASSERT(!interrupts.lines[line]); // the controller just said that it is free
        interrupts.lines[line] = interrupt;
        interrupt->line = line;
        interrupt->message = true;
        hal.irq->configure(line, TRIGGER_EDGE);
    }
    lock_release(&interrupts.lock);
    return taken;
}

static void message_line_give_back(struct interrupt *interrupt) NO_THREAD_SAFETY
{
    if (!SEEDED_BUG("Q give back"))
        lock_acquire(&interrupts.lock);
    interrupts.lines[interrupt->line] = nullptr;
    hal.irq->message_free(interrupt->line);
    if (!SEEDED_BUG("Q give back"))
        lock_release(&interrupts.lock);
}

// Has the entry of the table raise the line, once it is switched on. The table's pages are taken last, since
// that is for ever.
static status_t vector_take(struct interrupt *interrupt, const struct message_request *request,
                            uint64_t address, uint32_t data)
{
    uint8_t *mapped;
    status_t status =
        machine_vector_take(&interrupt->vector, request->table, entry_address(request), &mapped);
    if (status != STATUS_OK)
        return status;
    struct vector_entry *slot = (struct vector_entry *)(void *)mapped;
    interrupt->source = (struct message_source){.word = &slot->control, .off = 1};
    message_switch(interrupt, false);
    slot->address_low = (uint32_t)address;
    slot->address_high = (uint32_t)(address >> 32);
    slot->data = data;
    return STATUS_OK;
}

// Likewise the capability, by one message. Not every device can mask one, so it is the capability that is
// switched.
static status_t capability_write(struct interrupt *interrupt, volatile uint32_t *words,
                                 uint64_t address, uint32_t data)
{
    uint32_t head = words[0] & ~(MSI_ENABLE | MSI_MULTIPLE);
    bool wide = (head & MSI_WIDE) != 0;
    if ((head & CAPABILITY_ID) != CAPABILITY_MSI)
        return STATUS_INVALID;
    if (!wide && address > UINT32_MAX)
        return STATUS_NO_RESOURCE;
    interrupt->source = (struct message_source){
        .word = words, .on = head | MSI_ENABLE, .off = head, .forgets = true};
    message_switch(interrupt, false);
    words[1] = (uint32_t)address;
    words[2] = (uint32_t)(address >> 32); // the data's place, where the address has one word
    words[wide ? 3 : 2] = data;
    if ((head & MSI_MASKS) != 0)
        words[wide ? 4 : 3] = 0;
    return STATUS_OK;
}

static status_t capability_take(struct interrupt *interrupt, const struct message_request *request,
                                uint64_t address, uint32_t data)
{
    uint8_t *mapped;
    status_t status = machine_vector_take(&interrupt->vector, 0, request->table, &mapped);
    if (status != STATUS_OK)
        return status;
    status = capability_write(interrupt, (uint32_t *)(void *)mapped, address, data);
    if (status != STATUS_OK)
        machine_vector_returned(&interrupt->vector);
    return status;
}

static status_t message_take(struct interrupt *interrupt, const struct message_request *request)
{
    uint64_t address;
    uint32_t data;
    if (!message_line_take(interrupt, request->controller, request->device, &address, &data))
        return STATUS_NO_RESOURCE;
    status_t status = is_capability(request) ? capability_take(interrupt, request, address, data)
                                             : vector_take(interrupt, request, address, data);
    if (status != STATUS_OK)
        message_line_give_back(interrupt);
    return status;
}

static bool message_request_valid(const struct message_request *request)
{
    uint64_t table = request->table, offset = table % PAGE_SIZE, last = table;
    if (table == 0 || table >= 1ull << 48)
        return false;
    if (is_capability(request)) {
        if (table % 4 != 0 || offset < CAPABILITIES_START ||
            offset > CAPABILITIES_END - VECTOR_ENTRY_BYTES)
            return false;
    } else {
        if (table % 8 != 0 || request->vector >= VECTOR_ENTRIES_MAX)
            return false;
        last = entry_address(request);
    }
    return !machine_owns(align_down(table, PAGE_SIZE),
                         align_up(last + VECTOR_ENTRY_BYTES, PAGE_SIZE));
}

status_t sys_machine_message_interrupt(struct entry *entry, const struct handle_lookup *mint,
                                       const struct handle_lookup *account, uint64_t table,
                                       uint64_t vector, uint64_t device, uint64_t controller)
{
    (void)mint;
    const struct message_request request = {table, vector, device, controller};
    if (!hal.irq->message_allocate)
        return STATUS_NOT_SUPPORTED;
    if (!message_request_valid(&request))
        return STATUS_INVALID;
    struct object *object;
    status_t status = create_with_handle(entry, account, OBJECT_INTERRUPT, &object);
    if (status != STATUS_OK)
        return status;
    struct interrupt *interrupt = interrupt_of(object);
    interrupt->trigger = TRIGGER_EDGE;
    storm_init(interrupt);
    status = message_take(interrupt, &request);
    if (status != STATUS_OK) {
        handles_unreserve(entry->process, 1);
        object_discard(object);
        return status;
    }
    set_masked(interrupt->line, false);
    message_switch(interrupt, true);
    entry->result[0] = handle_publish(entry->process, object, RIGHTS_INTERRUPT);
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
        else if (interrupt->trigger != TRIGGER_EDGE && !interrupt->storm.aside)
            set_masked(interrupt->line, false);
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
    if (!SEEDED_BUG("Q3 end"))
        deadline_clear(&interrupt->storm.end);
    lock_acquire(&interrupts.lock);
    if (interrupt->message)
        message_switch(interrupt, false);
    hal.irq->mask(interrupt->line);
    if (!SEEDED_BUG("Q unregister"))
        interrupts.lines[interrupt->line] = nullptr;
    if (interrupt->message)
        hal.irq->message_free(interrupt->line);
    lock_release(&interrupts.lock);
    if (interrupt->message)
        machine_vector_returned(&interrupt->vector);
    return STEP_DONE;
}

void interrupt_inspect(struct object *object, struct abi_inspect *out) NO_THREAD_SAFETY
{
    const struct interrupt *interrupt = interrupt_of(object);
    out->interrupt.line = interrupt->line;
    out->interrupt.count = interrupt->count;
    out->interrupt.message = interrupt->message;
    out->interrupt.cpu = interrupt->cpu;
    out->interrupt.masked = object->state != INTERRUPT_IDLE || interrupt->storm.aside;
    out->interrupt.aside = interrupt->storm.aside;
    out->interrupt.storms = interrupt->storm.count;
}
