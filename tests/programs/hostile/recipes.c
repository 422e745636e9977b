// SPDX-License-Identifier: MIT
//
// For each call, arguments with which it succeeds, and how to take its effect back.
#include "attack.h"

#include <kit/device.h>

static uint64_t fresh; // a handle that prepare made for this call
static uint64_t token; // of the caller's call
static bool waiting;   // the caller waits for its answer

static handle_t copy_of(uint64_t handle)
{
    handle_t copy;
    must(handle_duplicate((handle_t){handle}, RIGHT_INSPECT | RIGHT_TRANSFER, &copy),
         "handle_duplicate");
    return copy;
}

static event_t fresh_event(void)
{
    event_t event;
    must(event_create(start.account, &event), "event_create");
    fresh = event.value;
    return event;
}

static uint64_t fresh_thread(void)
{
    thread_t thread;
    must(thread_create(world.process, 1, fresh_address(), &thread), "thread_create");
    fresh = thread.value;
    return fresh;
}

static void wait_for_end(uint64_t handle)
{
    uint32_t signals;
    must(object_wait((handle_t){handle}, SIGNAL_TERMINATED, now_ns() + NS_PER_S, &signals),
         "waiting for an exit");
}

// The caller, of higher priority, asks and waits; its call is taken.
static void take_call(void)
{
    uint64_t message;
    caller_ask();
    must(channel_receive(world.asked, 0, &message, &token), "the caller's call");
    waiting = true;
}

static void raise_interrupt(void)
{
    uint32_t signals;
    for (unsigned i = 0; i < 5; i++) {
        device_prepare();
        device_trigger();
        if (object_wait((handle_t){world.interrupt.value}, SIGNAL_INTERRUPT,
                        now_ns() + 2 * NS_PER_MS, &signals) == STATUS_OK) {
            device_quiet();
            return;
        }
    }
    failed("the device raised no interrupt");
}

#define ARGUMENTS(...)                            \
    do {                                          \
        const arguments_t values = {__VA_ARGS__}; \
        memcpy(a, values, sizeof(values));        \
        return true;                              \
    } while (0)

static bool prepare_object(uint32_t call, arguments_t a)
{
    uint64_t account = start.account.value;
    switch (call) {
    case SYSCALL_HANDLE_CLOSE:
        ARGUMENTS(copy_of(world.event.value).value);
    case SYSCALL_HANDLE_DUPLICATE:
        ARGUMENTS(world.event.value, RIGHT_WAIT);
    case SYSCALL_OBJECT_INSPECT:
        ARGUMENTS(world.event.value);
    case SYSCALL_OBJECT_WAIT:
        ARGUMENTS(world.raised.value, 1, 0);
    case SYSCALL_OBJECT_DESTROY:
        ARGUMENTS(fresh_event().value);
    case SYSCALL_ACCOUNT_CREATE:
        ARGUMENTS(account, 1, 1, 1, 0x65'6d61'6e);
    case SYSCALL_ACCOUNT_RESIZE:
        ARGUMENTS(account, world.spare.value, 1, 1, 1);
    case SYSCALL_ACCOUNT_BUDGET:
        ARGUMENTS(account, world.spare.value, 0, 1'000'000, 100'000'000);
    case SYSCALL_ACCOUNT_CPU:
        ARGUMENTS(account, 0);
    case SYSCALL_PROCESS_CREATE:
        ARGUMENTS(account, 0, 0x65'6d61'6e);
    case SYSCALL_THREAD_CREATE:
        ARGUMENTS(world.process.value, 1, fresh_address());
    case SYSCALL_THREAD_START:
        ARGUMENTS(fresh_thread(), (uintptr_t)thread_exit_stub, STUB_SP, 0, 0);
    case SYSCALL_THREAD_YIELD:
        ARGUMENTS(0);
    case SYSCALL_THREAD_SLEEP:
        ARGUMENTS(now_ns() + 1000);
    case SYSCALL_THREAD_CANCEL:
        ARGUMENTS(world.sleeper.value);
    case SYSCALL_THREAD_SET_PRIORITY:
        ARGUMENTS(world.new_thread.value, 2);
    case SYSCALL_THREAD_SET_CPU:
        ARGUMENTS(world.new_thread.value, 0);
    default:
        return false;
    }
}

