// SPDX-License-Identifier: MIT
//
// The model's objects, handles, accounts, waits and time. See model.h.
#include "model.h"

#include <stdlib.h>
#include <string.h>

struct model model;

// ---- lists

void list_add(struct m_list *list, uint8_t item)
{
    if (list->count == sizeof list->at)
        abort();
    list->at[list->count++] = item;
}

bool list_take_out(struct m_list *list, uint8_t item)
{
    for (unsigned i = 0; i < list->count; i++)
        if (list->at[i] == item) {
            memmove(&list->at[i], &list->at[i + 1], list->count - i - 1u);
            list->count--;
            return true;
        }
    return false;
}

// ---- who pays

uint8_t charge(uint8_t account, uint64_t pages, uint64_t objects)
{
    struct m_object *payer = object_of(account);
    if (payer->life != M_LIVE || payer->state != 0)
        return STATUS_BAD_STATE;
    if (pages > payer->pages.limit - payer->pages.used - payer->pages.children)
        return STATUS_NO_PAGES;
    if (objects > payer->objects.limit - payer->objects.used - payer->objects.children)
        return STATUS_NO_OBJECTS;
    payer->pages.used += pages;
    payer->objects.used += objects;
    return STATUS_OK;
}

void uncharge(uint8_t account, uint64_t pages, uint64_t objects)
{
    if (account == NOTHING)
        return;
    object_of(account)->pages.used -= pages;
    object_of(account)->objects.used -= objects;
}

// A block outlives its account: the one above holds it, as used.
void hold_above(uint8_t vmo)
{
    struct m_object *object = object_of(vmo), *below = object_of(object->holder);
    below->contiguous.used -= object->block;
    below->contiguous.limit -= object->block;
    object->holder = below->parent;
    if (object->holder == NOTHING)
        return;
    object_of(object->holder)->contiguous.children -= object->block;
    object_of(object->holder)->contiguous.used += object->block;
}

// ---- objects

uint8_t object_make(uint8_t type, uint8_t payer)
{
    for (uint8_t i = 0; i < M_OBJECTS; i++) {
        struct m_object *object = object_of(i);
        if (object->life != M_FREE)
            continue;
        *object = (struct m_object){.life = M_LIVE,
                                    .type = type,
                                    .payer = payer,
                                    .port = NOTHING,
                                    .peer = NOTHING,
                                    .parent = NOTHING,
                                    .owner = NOTHING,
                                    .exceptions = NOTHING,
                                    .source = NOTHING,
                                    .whole = NOTHING,
                                    .process = NOTHING,
                                    .aspace = NOTHING};
        return i;
    }
    abort();
}

void object_free(uint8_t object)
{
    uncharge(object_of(object)->payer, 0, 1);
    object_of(object)->payer = NOTHING;
    if (object_of(object)->port != NOTHING)
        last_event(object);
    else
        object_of(object)->life = M_FREE;
}

static void forget_in(struct m_handle *handle, uint8_t object)
{
    if (handle->phase != M_EMPTY && handle->object == object)
        handle->object = NOTHING;
}

// From now on every handle to it, anywhere, answers GONE.
static void handles_forget(uint8_t object)
{
    for (unsigned i = 0; i < model.actor_count; i++)
        for (unsigned n = 0; n < REGISTERS; n++)
            forget_in(&model.actors[i].registers[n], object);
    for (uint8_t i = 0; i < M_OBJECTS; i++) {
        for (unsigned n = 0; n < object_of(i)->queued; n++)
            for (unsigned k = 0; k < object_of(i)->queue[n].handles; k++)
                forget_in(&object_of(i)->queue[n].carried[k], object);
        if (object_of(i)->exceptions == object)
            object_of(i)->exceptions = NOTHING;
    }
}

static void account_end(uint8_t account);

