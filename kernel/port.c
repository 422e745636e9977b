// SPDX-License-Identifier: MIT
//
// Ports: binding, telling and receiving. See port.h.
#include "port.h"

#include "call.h"
#include "cpu.h"
#include "handlers.h"
#include "thread.h"

// After this many bindings that turned out to have nothing to tell, others get their turn.
constexpr unsigned PORT_TRIES = 16;

static struct port *port_of(struct object *object)
{
    return (struct port *)(void *)object;
}

// ---- telling

struct report {
    uint64_t key;
    uint32_t signals;
    struct delivery delivery;
};

// What a bound, locked object has to tell: one message, or its signals. NOT_FOUND: nothing.
static status_t report_locked(struct object *object, struct thread *receiver, struct report *out)
    REQUIRES(object->lock)
{
    *out = (struct report){.key = object->binding.key};
    uint32_t signals = object->signals & object->binding.mask;
    if (signals & SIGNAL_READABLE && object->type == OBJECT_CHANNEL) {
        out->signals = SIGNAL_READABLE;
        return channel_take_locked(channel_of(object), receiver, &out->delivery);
    }
    out->signals = signals;
    return signals ? STATUS_OK : STATUS_NOT_FOUND;
}

// Whether there is more to tell after a message was told: the next one, the same one if there was
// no room for its handles, or the signals that wait behind the last one.
static bool more_to_tell(const struct object *object, uint32_t told) NO_THREAD_SAFETY
{
    return told == SIGNAL_READABLE && (object->signals & object->binding.mask);
}

static void set_results(struct thread *thread, const struct report *report)
{
    arch_context_set_result(thread->context, 0, report->key);
    arch_context_set_result(thread->context, 1, report->signals);
    arch_context_set_result(thread->context, 2, thread->reply_flag | report->delivery.message);
    arch_context_set_result(thread->context, 3, report->delivery.token);
}

// A thread that waits on the port, won and unlinked; or the binding is pending now.
static struct thread *win_waiter(struct port *port, struct binding *binding) NO_THREAD_SAFETY
{
    struct thread *winner = nullptr;
    lock_acquire(&port->object.lock);
    struct list_node *next;
    for (struct list_node *node = port->object.waiters.head.next;
         node != &port->object.waiters.head && !winner && !binding->pending; node = next) {
        next = node->next;
        struct thread *thread = CONTAINER_OF(node, struct thread, wait_node);
        if (thread->wait_kind == WAIT_PORT && thread_win(thread)) {
            thread_unlink(thread);
            winner = thread;
        }
    }
    if (!winner && !binding->pending) {
        binding->pending = true;
        list_push_back(&port->pending, &binding->node);
    }
    lock_release(&port->object.lock);
    return winner;
}

void port_notify_locked(struct object *object)
{
    struct port *port = port_of(object->binding.port);
    for (;;) {
        struct thread *thread = win_waiter(port, &object->binding);
        if (!thread)
            return;
        struct report report;
        status_t status = report_locked(object, thread, &report);
        set_results(thread, &report);
        thread_post(thread, status);
        if (!more_to_tell(object, report.signals))
            return;
    }
}

// ---- receiving

// Frees the slot of an object that was only kept for its last event. The port is locked.
static void ghost_bury_locked(struct port *port, struct object *ghost) NO_THREAD_SAFETY
{
    list_remove(&ghost->binding.node);
    list_remove(&ghost->binding.port_node);
    port->binding_count--;
    ghost->binding.port = nullptr;
    account_uncharge(port->object.account, 0, 1);
    object_free_ghost(ghost);
}

// Takes the first pending binding off. A ghost is told at once.
static struct object *pop_pending_locked(struct port *port, struct report *out, bool *gone)
{
    struct list_node *node = list_first(&port->pending);
    if (!node)
        return nullptr;
    struct binding *binding = CONTAINER_OF(node, struct binding, node);
    struct object *object = CONTAINER_OF(binding, struct object, binding);
    *gone = object->life == LIFE_GHOST;
    if (*gone) {
        *out = (struct report){.key = binding->key, .signals = SIGNAL_GONE};
        ghost_bury_locked(port, object);
    } else {
        list_remove(node);
        binding->pending = false;
    }
    return object;
}

static status_t receive(struct thread *thread, struct port *port, uint64_t generation,
                        uint64_t deadline_ns, struct report *out) NO_THREAD_SAFETY
{
    for (unsigned i = 0; i < PORT_TRIES; i++) {
        if (!object_lock(&port->object, generation))
            return STATUS_GONE;
        bool gone = false;
        struct object *object = pop_pending_locked(port, out, &gone);
        if (!object) {
            status_t status;
            if (deadline_ns <= time_now_ns())
                status = STATUS_TIMED_OUT;
            else if (!thread_may_wait(&port->object))
                status = STATUS_FULL;
            else
                status = thread_block(&port->object, &port->object.waiters, WAIT_PORT, deadline_ns);
            object_unlock(&port->object);
            return status;
        }
        object_unlock(&port->object);
        if (gone)
            return STATUS_OK;
        // It may have died or been unbound since: then it is no longer ours.
        lock_acquire(&object->lock);
        status_t status = STATUS_NOT_FOUND;
        if (!object_dies(object) && object->binding.port == &port->object) {
            status = report_locked(object, thread, out);
            if (status != STATUS_NOT_FOUND && more_to_tell(object, out->signals))
                port_notify_locked(object);
        }
        lock_release(&object->lock);
        if (status != STATUS_NOT_FOUND)
            return status;
    }
    return STATUS_RESTART;
}

