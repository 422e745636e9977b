// SPDX-License-Identifier: MIT
//
// The model's devices: interrupts on lines, DMA spaces, pins and their quarantine. See model.h.
#include <stdlib.h>

#include "model.h"

constexpr uint64_t PAGE = ABI_PAGE_SIZE, ALL_PORTS = 1 << 16;
constexpr uint64_t LINES = 64, DRIVER_LINES = 8, DRIVER_LINES_END = 56; // of the simulated machine

void model_machine(uint8_t actor, uint8_t at, uint32_t handles)
{
    uint8_t machine = object_make(OBJECT_MACHINE, NOTHING);
    object_of(machine)->handles = handles;
    model.actors[actor].registers[at] =
        (struct m_handle){M_USABLE, OBJECT_MACHINE, machine, RIGHTS_MACHINE};
}

// ---- interrupts

enum { IDLE, RAISED, RAISED_AGAIN };

static struct m_object *interrupt_of(uint64_t line, uint8_t *number)
{
    for (*number = 0; *number < M_OBJECTS; ++*number) {
        struct m_object *object = object_of(*number);
        if (object->life == M_LIVE && object->type == OBJECT_INTERRUPT && object->line == line)
            return object;
    }
    return nullptr;
}

// A level is heard once until it is acknowledged; an edge that comes before that is kept.
static void raised(uint64_t line)
{
    uint8_t number;
    struct m_object *interrupt = interrupt_of(line, &number);
    if (!interrupt || (interrupt->trigger != TRIGGER_EDGE && interrupt->state != IDLE))
        return;
    interrupt->count++;
    if (interrupt->state != IDLE) {
        interrupt->state = RAISED_AGAIN;
        return;
    }
    interrupt->state = RAISED;
    raise_signals(number, SIGNAL_INTERRUPT);
}

void model_line(uint64_t line, uint64_t what)
{
    if (what != 0)
        model.asserted[line] = what == 1;
    if (what != 2)
        raised(line);
}

static uint8_t call_mint_interrupt(const struct action *action, struct m_outcome *out)
{
    uint8_t machine, account, other;
    uint8_t status = handle_argument(action, 0, OBJECT_MACHINE, RIGHT_MINT, &machine);
    if (status == STATUS_OK)
        status = handle_argument(action, 1, OBJECT_ACCOUNT, RIGHT_CHARGE, &account);
    if (status != STATUS_OK)
        return status;
    uint64_t line = value_argument(action, 2), trigger = value_argument(action, 3);
    if (line >= LINES || trigger > TRIGGER_LEVEL_LOW)
        return STATUS_INVALID;
    status = charge(account, 0, 1);
    if (status != STATUS_OK)
        return status;
    if (line < DRIVER_LINES || line >= DRIVER_LINES_END)
        status = STATUS_INVALID;
    else if (interrupt_of(line, &other))
        status = STATUS_OVERLAP;
    if (status != STATUS_OK) {
        uncharge(account, 0, 1);
        return status;
    }
    uint8_t interrupt = object_make(OBJECT_INTERRUPT, account);
    object_of(interrupt)->line = line;
    object_of(interrupt)->trigger = trigger;
    give_handle(out, 0, action->actor, interrupt, RIGHTS_INTERRUPT);
    if (model.asserted[line])
        raised(line);
    return STATUS_OK;
}

static uint8_t call_acknowledge(const struct action *action, struct m_outcome *out)
{
    uint8_t number;
    uint8_t status = handle_argument(action, 0, OBJECT_INTERRUPT, RIGHT_ACKNOWLEDGE, &number);
    if (status != STATUS_OK)
        return status;
    struct m_object *interrupt = object_of(number);
    if (interrupt->state == IDLE)
        return STATUS_BAD_STATE;
    out->value[0] = interrupt->count;
    out->compared = 1;
    interrupt->signals &= ~(uint32_t)SIGNAL_INTERRUPT;
    interrupt->state--;
    if (interrupt->state == RAISED)
        raise_signals(number, SIGNAL_INTERRUPT);
    else if (interrupt->trigger != TRIGGER_EDGE && model.asserted[interrupt->line])
        raised(interrupt->line);
    return STATUS_OK;
}

// ---- pins

enum { ACTIVE, QUARANTINED, RELEASED };