void begin_end(uint8_t object)
{
    object_of(object)->life = M_DYING;
    handles_forget(object);
    while (object_of(object)->waiters.count > 0)
        wait_end(object_of(object)->waiters.at[0], STATUS_GONE);
}

void object_end(uint8_t object)
{
    if (object_of(object)->life != M_LIVE)
        return;
    begin_end(object);
    switch (object_of(object)->type) {
    case OBJECT_CHANNEL:
        channel_end(object);
        break;
    case OBJECT_PORT:
        port_end(object);
        break;
    case OBJECT_VMO:
        vmo_end(object, false);
        return;
    case OBJECT_TIMER:
        deadline_remove(object, NOTHING);
        break;
    case OBJECT_PIN:
        pin_end(object);
        return;
    default:
        break;
    }
    object_free(object);
}

// ---- handles

const struct m_handle *handle_in(const struct action *action, unsigned index)
{
    const struct operand *operand = &action->argument[index];
    if (operand->kind != OPERAND_REGISTER)
        return nullptr;
    const struct m_handle *handle = &model.actors[action->actor].registers[operand->value];
    return handle->phase == M_USABLE ? handle : nullptr;
}

uint8_t handle_argument(const struct action *action, unsigned index, uint8_t type, uint32_t rights,
                        uint8_t *object)
{
    const struct m_handle *handle = handle_in(action, index);
    if (!handle)
        return STATUS_BAD_HANDLE;
    if (type != 0 && handle->type != type)
        return STATUS_WRONG_TYPE;
    if ((handle->rights & rights) != rights)
        return STATUS_NO_RIGHT;
    *object = handle->object;
    return handle->object == NOTHING ? STATUS_GONE : STATUS_OK;
}

uint64_t value_argument(const struct action *action, unsigned index)
{
    const struct operand *operand = &action->argument[index];
    return operand->kind == OPERAND_AFTER ? model.now + operand->value * TIME_UNIT : operand->value;
}

uint8_t model_empty_register(uint8_t actor)
{
    for (uint8_t i = 0; i < register_count; i++)
        if (model.actors[actor].registers[i].phase == M_EMPTY)
            return i;
    return NOTHING;
}

void give_handle(struct m_outcome *out, unsigned index, uint8_t actor, uint8_t object,
                 uint32_t rights)
{
    (void)out, (void)index;
    uint8_t at = model_empty_register(actor);
    if (at == NOTHING)
        abort();
    model.actors[actor].registers[at] =
        (struct m_handle){M_USABLE, object_of(object)->type, object, rights};
    object_of(object)->handles++;
}

void handle_drop(struct m_handle *handle)
{
    uint8_t object = handle->object;
    *handle = (struct m_handle){};
    if (object != NOTHING)
        handle_dropped(object);
}

void handle_dropped(uint8_t object)
{
    if (--object_of(object)->handles > 0)
        return;
    switch (object_of(object)->type) {
    case OBJECT_ACCOUNT: // one that was destroyed goes with its last handle
        if (object_of(object)->state == 2)
            account_end(object);
        break;
    case OBJECT_PROCESS:
    case OBJECT_THREAD:
        finished_drop(object);
        break;
    case OBJECT_ASPACE:
    case OBJECT_MACHINE:
        break;
    default:
        object_end(object);
    }
}

// ---- accounts

// The slot of one that is dead already.
static void account_end(uint8_t account)
{
    begin_end(account);
    uint8_t parent = object_of(account)->parent;
    list_take_out(&object_of(parent)->children, account);
    object_free(account);
}