static bool prepare_memory(uint32_t call, arguments_t a)
{
    uint64_t address = fresh_address();
    switch (call) {
    case SYSCALL_VMO_CREATE:
        ARGUMENTS(start.account.value, PAGE_SIZE, 0);
    case SYSCALL_VMO_SLICE:
        ARGUMENTS(start.account.value, world.vmo.value, PAGE_SIZE, PAGE_SIZE, RIGHT_MAP);
    case SYSCALL_VM_UNMAP:
        must(vm_map(world.aspace, world.vmo, 0, address, PAGE_SIZE, PROT_READ), "vm_map");
        ARGUMENTS(world.aspace.value, address);
    case SYSCALL_VM_MAP:
        ARGUMENTS(world.aspace.value, world.vmo.value, PAGE_SIZE, address, 2 * PAGE_SIZE,
                  PROT_READ | PROT_WRITE);
    case SYSCALL_VM_PROTECT:
        must(vm_map(world.aspace, world.vmo, 0, address, PAGE_SIZE, PROT_READ | PROT_WRITE),
             "vm_map");
        ARGUMENTS(world.aspace.value, address, PROT_READ);
    case SYSCALL_PIN_CREATE:
        ARGUMENTS(world.dmaspace.value, start.account.value, world.vmo.value, 0, 2 * PAGE_SIZE,
                  DMA_BOTH);
    case SYSCALL_PIN_ADDRESSES:
        ARGUMENTS(world.pin.value, 0);
    case SYSCALL_PIN_SYNC:
        ARGUMENTS(world.pin.value, 0, 64, SYNC_DEVICE);
    case SYSCALL_PIN_RELEASE: {
        pin_t pin;
        must(pin_create(world.dmaspace, start.account, world.vmo, 0, PAGE_SIZE, DMA_BOTH, &pin),
             "pin_create");
        fresh = pin.value;
        ARGUMENTS(fresh);
    }
    default:
        return false;
    }
}

static bool prepare_message(uint32_t call, arguments_t a)
{
    uint64_t account = start.account.value;
    switch (call) {
    case SYSCALL_CHANNEL_CREATE:
        ARGUMENTS(account, account, ABI_CHANNEL_SHAPE(1, 8, 1, 1), OVERFLOW_REJECT);
    case SYSCALL_CHANNEL_SEND:
        ARGUMENTS(world.end0.value, MSG(8, 0));
    case SYSCALL_CHANNEL_RECEIVE:
        must(channel_send(world.end0, MSG(8, 0), 0), "channel_send");
        ARGUMENTS(world.end1.value, 0);
    case SYSCALL_CHANNEL_CALL:
        ARGUMENTS(world.echo.value, MSG(8, 0), ABI_DEADLINE_NEVER);
    case SYSCALL_CHANNEL_REPLY:
        take_call();
        ARGUMENTS(world.asked.value, token, MSG(8, 0));
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
        take_call();
        must(event_signal(world.pending, 1), "event_signal");
        ARGUMENTS(world.asked.value, token, MSG(8, 0), world.reply_port.value, 0);
    case SYSCALL_PORT_CREATE:
    case SYSCALL_EVENT_CREATE:
    case SYSCALL_TIMER_CREATE:
        ARGUMENTS(account);
    case SYSCALL_PORT_BIND:
        ARGUMENTS(world.port.value, fresh_event().value, 1, 1);
    case SYSCALL_PORT_UNBIND:
        must(port_bind(world.port, (handle_t){fresh_event().value}, 1, 1), "port_bind");
        ARGUMENTS(fresh);
    case SYSCALL_PORT_RECEIVE:
        must(event_signal(world.pending, 1), "event_signal");
        ARGUMENTS(world.reply_port.value, 0);
    case SYSCALL_EVENT_SIGNAL:
        ARGUMENTS(world.raised.value, 1);
    case SYSCALL_EVENT_CLEAR:
        ARGUMENTS(world.event.value, 1);
    case SYSCALL_TIMER_SET:
        ARGUMENTS(world.timer.value, now_ns() + NS_PER_MS);
    case SYSCALL_TIMER_CANCEL:
        ARGUMENTS(world.timer.value);
    default:
        return false;
    }
}