static uint8_t call_dma_space(const struct action *action, struct m_outcome *out)
{
    uint8_t machine, account;
    uint8_t status = handle_argument(action, 0, OBJECT_MACHINE, RIGHT_MINT, &machine);
    if (status == STATUS_OK)
        status = handle_argument(action, 1, OBJECT_ACCOUNT, RIGHT_CHARGE, &account);
    if (status == STATUS_OK)
        status = charge(account, 0, 1);
    if (status != STATUS_OK)
        return status;
    uint8_t space = object_make(OBJECT_DMASPACE, account);
    object_of(space)->device = value_argument(action, 2);
    give_handle(out, 0, action->actor, space, RIGHTS_DMASPACE);
    return STATUS_OK;
}

// A pin pays for its own slot, then for what it holds: its pages, and the VMO's slot.
static uint8_t call_pin(const struct action *action, struct m_outcome *out)
{
    uint8_t space, account, vmo;
    uint8_t status = handle_argument(action, 0, OBJECT_DMASPACE, RIGHT_PIN, &space);
    if (status == STATUS_OK)
        status = handle_argument(action, 1, OBJECT_ACCOUNT, RIGHT_CHARGE, &account);
    if (status == STATUS_OK)
        status = handle_argument(action, 2, OBJECT_VMO, RIGHT_PIN, &vmo);
    if (status != STATUS_OK)
        return status;
    uint64_t offset = value_argument(action, 3), bytes = value_argument(action, 4);
    uint64_t direction = value_argument(action, 5), pages = bytes / PAGE;
    if (offset % PAGE || bytes % PAGE || pages == 0 || pages > ABI_PIN_MAX_PAGES ||
        direction == 0 || direction > DMA_BOTH)
        return STATUS_INVALID;
    uint32_t rights = handle_in(action, 2)->rights;
    if ((direction & DMA_TO_DEVICE && !(rights & RIGHT_READ)) ||
        (direction & DMA_FROM_DEVICE && !(rights & RIGHT_WRITE)))
        return STATUS_NO_RIGHT;
    if (offset / PAGE > object_of(vmo)->size || pages > object_of(vmo)->size - offset / PAGE)
        return STATUS_INVALID;
    status = charge(account, 0, 1);
    if (status != STATUS_OK)
        return status;
    status = charge(account, pages, 1);
    if (status != STATUS_OK) {
        uncharge(account, 0, 1);
        return status;
    }
    if (object_of(vmo)->source != NOTHING)
        vmo = object_of(vmo)->whole;
    uint8_t pin = object_make(OBJECT_PIN, account);
    object_of(pin)->vmo = vmo;
    object_of(pin)->size = pages;
    object_of(pin)->device = object_of(space)->device;
    object_of(vmo)->pinned++;
    give_handle(out, 0, action->actor, pin, RIGHTS_PIN);
    return STATUS_OK;
}

void pin_let_go(uint8_t object)
{
    struct m_object *pin = object_of(object);
    pin->state = RELEASED;
    uncharge(pin->payer, pin->size, 1);
    object_of(pin->vmo)->pinned--;
    if (object_of(pin->vmo)->life == M_DYING)
        vmo_maybe_free(pin->vmo);
    object_free(object);
}

// The driver has gone, or said nothing: the device may still write.
void pin_end(uint8_t object)
{
    object_of(object)->state = QUARANTINED;
    list_add(&object_of(object_of(object)->payer)->quarantined, object);
}

static uint8_t call_release(const struct action *action)
{
    uint8_t pin;
    uint8_t status = handle_argument(action, 0, OBJECT_PIN, RIGHT_MANAGE, &pin);
    if (status != STATUS_OK)
        return status;
    begin_end(pin);
    pin_let_go(pin);
    return STATUS_OK;
}

static uint8_t call_pin_use(const struct action *action, struct m_outcome *out)
{
    uint8_t pin;
    uint8_t status = handle_argument(action, 0, OBJECT_PIN, RIGHT_READ, &pin);
    if (status != STATUS_OK)
        return status;
    uint64_t size = object_of(pin)->size;
    if (action->number == SYSCALL_PIN_ADDRESSES) {
        if (value_argument(action, 1) >= size)
            return STATUS_INVALID;
        out->value[0] = size - value_argument(action, 1);
        out->compared = 1;
        return STATUS_OK;
    }
    uint64_t offset = value_argument(action, 1), bytes = value_argument(action, 2);
    uint64_t side = value_argument(action, 3);
    if (offset > size * PAGE || bytes > size * PAGE - offset || bytes > ABI_PIN_SYNC_BYTES ||
        side < SYNC_DEVICE || side > SYNC_CPU)
        return STATUS_INVALID;
    return STATUS_OK;
}