// All that it pays for goes, oldest first; then its parent has everything back.
void account_take_down(uint8_t account)
{
    struct m_object *dying = object_of(account);
    dying->state = 1;
    for (unsigned i = 0; i < model.actor_count; i++)
        if (model.actors[i].account == account)
            actor_end((uint8_t)i);
    for (uint8_t i = 0; i < M_OBJECTS; i++) {
        struct m_object *object = object_of(i);
        if (object->payer != account || object->life == M_FREE)
            continue;
        if (object->type == OBJECT_ACCOUNT && object->state == 0)
            account_take_down(i);
        if (object->life == M_FREE)
            continue;
        if (object->type == OBJECT_ACCOUNT)
            account_end(i);
        else if (object->type == OBJECT_VMO && object->life == M_DYING)
            vmo_end(i, false);
        else if (object->type != OBJECT_THREAD && object->type != OBJECT_PROCESS)
            object_end(i);
    }
    for (uint8_t i = 0; i < M_OBJECTS; i++)
        if (object_of(i)->life != M_FREE && object_of(i)->block && object_of(i)->holder == account)
            hold_above(i);
    struct m_object *parent = dying->parent == NOTHING ? nullptr : object_of(dying->parent);
    if (parent) {
        parent->contiguous.children -= dying->contiguous.limit;
        parent->pages.children -= dying->pages.limit;
        parent->objects.children -= dying->objects.limit;
    }
    for (unsigned cpu = 0; cpu < M_CPUS; cpu++) {
        if (parent)
            parent->shares_below[cpu] -= dying->share[cpu];
        dying->share[cpu] = 0;
    }
    dying->pages.used -= dying->budget_page;
    dying->budget_page = false;
    dying->pages.limit = dying->objects.limit = dying->contiguous.limit = 0;
    dying->state = 2;
    raise_signals(account, SIGNAL_TERMINATED);
    if (dying->handles == 0)
        account_end(account);
}

// ---- waiting, waking, time

void wait_begin(uint8_t actor, enum m_wait kind, uint8_t object, uint64_t deadline)
{
    struct m_actor *waiter = &model.actors[actor];
    waiter->waits = kind;
    waiter->waits_on = object;
    if (kind != M_REPLY && kind != M_SEND && kind != M_SLEEPS)
        list_add(&object_of(object)->waiters, actor);
    if (deadline != ABI_DEADLINE_NEVER)
        deadline_add(deadline, NOTHING, actor);
}

struct m_outcome *wait_end(uint8_t actor, uint8_t status)
{
    struct m_actor *waiter = &model.actors[actor];
    if (waiter->waits != M_REPLY && waiter->waits != M_SEND && waiter->waits != M_SLEEPS)
        list_take_out(&object_of(waiter->waits_on)->waiters, actor);
    waiter->waits = M_RUNS;
    waiter->waits_on = NOTHING;
    deadline_remove(NOTHING, actor);
    waiter->outcome.over = true;
    waiter->outcome.status = status;
    return &waiter->outcome;
}

void wait_give_up(uint8_t actor, uint8_t status)
{
    if (model.actors[actor].waits == M_REPLY || model.actors[actor].waits == M_SEND)
        send_abandon(actor);
    wait_end(actor, status);
}

void raise_signals(uint8_t object, uint32_t signals)
{
    struct m_object *raised = object_of(object);
    raised->signals |= signals;
    struct m_list waiters = raised->waiters;
    for (unsigned i = 0; i < waiters.count; i++) {
        const struct m_actor *waiter = &model.actors[waiters.at[i]];
        uint32_t seen = raised->signals & waiter->wait_mask;
        if (waiter->waits != M_SIGNALS || !seen)
            continue;
        struct m_outcome *out = wait_end(waiters.at[i], STATUS_OK);
        out->value[0] = seen;
        out->compared = 1;
    }
    if (raised->port != NOTHING && raised->mask & signals)
        port_tell(object);
}

void deadline_add(uint64_t when, uint8_t timer, uint8_t actor)
{
    unsigned at = model.deadline_count;
    if (model.deadline_count++ == M_DEADLINES)
        abort();
    for (; at > 0 && model.deadlines[at - 1].when > when; at--)
        model.deadlines[at] = model.deadlines[at - 1];
    model.deadlines[at] = (struct m_deadline){when, timer, actor};
}

