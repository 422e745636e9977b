// SPDX-License-Identifier: MIT
//
// Drawing a step: a call of the kind's list, each argument by its kind in the ABI's table
// (build/gen/user/abi_table.h), mostly what can work and sometimes what cannot. And what the model has no
// room for, or says nothing about, which is not drawn.
#include <abi_table.h>
#include <lib/types.h>

#include "model.h"
#include "perform.h"
#include "property.h"

constexpr uint64_t PAGE = ABI_PAGE_SIZE, BASE = ABI_INIT_MESSAGE_BUFFER;
constexpr uint32_t LINE_EDGE = 8, LINE_LEVEL = 9;

static uint64_t one_of(const uint64_t *values, size_t count)
{
    return values[draw_below(count)];
}
#define ONE_OF(...) \
    one_of((const uint64_t[]){__VA_ARGS__}, ARRAY_SIZE(((const uint64_t[]){__VA_ARGS__})))

// ---- arguments

static const struct m_handle *register_of(uint8_t actor, uint64_t at)
{
    return &model.actors[actor].registers[at];
}

// A register with a handle to an object of this type (0: any), or any register.
static uint64_t draw_register(uint8_t actor, uint8_t type)
{
    if (draw_below(16) == 0)
        return draw_below(register_count);
    uint64_t found = draw_below(register_count), count = 0;
    for (uint64_t i = 0; i < register_count; i++) {
        const struct m_handle *handle = register_of(actor, i);
        if (handle->phase == M_USABLE && (type == 0 || handle->type == type) &&
            draw_below(++count) == 0)
            found = i;
    }
    return found;
}

// Most objects are not those that an actor cannot do without.
static uint64_t draw_own_register(uint8_t actor)
{
    uint64_t at = draw_register(actor, 0);
    return at < FIRST && draw_below(4) ? FIRST + draw_below(register_count - FIRST) : at;
}

static struct operand draw_handle(uint8_t actor, const struct abi_arg *arg)
{
    if (arg->optional && draw_below(2))
        return V(0);
    return R(arg->object ? draw_register(actor, arg->object) : draw_own_register(actor));
}

static struct operand draw_deadline(void)
{
    switch (draw_below(5)) {
    case 0:
        return NOW;
    case 1:
        return NEVER;
    default:
        return AFTER(draw_below(4));
    }
}

static uint64_t draw_message(bool call)
{
    uint64_t message = MSG(ONE_OF(0, 1, 4, 8, 9), ONE_OF(0, 0, 1, 1, 2, 3));
    if (draw_below(40) == 0)
        message |= 1 << 23; // a bit that means nothing
    return call || draw_below(20) == 0 ? MSG_WITH_REPLY_HANDLES(message, ONE_OF(0, 0, 1, 2))
                                       : message;
}

static uint64_t draw_shape(void)
{
    if (draw_below(20) == 0)
        return ABI_CHANNEL_SHAPE(ONE_OF(0, 1), ONE_OF(8, 0xffff), ONE_OF(0, 9), ONE_OF(0, 65));
    uint64_t shape =
        ABI_CHANNEL_SHAPE(1 + draw_below(2), ONE_OF(8, 8, 0), draw_below(3), draw_below(3));
    if (draw_below(2)) // those who draw are about as urgent as that
        shape |= ABI_CHANNEL_CEILINGS(ONE_OF(63, 10, 9), ONE_OF(63, 11, 10, 0));
    return shape;
}

static struct operand draw_value(const struct abi_arg *arg, uint16_t number)
{
    switch (arg->kind) {
    case ARG_RIGHTS:
        return V(ONE_OF(RIGHTS_ALL, RIGHTS_EVENT, RIGHTS_VMO, RIGHTS_CHANNEL, RIGHTS_ACCOUNT, 0,
                        RIGHT_TRANSFER | RIGHT_WAIT, 1ull << 32) &
                 ~(draw_below(2) ? 1ull << draw_below(17) : 0));
    case ARG_SIGNALS:
        return V(ONE_OF(1, 3, 0x8000, 0x10000, SIGNAL_READABLE, SIGNAL_TERMINATED, SIGNAL_FIRED,
                        SIGNAL_READABLE | SIGNAL_PEER_CLOSED, SIGNAL_INTERRUPT, 0));
    case ARG_VADDR:
        return V(draw_below(16) ? BASE + draw_below(6) * PAGE : ONE_OF(0, BASE + 8, ABI_USER_MAX));
    case ARG_PROT:
        return V(ONE_OF(PROT_READ, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_WRITE,
                        PROT_READ | PROT_EXECUTE, PROT_WRITE, 7, 9));
    case ARG_MSGINFO:
        return V(draw_message(number == SYSCALL_CHANNEL_CALL));
    case ARG_CHANNEL_SHAPE:
        return V(draw_shape());
    case ARG_OVERFLOW:
        return V(ONE_OF(0, 0, 1, 1, 2, 3));
    case ARG_VMO_FLAGS:
        return V(draw_below(16) ? 0 : draw_below(4));
    case ARG_DIRECTION:
    case ARG_SYNC_SIDE:
    case ARG_TRIGGER:
    case ARG_MEMORY_KIND:
    case ARG_POWER_ACTION:
        return V(draw_below(5));
    case ARG_PADDR:
    case ARG_U64:
    case ARG_I64:
        return V(ONE_OF(0, 1, 2, 3, 4, 8, PAGE, 2 * PAGE, PAGE + 1, UINT64_MAX, INT64_MAX));
    case ARG_NONE:
    case ARG_HANDLE:
    case ARG_RAW_HANDLE:
    case ARG_DEADLINE:
    case ARG_TOKEN:
        break;
    }
    return V(0);
}