static bool prepare_machine(uint32_t call, arguments_t a)
{
    static uint64_t next;
    uint64_t account = start.account.value, machine = start.machine.value;
    switch (call) {
    case SYSCALL_INTERRUPT_ACKNOWLEDGE:
        raise_interrupt();
        ARGUMENTS(world.interrupt.value);
    case SYSCALL_INTERRUPT_LIMIT:
        ARGUMENTS(world.interrupt.value, 20'000, 200);
    case SYSCALL_IO_READ:
        if (!machine_has_ports)
            return false;
        ARGUMENTS(world.ports.value, 0, 1);
    case SYSCALL_IO_WRITE:
        if (!machine_has_ports)
            return false;
        ARGUMENTS(world.ports.value, 0, 2, 1);
    case SYSCALL_MACHINE_INFO:
        ARGUMENTS(machine);
    case SYSCALL_MACHINE_CPU:
        ARGUMENTS(machine, 0);
    case SYSCALL_MACHINE_DEVICE_MEMORY:
        ARGUMENTS(machine, account, spare_memory + next++ % 4096 * PAGE_SIZE, PAGE_SIZE,
                  MEMORY_DEVICE);
    case SYSCALL_MACHINE_IO_RANGE:
        if (!machine_has_ports)
            return false;
        ARGUMENTS(machine, account, spare_ports + 16 + next++ % 1024, 1);
    case SYSCALL_MACHINE_INTERRUPT:
        ARGUMENTS(machine, account, spare_line, TRIGGER_EDGE);
    case SYSCALL_MACHINE_MESSAGE_INTERRUPT:
        ARGUMENTS(machine, account, vector_table, 0, 1);
    case SYSCALL_MACHINE_DMA_SPACE:
        ARGUMENTS(machine, account, 3);
    case SYSCALL_MACHINE_DEVICE_QUIET:
        ARGUMENTS(machine, 3);
    case SYSCALL_LOG_WRITE:
        message_buffer()->data[0] = '.';
        ARGUMENTS(start.log.value, 1);
    case SYSCALL_LOG_READ:
        ARGUMENTS(start.log.value, 0);
    case SYSCALL_CLOCK_READ:
    case SYSCALL_CLOCK_INFO:
        ARGUMENTS(0);
    default:
        return false; // machine_power: it would work
    }
}

bool prepare(uint32_t call, arguments_t a)
{
    memset(a, 0, sizeof(arguments_t));
    return prepare_object(call, a) || prepare_memory(call, a) || prepare_message(call, a) ||
           prepare_machine(call, a);
}

// ---- taking back

static void close_fresh(void)
{
    if (fresh != 0)
        handle_close((handle_t){fresh});
    fresh = 0;
}

static void destroy(uint64_t handle)
{
    (void)object_destroy((handle_t){handle});
    handle_close((handle_t){handle});
}

// An answer that did not get through is given now.
static void release_caller(void)
{
    if (waiting)
        (void)channel_reply(world.asked, token, MSG(0, 0));
    waiting = false;
    uint64_t key, message, unused;
    uint32_t signals;
    (void)port_receive(world.reply_port, 0, &key, &signals, &message, &unused);
}

void undo(uint32_t call, const arguments_t a, const struct raw_result *result)
{
    bool ok = result->status == STATUS_OK;
    uint64_t message, unused;
    switch (call) {
    case SYSCALL_HANDLE_CLOSE:
        if (!ok)
            handle_close((handle_t){a[0]});
        break;
    case SYSCALL_PROCESS_CREATE:
        if (ok) {
            handle_close((handle_t){result->value[1]});
            destroy(result->value[0]);
        }
        break;
    case SYSCALL_CHANNEL_CREATE:
        if (ok) {
            handle_close((handle_t){result->value[0]});
            handle_close((handle_t){result->value[1]});
        }
        break;
    case SYSCALL_ACCOUNT_CREATE:
    case SYSCALL_THREAD_CREATE:
    case SYSCALL_MACHINE_DEVICE_MEMORY:
    case SYSCALL_MACHINE_INTERRUPT:
    case SYSCALL_MACHINE_MESSAGE_INTERRUPT:
        if (ok)
            destroy(result->value[0]);
        break;
    case SYSCALL_HANDLE_DUPLICATE:
    case SYSCALL_VMO_CREATE:
    case SYSCALL_VMO_SLICE:
    case SYSCALL_PORT_CREATE:
    case SYSCALL_EVENT_CREATE:
    case SYSCALL_TIMER_CREATE:
    case SYSCALL_MACHINE_IO_RANGE:
    case SYSCALL_MACHINE_DMA_SPACE:
        if (ok)
            handle_close((handle_t){result->value[0]});
        break;
    case SYSCALL_PIN_CREATE:
        if (ok) {
            must(pin_release((pin_t){result->value[0]}), "pin_release");
            handle_close((handle_t){result->value[0]});
        }
        break;
    case SYSCALL_PIN_RELEASE:
        if (!ok && fresh != 0)
            (void)pin_release((pin_t){fresh});
        break;
    case SYSCALL_THREAD_START:
        if (!ok && fresh != 0)
            (void)object_destroy((handle_t){fresh});
        if (fresh != 0)
            wait_for_end(fresh);
        break;
    case SYSCALL_PORT_BIND:
    case SYSCALL_PORT_UNBIND:
        if (fresh != 0) // or the port would be told of its end
            (void)port_unbind((handle_t){fresh});
        break;
    case SYSCALL_ACCOUNT_RESIZE:
        if (ok)
            must(account_resize((account_t){a[0]}, (account_t){a[1]}, -(int64_t)a[2],
                                -(int64_t)a[3], -(int64_t)a[4]),
                 "account_resize");
        break;
    case SYSCALL_ACCOUNT_BUDGET:
        if (ok)
            must(account_budget((account_t){a[0]}, (account_t){a[1]}, a[2], 0, 0),
                 "account_budget");
        break;
    case SYSCALL_VM_MAP:
    case SYSCALL_VM_UNMAP:
    case SYSCALL_VM_PROTECT:
        (void)vm_unmap(world.aspace, a[call == SYSCALL_VM_MAP ? 3 : 1]);
        break;
    case SYSCALL_CHANNEL_SEND:
    case SYSCALL_CHANNEL_RECEIVE:
        while (channel_receive(world.end1, 0, &message, &unused) == STATUS_OK) {}
        break;
    case SYSCALL_CHANNEL_REPLY:
    case SYSCALL_CHANNEL_REPLY_RECEIVE:
    case SYSCALL_PORT_RECEIVE:
        release_caller();
        break;
    case SYSCALL_INTERRUPT_ACKNOWLEDGE:
        (void)interrupt_acknowledge(world.interrupt, &unused);
        break;
    default:
        break;
    }
    close_fresh();
    thread_yield(); // what was destroyed goes now
}

// ---- the calls that do not return: made by threads of other processes, one after the other

void thread_exit_stub(uint64_t argument, uint64_t gift)
{
    (void)argument, (void)gift;
    thread_exit();
}

static void process_exit_stub(uint64_t argument, uint64_t gift)
{
    (void)gift;
    process_exit(argument);
}

static void exit_thread(void)
{
    thread_t thread;
    must(thread_create(world.process, 1, fresh_address(), &thread), "thread_create");
    must(thread_start(thread, (uintptr_t)thread_exit_stub, STUB_SP, 0, (handle_t){0}),
         "thread_start");
    wait_for_end(thread.value);
    count_seen(SYSCALL_THREAD_EXIT, STATUS_OK);
    handle_close((handle_t){thread.value});
}

// Runs a stub in a process of its own, and returns the code that it exits with. `meanwhile` is done
// again and again until then.
static uint64_t run_stub(void (*stub)(uint64_t, uint64_t), uint64_t priority, uint64_t argument,
                         handle_t gift, void (*meanwhile)(uint64_t argument))
{
    process_t process;
    aspace_t aspace;
    thread_t thread;
    must(process_create(start.account, (channel_t){0}, 0, 0, &process, &aspace), "process_create");
    must(vm_map(aspace, child_start.text, 0, text_base, text_bytes, PROT_READ | PROT_EXECUTE),
         "vm_map");
    stub_stack_map(aspace);
    must(thread_create(process, priority, fresh_address(), &thread), "thread_create");
    must(thread_start(thread, (uintptr_t)stub, STUB_SP, argument, gift), "thread_start");
    uint32_t signals;
    while (meanwhile &&
           object_wait((handle_t){process.value}, SIGNAL_TERMINATED, 0, &signals) != STATUS_OK)
        meanwhile(argument);
    wait_for_end(process.value);
    struct abi_inspect ended;
    inspect(process.value, &ended);
    const uint64_t handles[] = {process.value, aspace.value, thread.value};
    for (size_t i = 0; i < ARRAY_SIZE(handles); i++)
        handle_close((handle_t){handles[i]});
    return ended.process.exit_code;
}

static void exit_process(uint64_t code)
{
    if (run_stub(process_exit_stub, 1, code, (handle_t){0}, nullptr) == code)
        count_seen(SYSCALL_PROCESS_EXIT, STATUS_OK);
}

// Until it meets a mapping that is being made.
static void protect_stub(uint64_t address, uint64_t aspace)
{
    for (uint32_t i = 0; i < 1'000'000; i++)
        if (vm_protect((aspace_t){aspace}, address, PROT_READ) == STATUS_BAD_STATE)
            process_exit(1);
    process_exit(0);
}

static vmo_t large;
constexpr uint64_t LARGE = 256 * PAGE_SIZE; // several steps

static void map_large(uint64_t address)
{
    must(vm_map(world.aspace, large, 0, address, LARGE, PROT_READ | PROT_WRITE), "vm_map");
    must(vm_unmap(world.aspace, address), "vm_unmap");
}

void protect_while_mapping(void)
{
    constexpr uint64_t AT = 0x3e'0000'0000;
    handle_t gift;
    must(vmo_create(start.account, LARGE, 0, &large), "vmo_create");
    must(handle_duplicate((handle_t){world.aspace.value}, RIGHT_MAP | RIGHT_TRANSFER, &gift),
         "handle_duplicate");
    if (run_stub(protect_stub, ATTACKER_PRIORITY, AT, gift, map_large) == 1)
        count_seen(SYSCALL_VM_PROTECT, STATUS_BAD_STATE);
    handle_close((handle_t){large.value});
}

void exits_phase(uint32_t times)
{
    for (uint32_t i = 0; i < times; i++) {
        exit_thread();
        exit_process(i);
    }
}