void deadline_remove(uint8_t timer, uint8_t actor)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < model.deadline_count; i++)
        if (model.deadlines[i].timer != timer || model.deadlines[i].actor != actor)
            model.deadlines[kept++] = model.deadlines[i];
    model.deadline_count = (uint8_t)kept;
}

void deadlines_pass(void)
{
    while (model.deadline_count > 0 && model.deadlines[0].when <= model.now) {
        struct m_deadline due = model.deadlines[0];
        if (due.timer != NOTHING) {
            deadline_remove(due.timer, NOTHING);
            object_of(due.timer)->armed = false;
            raise_signals(due.timer, SIGNAL_FIRED);
        } else {
            bool sleeps = model.actors[due.actor].waits == M_SLEEPS;
            wait_give_up(due.actor, sleeps ? STATUS_OK : STATUS_TIMED_OUT);
        }
    }
}

void model_time(uint64_t ns)
{
    model.now += ns;
    deadlines_pass();
}

// ---- actors

void model_actor(uint8_t priority, uint64_t pages_limit, uint64_t pages_used,
                 uint64_t objects_limit, uint64_t objects_used, uint64_t contiguous,
                 const uint32_t handles[3])
{
    static const uint8_t types[] = {OBJECT_ACCOUNT, OBJECT_ASPACE, OBJECT_THREAD};
    static const uint32_t rights[] = {RIGHTS_ACCOUNT, RIGHTS_ASPACE, RIGHTS_THREAD};
    uint8_t number = model.actor_count++;
    struct m_actor *actor = &model.actors[number];
    *actor = (struct m_actor){.priority = priority, .waits_on = NOTHING, .token_end = NOTHING};
    uint8_t made[3];
    for (unsigned i = 0; i < 3; i++) {
        made[i] = object_make(types[i], i == 0 ? NOTHING : made[0]);
        object_of(made[i])->handles = handles[i];
        object_of(made[i])->owner = number;
        actor->registers[i] = (struct m_handle){M_USABLE, types[i], made[i], rights[i]};
    }
    actor->account = made[0];
    actor->aspace = made[1];
    object_of(made[1])->tables = 3;
    object_of(made[1])->buffer = ABI_INIT_MESSAGE_BUFFER / ABI_PAGE_SIZE;
    actor->thread = made[2];
    struct m_object *account = object_of(made[0]);
    account->pages.limit = pages_limit;
    account->pages.used = pages_used;
    account->objects.limit = objects_limit;
    account->objects.used = objects_used;
    account->contiguous.limit = contiguous;
}

void model_grant(uint8_t from, uint8_t from_register, uint8_t to, uint8_t to_register)
{
    struct m_handle handle = model.actors[from].registers[from_register];
    object_of(handle.object)->handles++;
    model.actors[to].registers[to_register] = handle;
}

// The end of its only thread is the end of its process: its wait, its handles, its address space.
void actor_end(uint8_t number)
{
    struct m_actor *actor = &model.actors[number];
    if (actor->dead)
        return;
    actor->dead = true;
    if (actor->waits != M_RUNS)
        wait_give_up(number, STATUS_CANCELLED);
    actor->outcome = (struct m_outcome){};
    for (unsigned i = 0; i < REGISTERS; i++)
        if (actor->registers[i].phase != M_EMPTY)
            handle_drop(&actor->registers[i]);
    aspace_end(actor->aspace);
    begin_end(actor->aspace);
    object_free(actor->aspace);
    // Pages: message buffer and context, tables, root, handle table. Objects: the buffer's mapping.
    uncharge(actor->account, 7, 1);
    raise_signals(actor->thread, SIGNAL_TERMINATED);
}

void model_whole_cpu(uint8_t actor, uint32_t cpu)
{
    struct m_object *account = object_of(model.actors[actor].account);
    account->share[cpu] = 1ull << 32;
    account->pages.used += !account->budget_page;
    account->budget_page = true;
}