static struct operand draw_argument(uint8_t actor, uint16_t number, unsigned index)
{
    const struct abi_arg *arg = &abi_calls[number].arg[index];
    if (arg->kind == ARG_HANDLE)
        return draw_handle(actor, arg);
    if (arg->kind == ARG_RAW_HANDLE)
        return R(draw_own_register(actor));
    if (arg->kind == ARG_DEADLINE)
        return draw_deadline();
    if (arg->kind == ARG_TOKEN)
        return draw_below(8) ? TOKEN : V(77);
    return draw_value(arg, number);
}

// ---- calls

// What is drawn one by one hardly ever fits together.
static void make_sensible(struct action *action)
{
    struct operand *argument = action->argument;
    switch (action->number) {
    case SYSCALL_ACCOUNT_CREATE:
        argument[1] = V(ONE_OF(1, 1, 2, 3, 0, UINT64_MAX));
        argument[2] = V(ONE_OF(1, 2, 3, 4, 0, UINT64_MAX));
        argument[3] = V(ONE_OF(0, 0, 1, 1, 2, UINT64_MAX));
        break;
    case SYSCALL_ACCOUNT_RESIZE:
        argument[2] = V(ONE_OF(0, 1, 2, (uint64_t)-1, (uint64_t)-2, INT64_MAX, 1ull << 63));
        argument[3] = V(ONE_OF(0, 1, 2, (uint64_t)-1, (uint64_t)-2, INT64_MAX, 1ull << 63));
        argument[4] = V(ONE_OF(0, 0, 1, (uint64_t)-1, INT64_MAX, 1ull << 63));
        break;
    case SYSCALL_ACCOUNT_BUDGET: // what is given away is given back in no time that passes here
        argument[2] = V(ONE_OF(0, 0, 1, 2));
        argument[3] = V(1000 * ONE_OF(50, 75, 100, 150, 0, 49, UINT64_MAX / 1000));
        argument[4] = V(argument[3].value == 0 ? 0 : ONE_OF(1, 1, 1, 2, 3) * 500'000'000);
        break;
    case SYSCALL_CHANNEL_CREATE: // one that drops messages carries nothing else
        if (argument[3].value == OVERFLOW_DROP_OLDEST && draw_below(8))
            argument[2] = V(ABI_CHANNEL_SHAPE(1 + draw_below(2), 8, 0, 0));
        break;
    case SYSCALL_THREAD_CREATE:
    case SYSCALL_THREAD_SET_PRIORITY:
        argument[1] = V(ONE_OF(5, 9, 10, 11, UINT64_MAX));
        break;
    case SYSCALL_VMO_CREATE:
        argument[1] = V(ONE_OF(PAGE, PAGE, 2 * PAGE, PAGE + 1, 1, 3 * PAGE, 0, UINT64_MAX));
        break;
    case SYSCALL_VMO_SLICE:
        argument[2] = V(ONE_OF(0, 0, PAGE, 2 * PAGE, 8));
        argument[3] = V(ONE_OF(PAGE, PAGE, PAGE, 2 * PAGE, 0, 8));
        argument[4] = V(ONE_OF(RIGHTS_VMO, RIGHTS_VMO, RIGHT_DUPLICATE | RIGHT_MAP | RIGHT_READ,
                               RIGHT_MAP | RIGHT_READ | RIGHT_WRITE, RIGHTS_VMO | RIGHT_SEND));
        break;
    case SYSCALL_VM_MAP:
        argument[2] = V(ONE_OF(0, 0, 0, PAGE, 2 * PAGE, 8));
        argument[4] = V(ONE_OF(PAGE, PAGE, 2 * PAGE, 0, 8));
        break;
    case SYSCALL_PIN_CREATE:
        argument[3] = V(ONE_OF(0, 0, 0, PAGE, 8));
        argument[4] = V(ONE_OF(PAGE, PAGE, 2 * PAGE, 0, 513 * PAGE));
        break;
    case SYSCALL_PIN_SYNC:
        argument[1] = V(ONE_OF(0, PAGE - 16, PAGE, UINT64_MAX));
        argument[2] = V(ONE_OF(0, 16, 17, PAGE, UINT64_MAX));
        break;
    case SYSCALL_PIN_ADDRESSES:
        argument[1] = V(draw_below(4));
        break;
    case SYSCALL_MACHINE_IO_RANGE:
        argument[2] = V(draw_below(16) ? draw_below(10) : ONE_OF(0xffff, 0x1'0000));
        argument[3] = V(ONE_OF(1, 2, 4, 8, 0, UINT64_MAX));
        break;
    case SYSCALL_IO_READ:
    case SYSCALL_IO_WRITE:
        argument[1] = V(ONE_OF(0, 0, 1, 2, 4, 7, 8, UINT64_MAX));
        argument[2] = V(ONE_OF(1, 1, 2, 4, 3, 0));
        if (action->number == SYSCALL_IO_WRITE)
            argument[3] = V(ONE_OF(0x11, 0x2233, 0x4455'6677, 1ull << 32));
        break;
    case SYSCALL_MACHINE_INTERRUPT:
        argument[2] = V(ONE_OF(LINE_EDGE, LINE_LEVEL, LINE_EDGE, LINE_LEVEL, 0, 60, 64));
        argument[3] = V(argument[2].value == LINE_LEVEL ? TRIGGER_LEVEL_HIGH : TRIGGER_EDGE);
        if (draw_below(16) == 0)
            argument[3] = V(3);
        break;
    case SYSCALL_MACHINE_DMA_SPACE: // the only device whose quarantine ends with the world
        argument[2] = V(DEVICE);
        break;
    case SYSCALL_MACHINE_DEVICE_QUIET:
        argument[1] = V(draw_below(4) ? DEVICE : DEVICE + 1);
        break;
    case SYSCALL_PORT_BIND: // by its key a harness finds the end of a call that a port brings
        argument[2] = V(draw_below(1 << 20));
        break;
    default:
        break;
    }
}

static void count_handles(struct action *action)
{
    uint64_t sent = 0; // a msginfo
    switch (action->number) {
    case SYSCALL_CHANNEL_RECEIVE:
    case SYSCALL_PORT_RECEIVE:
        action->takes = M_CARRIED;
        break;
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
        action->takes = M_CARRIED;
        sent = action->argument[2].value;
        break;
    case SYSCALL_CHANNEL_CALL:
        action->takes = (uint8_t)MSG_REPLY_HANDLES(action->argument[1].value);
        sent = action->argument[1].value;
        break;
    case SYSCALL_CHANNEL_SEND:
        sent = action->argument[1].value;
        break;
    case SYSCALL_CHANNEL_REPLY:
        sent = action->argument[2].value;
        break;
    default:
        action->new_handles = abi_calls[action->number].handles;
        break;
    }
    action->sends = (uint8_t)(MSG_HANDLES(sent) < 2 ? MSG_HANDLES(sent) : 2);
    for (unsigned i = 0; i < 2; i++)
        action->sent[i] = (uint8_t)draw_own_register(action->actor);
}

static struct action draw_call(const struct kind *kind, uint8_t actor)
{
    unsigned count = 0;
    while (kind->calls[count] != NO_CALL)
        count++;
    struct action action = {.actor = actor, .number = kind->calls[draw_below(count)]};
    for (unsigned i = 0; i < abi_calls[action.number].args; i++)
        action.argument[i] = draw_argument(actor, action.number, i);
    make_sensible(&action);
    count_handles(&action);
    return action;
}

static struct action draw_action(const struct kind *kind)
{
    uint8_t actor = (uint8_t)draw_below(hands_count);
    uint64_t what = draw_below(20);
    if (what < 2)
        return (struct action){.kind = ACTION_TIME, .argument = {V(1 + draw_below(3))}};
    if (what < 6 && kind->lines)
        return (struct action){.kind = ACTION_LINE, .argument = {V(LINE_EDGE), V(0)}};
    if (what < 9 && kind->lines)
        return (struct action){.kind = ACTION_LINE,
                               .argument = {V(LINE_LEVEL), V(1 + draw_below(2))}};
    if (what < 6 && kind->touches)
        return (struct action){.kind = ACTION_ACCESS,
                               .actor = actor,
                               .argument = {V(BASE + draw_below(6) * PAGE), V(draw_below(3))}};
    return draw_call(kind, actor);
}

// ---- what the model has room for

static unsigned free_objects(void)
{
    unsigned count = 0;
    for (uint8_t i = 0; i < M_OBJECTS; i++)
        count += object_of(i)->life == M_FREE;
    return count;
}

static const struct m_object *object_in(const struct action *action, unsigned index)
{
    const struct m_handle *handle = handle_in(action, index);
    return handle && handle->object != NOTHING ? object_of(handle->object) : nullptr;
}

static bool lists_have_room(void)
{
    constexpr unsigned ROOM = sizeof((struct m_list){}.at) - 2;
    for (uint8_t i = 0; i < M_OBJECTS; i++) {
        const struct m_object *object = object_of(i);
        if (object->life != M_FREE &&
            (object->mapping_count >= M_MAPPINGS || object->bound.count > ROOM ||
             object->children.count > ROOM || object->quarantined.count > ROOM))
            return false;
    }
    return true;
}

// Actors that are dead do nothing any more.
static bool ends_an_actor(const struct action *action)
{
    const struct m_object *object = object_in(action, 0);
    return action->number == SYSCALL_OBJECT_DESTROY && object && object->type == OBJECT_THREAD &&
           object->owner != NOTHING;
}

// Whether a call is one that the model has nothing to say about.
static bool is_beyond_model(const struct action *action)
{
    const struct m_object *object = object_in(action, 0);
    switch (action->number) {
    case SYSCALL_OBJECT_DESTROY: // what an actor lives on; on two CPUs, what ends in no certain order
        return object && object->owner != NOTHING &&
               (object->type == OBJECT_ACCOUNT || (world_cpus > 1 && object->port != NOTHING));
    case SYSCALL_THREAD_CREATE: // of a process that has one, with its message buffer
        return object && object->type == OBJECT_PROCESS && object->threads.count > 0;
    case SYSCALL_HANDLE_CLOSE:
        return action->argument[0].value < FIRST;
    case SYSCALL_PROCESS_CREATE: { // a place for faults is not modelled
        const struct m_object *exceptions = object_in(action, 1);
        return exceptions && exceptions->type == OBJECT_CHANNEL && exceptions->peer != NOTHING;
    }
    case SYSCALL_IO_READ:
    case SYSCALL_IO_WRITE:
        return object && object->type == OBJECT_IORANGE && object->first_port > M_PORTS / 2;
    default:
        return false;
    }
}

// Two CPUs have clocks of their own: whose deadline passes first at the same time is nobody's promise.
static bool time_is_clear(const struct action *action)
{
    if (world_cpus == 1)
        return true;
    if (action->kind == ACTION_TIME)
        return action->argument[0].value <= 1;
    for (unsigned i = 0; i < 6; i++)
        for (unsigned n = 0; n < model.deadline_count; n++)
            if (action->argument[i].kind == OPERAND_AFTER &&
                model.deadlines[n].when == value_argument(action, i))
                return false;
    return true;
}

static bool action_fits(const struct action *action)
{
    if (!time_is_clear(action))
        return false;
    if (!action_possible(action))
        return false;
    if (action->kind != ACTION_CALL)
        return true;
    return free_objects() >= 6 && model.deadline_count + 3 < M_DEADLINES && lists_have_room() &&
           !is_beyond_model(action);
}

// A cancellation, or an end, of whoever makes the other call meets it anywhere in its entry; a timer
// is cleared when it is set, and fires when its CPU gets to it, even if that is at once. Which of two
// priorities came last would be seen much later.
static bool is_for_two(const struct action *action)
{
    return action->number != SYSCALL_THREAD_CANCEL && action->number != SYSCALL_TIMER_SET &&
           action->number != SYSCALL_THREAD_SET_PRIORITY && !ends_an_actor(action);
}

static bool same_deadline(const struct action *one, const struct action *two)
{
    for (unsigned i = 0; i < 6; i++)
        for (unsigned n = 0; n < 6; n++)
            if (one->argument[i].kind == OPERAND_AFTER && two->argument[n].kind == OPERAND_AFTER &&
                one->argument[i].value == two->argument[n].value)
                return true;
    return false;
}

bool move_possible(const struct move *move)
{
    return action_fits(&move->action) &&
           (!move->pair ||
            (action_fits(&move->beside) && is_for_two(&move->action) && is_for_two(&move->beside) &&
             !same_deadline(&move->action, &move->beside)));
}

static uint8_t cpu_of(const struct action *action)
{
    return (uint8_t)hands[action->actor].actor->cpu;
}

bool draw_move(const struct kind *kind, struct move *out)
{
    for (unsigned tries = 0; tries < 100; tries++) {
        *out = (struct move){.action = draw_action(kind)};
        if (!move_possible(out) || (ends_an_actor(&out->action) && draw_below(8)))
            continue;
        if (world_cpus == 1 || out->action.kind != ACTION_CALL || draw_below(3))
            return true;
        out->beside = draw_call(kind, (uint8_t)draw_below(hands_count));
        out->seed = draw_below(1 << 30);
        out->pair = cpu_of(&out->action) != cpu_of(&out->beside);
        if (move_possible(out))
            return true;
    }
    return false;
}
