// SPDX-License-Identifier: MIT
//
// The model's calls on objects of any kind, on accounts, events, timers and threads.
#include <stdlib.h>

#include "model.h"

static uint8_t call_close(const struct action *action)
{
    struct m_handle *handle = &model.actors[action->actor].registers[action->argument[0].value];
    if (!handle_in(action, 0))
        return STATUS_BAD_HANDLE;
    handle_drop(handle);
    return STATUS_OK;
}

static uint8_t call_duplicate(const struct action *action, struct m_outcome *out)
{
    uint8_t object;
    uint8_t status = handle_argument(action, 0, 0, RIGHT_DUPLICATE, &object);
    if (status != STATUS_OK)
        return status;
    uint64_t rights = value_argument(action, 1);
    if (rights & ~(uint64_t)handle_in(action, 0)->rights)
        return STATUS_INVALID;
    give_handle(out, 0, action->actor, object, (uint32_t)rights);
    return STATUS_OK;
}

static uint8_t call_destroy(const struct action *action)
{
    uint8_t object;
    uint8_t status = handle_argument(action, 0, 0, RIGHT_MANAGE, &object);
    if (status != STATUS_OK)
        return status;
    switch (object_of(object)->type) {
    case OBJECT_ASPACE:
    case OBJECT_MACHINE:
    case OBJECT_LOG:
        return STATUS_NOT_SUPPORTED;
    case OBJECT_ACCOUNT:
        if (object_of(object)->state != 0)
            return STATUS_BAD_STATE;
        account_take_down(object);
        return STATUS_OK;
    case OBJECT_PROCESS:
        process_end(object);
        return STATUS_OK;
    case OBJECT_THREAD:
        if (object_of(object)->owner == NOTHING)
            thread_end(object);
        else
            actor_end(object_of(object)->owner);
        return STATUS_OK;
    case OBJECT_VMO:
        begin_end(object);
        vmo_end(object, true);
        return STATUS_OK;
    default:
        object_end(object);
        return STATUS_OK;
    }
}

static int64_t unused_pages(const struct m_object *account)
{
    return (int64_t)(account->pages.limit - account->pages.used - account->pages.children);
}

static int64_t unused_objects(const struct m_object *account)
{
    return (int64_t)(account->objects.limit - account->objects.used - account->objects.children);
}

static int64_t unused_contiguous(const struct m_object *account)
{
    return (int64_t)(account->contiguous.limit - account->contiguous.used -
                     account->contiguous.children);
}

static uint8_t call_account_create(const struct action *action, struct m_outcome *out)
{
    uint8_t parent;
    uint8_t status = handle_argument(action, 0, OBJECT_ACCOUNT, RIGHT_CHARGE, &parent);
    if (status != STATUS_OK)
        return status;
    uint64_t pages = value_argument(action, 1), objects = value_argument(action, 2);
    uint64_t contiguous = value_argument(action, 3);
    if (pages == 0 || objects == 0)
        return STATUS_INVALID;
    // The account itself, then the reservation.
    status = charge(parent, 0, 1);
    if (status != STATUS_OK)
        return status;
    struct m_object *above = object_of(parent);
    status = charge(parent, pages, objects);
    if (status == STATUS_OK && contiguous > (uint64_t)unused_contiguous(above)) {
        uncharge(parent, pages, objects);
        status = STATUS_NO_PAGES;
    }
    if (status != STATUS_OK) {
        uncharge(parent, 0, 1);
        return status;
    }
    above->contiguous.children += contiguous;
    above->pages.used -= pages;
    above->pages.children += pages;
    above->objects.used -= objects;
    above->objects.children += objects;
    uint8_t account = object_make(OBJECT_ACCOUNT, parent);
    object_of(account)->parent = parent;
    object_of(account)->pages.limit = pages;
    object_of(account)->objects.limit = objects;
    object_of(account)->contiguous.limit = contiguous;
    list_add(&above->children, account);
    give_handle(out, 0, action->actor, account, RIGHTS_ACCOUNT);
    return STATUS_OK;
}