static uint8_t call_quiet(const struct action *action, struct m_outcome *out)
{
    uint8_t machine;
    uint8_t status = handle_argument(action, 0, OBJECT_MACHINE, RIGHT_MINT, &machine);
    if (status != STATUS_OK)
        return status;
    for (uint8_t i = 0; i < M_OBJECTS; i++) {
        struct m_object *pin = object_of(i);
        if (pin->life != M_DYING || pin->type != OBJECT_PIN ||
            pin->device != value_argument(action, 1))
            continue;
        out->value[0] += pin->size;
        list_take_out(&object_of(pin->payer)->quarantined, i);
        pin_let_go(i);
    }
    out->compared = 1;
    return STATUS_OK;
}

// ---- I/O ports

static bool ports_taken(uint64_t first, uint64_t ports)
{
    for (uint8_t i = 0; i < M_OBJECTS; i++) {
        const struct m_object *range = object_of(i);
        if (range->life == M_LIVE && range->type == OBJECT_IORANGE &&
            first < range->first_port + range->ports && range->first_port < first + ports)
            return true;
    }
    return false;
}

static uint8_t call_io_range(const struct action *action, struct m_outcome *out)
{
    uint8_t machine, account;
    uint8_t status = handle_argument(action, 0, OBJECT_MACHINE, RIGHT_MINT, &machine);
    if (status == STATUS_OK)
        status = handle_argument(action, 1, OBJECT_ACCOUNT, RIGHT_CHARGE, &account);
    if (status != STATUS_OK)
        return status;
    uint64_t first = value_argument(action, 2), ports = value_argument(action, 3);
    if (ports == 0 || first >= ALL_PORTS || ports > ALL_PORTS - first)
        return STATUS_INVALID;
    status = charge(account, 0, 1);
    if (status != STATUS_OK)
        return status;
    if (ports_taken(first, ports)) {
        uncharge(account, 0, 1);
        return STATUS_OVERLAP;
    }
    uint8_t range = object_make(OBJECT_IORANGE, account);
    object_of(range)->first_port = first;
    object_of(range)->ports = ports;
    give_handle(out, 0, action->actor, range, RIGHTS_IORANGE);
    return STATUS_OK;
}

// Little-endian, as devices' ports are.
static uint8_t call_io(const struct action *action, struct m_outcome *out)
{
    bool reads = action->number == SYSCALL_IO_READ;
    uint8_t number;
    uint8_t status =
        handle_argument(action, 0, OBJECT_IORANGE, reads ? RIGHT_READ : RIGHT_WRITE, &number);
    if (status != STATUS_OK)
        return status;
    uint64_t offset = value_argument(action, 1), width = value_argument(action, 2);
    uint64_t value = value_argument(action, 3), ports = object_of(number)->ports;
    if ((width != 1 && width != 2 && width != 4) || offset >= ports || width > ports - offset)
        return STATUS_INVALID;
    if (!reads && value > UINT32_MAX)
        return STATUS_INVALID;
    uint64_t port = object_of(number)->first_port + offset;
    if (port + width > M_PORTS)
        abort();
    for (unsigned i = 0; i < width; i++)
        if (reads)
            out->value[0] |= (uint64_t)model.ports[port + i] << 8 * i;
        else
            model.ports[port + i] = (uint8_t)(value >> 8 * i);
    out->compared = reads;
    return STATUS_OK;
}

uint8_t call_devices(const struct action *action, struct m_outcome *out)
{
    switch (action->number) {
    case SYSCALL_MACHINE_IO_RANGE:
        return call_io_range(action, out);
    case SYSCALL_IO_READ:
    case SYSCALL_IO_WRITE:
        return call_io(action, out);
    case SYSCALL_MACHINE_INTERRUPT:
        return call_mint_interrupt(action, out);
    case SYSCALL_INTERRUPT_ACKNOWLEDGE:
        return call_acknowledge(action, out);
    case SYSCALL_MACHINE_DMA_SPACE:
        return call_dma_space(action, out);
    case SYSCALL_PIN_CREATE:
        return call_pin(action, out);
    case SYSCALL_PIN_RELEASE:
        return call_release(action);
    case SYSCALL_PIN_ADDRESSES:
    case SYSCALL_PIN_SYNC:
        return call_pin_use(action, out);
    case SYSCALL_MACHINE_DEVICE_QUIET:
        return call_quiet(action, out);
    default:
        return call_processes(action, out);
    }
}