static status_t receive_into(struct entry *entry, const struct handle_lookup *handle,
                             uint64_t deadline_ns)
{
    struct report report = {};
    status_t status =
        receive(entry->thread, port_of(handle->object), handle->generation, deadline_ns, &report);
    entry->result[0] = report.key;
    entry->result[1] = report.signals;
    entry->result[2] = entry->thread->reply_flag | report.delivery.message;
    entry->result[3] = report.delivery.token;
    return status;
}

status_t sys_port_receive(struct entry *entry, const struct handle_lookup *port,
                          uint64_t deadline_ns)
{
    entry->thread->reply_flag = 0;
    return receive_into(entry, port, deadline_ns);
}

status_t sys_channel_reply_receive(struct entry *entry, const struct handle_lookup *end,
                                   uint64_t token, uint64_t message,
                                   const struct handle_lookup *port, uint64_t deadline_ns)
{
    if (!entry->thread->restarted) {
        status_t replied = channel_reply(entry, lookup_ref(end), token, message);
        entry->thread->reply_flag = replied == STATUS_OK ? 0 : (uint32_t)MSG_REPLY_FAILED;
    }
    return receive_into(entry, port, deadline_ns);
}

// ---- binding

status_t sys_port_create(struct entry *entry, const struct handle_lookup *account)
{
    struct object *object;
    status_t status = create_with_handle(entry, account, OBJECT_PORT, &object);
    if (status != STATUS_OK)
        return status;
    list_init(&port_of(object)->bindings);
    list_init(&port_of(object)->pending);
    entry->result[0] = handle_publish(entry->process, object, RIGHTS_PORT);
    return STATUS_OK;
}

status_t sys_port_bind(struct entry *entry, const struct handle_lookup *port_handle,
                       const struct handle_lookup *handle, uint64_t key, uint32_t mask)
    NO_THREAD_SAFETY
{
    (void)entry;
    struct object *object = handle->object;
    struct port *port = port_of(port_handle->object);
    if (mask == 0 || handle->type == OBJECT_PORT)
        return STATUS_INVALID;
    if (!object_lock(object, handle->generation))
        return STATUS_GONE;
    status_t status;
    if (object->binding.port) {
        status = STATUS_BAD_STATE;
    } else if (!object_lock_inner(lookup_ref(port_handle), RANK_PORT)) {
        status = STATUS_GONE;
    } else {
        if (SEEDED_BUG("P bind")) {
            lock_release(&object->lock);
            lock_acquire(&object->lock);
        }
        status = account_charge(port->object.account, 0, 1);
        if (status == STATUS_OK) {
            object->binding.port = &port->object;
            object->binding.key = key;
            object->binding.mask = mask;
            list_push_back(&port->bindings, &object->binding.port_node);
            port->binding_count++;
        }
        object_unlock(&port->object);
        if (status == STATUS_OK && object->signals & mask)
            port_notify_locked(object);
    }
    object_unlock(object);
    return status;
}

bool object_unbind_locked(struct object *object) NO_THREAD_SAFETY
{
    struct object *port_object = object->binding.port;
    if (!port_object)
        return false;
    struct port *port = port_of(port_object);
    if (!SEEDED_BUG("P unbind"))
        lock_acquire(&port_object->lock);
    list_remove(&object->binding.node);
    list_remove(&object->binding.port_node);
    object->binding.pending = false;
    object->binding.port = nullptr;
    port->binding_count--;
    account_uncharge(port_object->account, 0, 1);
    if (!SEEDED_BUG("P unbind"))
        lock_release(&port_object->lock);
    return true;
}

status_t sys_port_unbind(struct entry *entry, const struct handle_lookup *handle) NO_THREAD_SAFETY
{
    (void)entry;
    if (!object_lock(handle->object, handle->generation))
        return STATUS_GONE;
    bool bound = object_unbind_locked(handle->object);
    object_unlock(handle->object);
    return bound ? STATUS_OK : STATUS_NOT_FOUND;
}

// ---- ends

bool port_object_gone_locked(struct object *object) NO_THREAD_SAFETY
{
    struct object *port_object = object->binding.port;
    if (!port_object)
        return false;
    struct port *port = port_of(port_object);
    object->life = LIFE_GHOST;
    struct thread *thread = win_waiter(port, &object->binding);
    if (!thread)
        return true;
    struct report report = {.key = object->binding.key, .signals = SIGNAL_GONE};
    set_results(thread, &report);
    thread_post(thread, STATUS_OK);
    lock_acquire(&port_object->lock);
    ghost_bury_locked(port, object);
    lock_release(&port_object->lock);
    return true;
}

enum step port_teardown(struct object *object) NO_THREAD_SAFETY
{
    struct port *port = port_of(object);
    lock_acquire(&object->lock);
    struct list_node *node = list_first(&port->bindings);
    struct object *bound = nullptr;
    if (node) {
        bound = CONTAINER_OF(CONTAINER_OF(node, struct binding, port_node), struct object, binding);
        if (bound->life == LIFE_GHOST) {
            ghost_bury_locked(port, bound);
            bound = nullptr;
        }
    }
    lock_release(&object->lock);
    if (!node)
        return STEP_DONE;
    if (bound) {
        lock_acquire(&bound->lock);
        if (bound->binding.port == object && bound->life != LIFE_GHOST)
            object_unbind_locked(bound);
        lock_release(&bound->lock);
    }
    return STEP_MORE;
}

void port_inspect(struct object *object, struct abi_inspect *out)
{
    struct port *port = port_of(object);
    out->port.bindings = port->binding_count;
    LIST_FOR_EACH(node, &port->pending)
    {
        if (++out->port.pending == 1024)
            break;
    }
}