static uint8_t call_account_resize(const struct action *action)
{
    uint8_t parent, child;
    uint8_t status = handle_argument(action, 0, OBJECT_ACCOUNT, RIGHT_CHARGE, &parent);
    if (status == STATUS_OK)
        status = handle_argument(action, 1, OBJECT_ACCOUNT, RIGHT_MANAGE, &child);
    if (status != STATUS_OK)
        return status;
    struct m_object *above = object_of(parent), *below = object_of(child);
    if (below->parent != parent)
        return STATUS_INVALID;
    if (below->state != 0 || above->state != 0)
        return STATUS_BAD_STATE;
    int64_t pages = (int64_t)value_argument(action, 2);
    int64_t objects = (int64_t)value_argument(action, 3);
    int64_t contiguous = (int64_t)value_argument(action, 4);
    if (pages < -unused_pages(below))
        return STATUS_NO_PAGES;
    if (objects < -unused_objects(below))
        return STATUS_NO_OBJECTS;
    if (pages > unused_pages(above))
        return STATUS_NO_PAGES;
    if (objects > unused_objects(above))
        return STATUS_NO_OBJECTS;
    if (contiguous > unused_contiguous(above) || contiguous < -unused_contiguous(below))
        return STATUS_NO_PAGES;
    above->contiguous.children += (uint64_t)contiguous;
    below->contiguous.limit += (uint64_t)contiguous;
    above->pages.children += (uint64_t)pages;
    above->objects.children += (uint64_t)objects;
    below->pages.limit += (uint64_t)pages;
    below->objects.limit += (uint64_t)objects;
    return STATUS_OK;
}

static uint8_t call_account_budget(const struct action *action)
{
    constexpr uint64_t US = 1000, MS = 1000 * US;
    uint8_t parent, child;
    uint8_t status = handle_argument(action, 0, OBJECT_ACCOUNT, RIGHT_CHARGE, &parent);
    if (status == STATUS_OK)
        status = handle_argument(action, 1, OBJECT_ACCOUNT, RIGHT_MANAGE, &child);
    if (status != STATUS_OK)
        return status;
    uint64_t cpu = value_argument(action, 2);
    uint64_t budget = value_argument(action, 3), period = value_argument(action, 4);
    bool none = budget == 0 && period == 0;
    bool sensible = period >= MS && period <= 1000 * MS && budget >= 50 * US && budget <= period;
    struct m_object *above = object_of(parent), *below = object_of(child);
    if (cpu >= world_cpus || !(none || sensible) || below->parent != parent)
        return STATUS_INVALID;
    if (below->state != 0)
        return STATUS_BAD_STATE;
    uint64_t share = none ? 0 : (uint64_t)(((unsigned __int128)budget << 32) / period);
    uint64_t before = below->share[cpu];
    if (none && !below->budget_page)
        return STATUS_OK;
    if (share < below->shares_below[cpu])
        return STATUS_NO_RESOURCE;
    if (share >= before && above->state != 0)
        return STATUS_BAD_STATE;
    if (share > before && share - before > above->share[cpu] - above->shares_below[cpu])
        return STATUS_NO_RESOURCE;
    if (!below->budget_page && unused_pages(below) == 0)
        return STATUS_NO_PAGES;
    below->pages.used += !below->budget_page;
    below->budget_page = true;
    below->share[cpu] = share;
    above->shares_below[cpu] += share - before;
    return STATUS_OK;
}

static uint8_t call_wait(const struct action *action, struct m_outcome *out)
{
    uint8_t object;
    uint8_t status = handle_argument(action, 0, 0, RIGHT_WAIT, &object);
    if (status != STATUS_OK)
        return status;
    uint32_t mask = (uint32_t)value_argument(action, 1);
    if (mask == 0)
        return STATUS_INVALID;
    out->value[0] = object_of(object)->signals & mask;
    if (out->value[0]) {
        out->compared = 1;
        return STATUS_OK;
    }
    if (value_argument(action, 2) <= model.now)
        return STATUS_TIMED_OUT;
    model.actors[action->actor].wait_mask = mask;
    wait_begin(action->actor, M_SIGNALS, object, value_argument(action, 2));
    return STATUS_COUNT;
}

static uint8_t call_create(const struct action *action, uint8_t type, uint32_t rights,
                           struct m_outcome *out)
{
    uint8_t account;
    uint8_t status = handle_argument(action, 0, OBJECT_ACCOUNT, RIGHT_CHARGE, &account);
    if (status == STATUS_OK)
        status = charge(account, 0, 1);
    if (status == STATUS_OK)
        give_handle(out, 0, action->actor, object_make(type, account), rights);
    return status;
}

static uint8_t call_event(const struct action *action, struct m_outcome *out)
{
    uint8_t event;
    uint8_t status = handle_argument(action, 0, OBJECT_EVENT, RIGHT_SIGNAL, &event);
    if (status != STATUS_OK)
        return status;
    uint64_t bits = value_argument(action, 1);
    if (bits >> 16)
        return STATUS_INVALID;
    if (action->number == SYSCALL_EVENT_SIGNAL) {
        raise_signals(event, (uint32_t)bits);
    } else {
        out->value[0] = object_of(event)->signals;
        out->compared = 1;
        object_of(event)->signals &= ~(uint32_t)bits;
    }
    return STATUS_OK;
}

static uint8_t call_timer(const struct action *action)
{
    uint8_t timer;
    uint8_t status = handle_argument(action, 0, OBJECT_TIMER, RIGHT_SIGNAL, &timer);
    if (status != STATUS_OK)
        return status;
    deadline_remove(timer, NOTHING);
    struct m_object *object = object_of(timer);
    object->signals &= ~(uint32_t)SIGNAL_FIRED;
    object->armed = action->number == SYSCALL_TIMER_SET;
    if (!object->armed)
        return STATUS_OK;
    object->when = value_argument(action, 1);
    if (object->when != ABI_DEADLINE_NEVER)
        deadline_add(object->when, timer, NOTHING);
    deadlines_pass(); // one that is past fires at once
    return STATUS_OK;
}

static uint8_t call_cancel(const struct action *action)
{
    uint8_t thread;
    uint8_t status = handle_argument(action, 0, OBJECT_THREAD, RIGHT_MANAGE, &thread);
    if (status != STATUS_OK)
        return status;
    uint8_t actor = object_of(thread)->owner;
    if (actor == NOTHING)
        return STATUS_BAD_STATE; // it never ran
    if (model.actors[actor].dead || actor == action->actor)
        return STATUS_BAD_STATE;
    // An actor with nothing to do sleeps, and is no worse for it.
    if (model.actors[actor].waits != M_RUNS)
        wait_give_up(actor, STATUS_CANCELLED);
    return STATUS_OK;
}

static uint8_t call_sleep(const struct action *action)
{
    if (value_argument(action, 0) <= model.now)
        return STATUS_OK;
    wait_begin(action->actor, M_SLEEPS, NOTHING, value_argument(action, 0));
    return STATUS_COUNT;
}

static uint8_t call_inspect(const struct action *action, struct m_outcome *out)
{
    uint8_t object;
    uint8_t status = handle_argument(action, 0, 0, RIGHT_INSPECT, &object);
    if (status != STATUS_OK)
        return status;
    out->value[0] = sizeof(struct abi_inspect);
    out->compared = 1;
    out->inspected = object_of(object)->type;
    out->signals = object_of(object)->signals;
    out->handles = object_of(object)->handles;
    return STATUS_OK;
}

static uint8_t perform_call(const struct action *action, struct m_outcome *out)
{
    switch (action->number) {
    case SYSCALL_HANDLE_CLOSE:
        return call_close(action);
    case SYSCALL_HANDLE_DUPLICATE:
        return call_duplicate(action, out);
    case SYSCALL_OBJECT_DESTROY:
        return call_destroy(action);
    case SYSCALL_OBJECT_WAIT:
        return call_wait(action, out);
    case SYSCALL_OBJECT_INSPECT:
        return call_inspect(action, out);
    case SYSCALL_ACCOUNT_CREATE:
        return call_account_create(action, out);
    case SYSCALL_ACCOUNT_RESIZE:
        return call_account_resize(action);
    case SYSCALL_ACCOUNT_BUDGET:
        return call_account_budget(action);
    case SYSCALL_EVENT_CREATE:
        return call_create(action, OBJECT_EVENT, RIGHTS_EVENT, out);
    case SYSCALL_TIMER_CREATE:
        return call_create(action, OBJECT_TIMER, RIGHTS_TIMER, out);
    case SYSCALL_PORT_CREATE:
        return call_create(action, OBJECT_PORT, RIGHTS_PORT, out);
    case SYSCALL_EVENT_SIGNAL:
    case SYSCALL_EVENT_CLEAR:
        return call_event(action, out);
    case SYSCALL_TIMER_SET:
    case SYSCALL_TIMER_CANCEL:
        return call_timer(action);
    case SYSCALL_THREAD_CANCEL:
        return call_cancel(action);
    case SYSCALL_THREAD_SLEEP:
        return call_sleep(action);
    case SYSCALL_VMO_CREATE:
    case SYSCALL_VMO_SLICE:
    case SYSCALL_VM_MAP:
    case SYSCALL_VM_UNMAP:
    case SYSCALL_VM_PROTECT:
        return call_memory(action, out);
    default:
        return call_channels(action, out);
    }
}

struct m_outcome *model_call(const struct action *action)
{
    struct m_outcome *out = &model.actors[action->actor].outcome;
    *out = (struct m_outcome){};
    uint8_t status = perform_call(action, out);
    if (status != STATUS_COUNT && !model.actors[action->actor].dead) {
        out->over = true;
        out->status = status;
    }
    return out;
}
