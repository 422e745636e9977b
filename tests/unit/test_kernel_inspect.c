// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// What object_inspect, machine_info and machine_cpu tell: each figure after something that changes
// it, and only it.
#include <string.h>

#include "dma.h"
#include "frame.h"
#include "interrupt.h"
#include "kernel_world.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *a;
static uint64_t machine;

static void begin(void)
{
    world_begin((struct world_options){});
    a = spawn(new_account(400, 300), 10);
    machine = grant(a, world.boss, world.machine);
}

static struct abi_inspect look(uint64_t handle)
{
    struct abi_inspect seen;
    EXPECT_EQUAL(MUST(a, OBJECT_INSPECT, handle), sizeof seen);
    memcpy(&seen, a->thread->message->data, sizeof seen);
    return seen;
}

// OBJ-6
TEST(what_all_objects_tell)
{
    begin();
    uint64_t event = MUST(a, EVENT_CREATE, a->account);
    uint64_t next = MUST(a, EVENT_CREATE, a->account);
    struct abi_inspect seen = look(event);
    EXPECT_EQUAL(seen.type, OBJECT_EVENT);
    EXPECT_EQUAL(seen.handles, 1);
    EXPECT_EQUAL(seen.signals, 0);
    EXPECT_EQUAL(look(next).id, seen.id + 1);
    MUST(a, HANDLE_DUPLICATE, event, RIGHTS_EVENT);
    MUST(a, EVENT_SIGNAL, event, 0x5);
    EXPECT_EQUAL(look(event).handles, 2);
    EXPECT_EQUAL(look(event).signals, 5);
    EXPECT_EQUAL(look(event).id, seen.id);
    world_end();
}

TEST(an_account)
{
    begin();
    const char *name = "a longer name it";
    uint64_t words[2];
    memcpy(words, name, 16);
    uint64_t account = MUST(a, ACCOUNT_CREATE, a->account, 50, 40, 0, words[0], words[1]);
    struct abi_inspect seen = look(account);
    EXPECT(memcmp(seen.name, name, 16) == 0);
    EXPECT_EQUAL(seen.state, ACCOUNT_LIVE);
    EXPECT_EQUAL(seen.account.pages_limit, 50);
    EXPECT_EQUAL(seen.account.objects_limit, 40);
    EXPECT_EQUAL(seen.account.pages_used + seen.account.objects_used, 0);
    EXPECT_EQUAL(seen.account.pages_high + seen.account.objects_high, 0);
    uint64_t vmo = MUST(a, VMO_CREATE, account, 3 * PAGE_SIZE, 0);
    uint64_t small = MUST(a, VMO_CREATE, account, PAGE_SIZE, 0);
    MUST(a, ACCOUNT_CREATE, account, 7, 5);
    MUST(a, HANDLE_CLOSE, vmo);
    seen = look(account);
    EXPECT_EQUAL(seen.account.pages_used, 1);
    EXPECT_EQUAL(seen.account.pages_high, 4);
    EXPECT_EQUAL(seen.account.pages_children, 7);
    EXPECT_EQUAL(seen.account.objects_used, 2); // the small VMO, the child
    EXPECT_EQUAL(seen.account.objects_high, 3);
    EXPECT_EQUAL(seen.account.objects_children, 5);
    EXPECT_EQUAL(seen.account.quarantined_pages, 0);
    // The high mark moves only up, and only to what was used.
    MUST(a, VMO_CREATE, account, 3 * PAGE_SIZE, 0);
    EXPECT_EQUAL(look(account).account.pages_high, 4);
    MUST(a, VMO_CREATE, account, PAGE_SIZE, 0);
    EXPECT_EQUAL(look(account).account.pages_high, 5);
    MUST(a, HANDLE_CLOSE, small);
    EXPECT_EQUAL(look(account).account.pages_used, 4);
    MUST(a, EVENT_CREATE, account);
    EXPECT_EQUAL(look(account).account.pages_high, 5);
    uint64_t boss_handle = grant(a, world.boss, world.root_account);
    EXPECT(strcmp(look(boss_handle).name, "root") == 0);
    world_end();
}

TEST(an_account_with_quarantine)
{
    begin();
    struct actor *driver = spawn(new_account(200, 100), 10);
    uint64_t driver_account = grant(a, driver, driver->account);
    uint64_t mint = grant(driver, world.boss, world.machine);
    uint64_t space = MUST(driver, MACHINE_DMA_SPACE, mint, driver->account, 7);
    uint64_t vmo = MUST(driver, VMO_CREATE, driver->account, 4 * PAGE_SIZE, 0);
    MUST(driver, PIN_CREATE, space, driver->account, vmo, PAGE_SIZE, 2 * PAGE_SIZE, DMA_BOTH);
    MUST(world.boss, OBJECT_DESTROY, driver->process_handle);
    struct abi_inspect seen = look(driver_account);
    EXPECT_EQUAL(seen.account.quarantined_pages, 2);
    EXPECT_EQUAL(MUST(a, MACHINE_INFO, machine), sizeof(struct abi_machine_info));
    const struct abi_machine_info *info = (const void *)a->thread->message->data;
    EXPECT_EQUAL(info->quarantined_pages, 2);
    MUST(a, MACHINE_DEVICE_QUIET, machine, 7);
    EXPECT_EQUAL(look(driver_account).account.quarantined_pages, 0);
    world_end();
}

TEST(a_process_and_its_threads)
{
    begin();
    uint64_t name[2];
    memcpy(name,
           "a~b c!\x7f"
           "d\x1f"
           "e tail!!",
           16); // what is not printed does not stand in a log
    struct outcome made = CALL(a, PROCESS_CREATE, a->account, 0, name[0], name[1]);
    EXPECT_STATUS(made.status, OK);
    struct abi_inspect seen = look(made.value[0]);
    EXPECT(strcmp(seen.name, "a~b?c!?d?e?tail") == 0);
    EXPECT_EQUAL(seen.state, PROCESS_CREATED);
    EXPECT_EQUAL(seen.process.threads, 0);
    EXPECT_EQUAL(seen.process.handles, 0);
    EXPECT_EQUAL(seen.process.handles_max, HANDLES_MAX);
    EXPECT_EQUAL(seen.process.exit_code, 0);
    EXPECT_EQUAL(seen.process.cpu_ns, 0);
    seen = look(a->own_process);
    EXPECT_EQUAL(seen.state, PROCESS_RUNNING);
    EXPECT_EQUAL(seen.process.threads, 1);
    EXPECT_EQUAL(seen.process.handles, a->process->handles_used);
    struct actor *b = spawn(new_account(100, 100), 9);
    uint64_t theirs = grant(a, b, b->own_process), thread = grant(a, b, b->own_thread);
    EXPECT_EQUAL(look(theirs).process.cpu_ns, 0);
    // It runs for a while: the clock moves while it is current.
    hold(b);
    host_ticks += 5000;
    (void)HELD(b, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    settle();
    EXPECT_EQUAL(look(theirs).process.cpu_ns, 5000);
    seen = look(thread);
    EXPECT_EQUAL(seen.thread.cpu_ns, 5000);
    EXPECT_EQUAL(seen.thread.priority, 9);
    EXPECT_EQUAL(seen.thread.home_cpu, 0);
    EXPECT_EQUAL(seen.thread.run_state, THREAD_BLOCKED);
    EXPECT_EQUAL(seen.state, THREAD_BLOCKED);
    // What ended threads have used stays counted.
    MUST(a, OBJECT_DESTROY, thread);
    settle();
    seen = look(theirs);
    EXPECT_EQUAL(seen.process.threads, 0);
    EXPECT_EQUAL(seen.process.cpu_ns, 5000);
    EXPECT_EQUAL(look(thread).thread.run_state, THREAD_DEAD);
    world_end();
}

// OBJ-18
TEST(an_exit_code)
{
    begin();
    struct actor *b = spawn(new_account(100, 100), 10);
    uint64_t theirs = grant(a, b, b->own_process);
    (void)CALL(b, PROCESS_EXIT, 77);
    struct abi_inspect seen = look(theirs);
    EXPECT_EQUAL(seen.state, PROCESS_DEAD);
    EXPECT_EQUAL(seen.process.exit_code, 77);
    EXPECT_EQUAL(seen.signals, SIGNAL_TERMINATED);
    world_end();
}

TEST(an_address_space_and_a_vmo)
{
    begin();
    struct outcome made = CALL(a, PROCESS_CREATE, a->account, 0);
    uint64_t aspace = made.value[1], vmo = MUST(a, VMO_CREATE, a->account, 5 * PAGE_SIZE, 0);
    struct abi_inspect seen = look(aspace);
    EXPECT_EQUAL(seen.aspace.mappings + seen.aspace.pages + seen.aspace.table_pages, 0);
    MUST(a, VM_MAP, aspace, vmo, 0, AT, 3 * PAGE_SIZE, PROT_READ);
    MUST(a, VM_MAP, aspace, vmo, PAGE_SIZE, AT + 8 * PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ);
    seen = look(aspace);
    EXPECT_EQUAL(seen.aspace.mappings, 2);
    EXPECT_EQUAL(seen.aspace.pages, 5);
    EXPECT_EQUAL(seen.aspace.table_pages, 3);
    uint64_t space = MUST(a, MACHINE_DMA_SPACE, machine, a->account, 7);
    uint64_t pin =
        MUST(a, PIN_CREATE, space, a->account, vmo, PAGE_SIZE, 4 * PAGE_SIZE, DMA_FROM_DEVICE);
    seen = look(vmo);
    EXPECT_EQUAL(seen.vmo.bytes, 5 * PAGE_SIZE);
    EXPECT_EQUAL(seen.vmo.mappings, 2);
    EXPECT_EQUAL(seen.vmo.pins, 1);
    EXPECT_EQUAL(seen.vmo.device, 0);
    seen = look(pin);
    EXPECT_EQUAL(seen.pin.bytes, 4 * PAGE_SIZE);
    EXPECT_EQUAL(seen.pin.direction, DMA_FROM_DEVICE);
    seen = look(space);
    EXPECT_EQUAL(seen.dmaspace.device, 7);
    EXPECT_EQUAL(seen.dmaspace.identity, 1);
    MUST(a, VM_UNMAP, aspace, AT);
    EXPECT_EQUAL(look(aspace).aspace.mappings, 1);
    EXPECT_EQUAL(look(aspace).aspace.pages, 2);
    EXPECT_EQUAL(look(vmo).vmo.mappings, 1);
    uint64_t registers = MUST(a, MACHINE_DEVICE_MEMORY, machine, a->account, 0xd000'0000,
                              2 * PAGE_SIZE, MEMORY_DEVICE);
    EXPECT_EQUAL(look(registers).vmo.device, 1);
    EXPECT_EQUAL(look(registers).vmo.bytes, 2 * PAGE_SIZE);
    world_end_after_quarantine(7);
}

// OBJ-6
TEST(a_channel_and_a_port)
{
    begin();
    struct ends ends = new_channel(a, 3, 100, 1, 2);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(5, 0));
    MUST(a, CHANNEL_SEND, ends.end0, MSG(5, 0));
    MUST(a, CHANNEL_RECEIVE, ends.end1, 0);
    struct actor *b = spawn_thread(a, 9);
    EXPECT_CALL(BLOCKED, b, CHANNEL_CALL, ends.end0, MSG(5, 0), ABI_DEADLINE_NEVER);
    struct abi_inspect seen = look(ends.end1);
    EXPECT_EQUAL(seen.channel.depth, 3);
    EXPECT_EQUAL(seen.channel.message_bytes, 100);
    EXPECT_EQUAL(seen.channel.queued, 2);
    EXPECT_EQUAL(seen.channel.queued_high, 2);
    EXPECT_EQUAL(seen.channel.calls, 1);
    EXPECT_EQUAL(seen.channel.calls_max, 2);
    MUST(a, CHANNEL_RECEIVE, ends.end1, 0);
    EXPECT_EQUAL(look(ends.end1).channel.queued, 1);
    EXPECT_EQUAL(look(ends.end1).channel.queued_high, 2);
    MUST(a, CHANNEL_RECEIVE, ends.end1, 0);
    MUST(a, CHANNEL_SEND, ends.end0, MSG(5, 0)); // one after all: the highest stays
    EXPECT_EQUAL(look(ends.end1).channel.queued, 1);
    EXPECT_EQUAL(look(ends.end1).channel.queued_high, 2);
    EXPECT_EQUAL(look(ends.end0).channel.queued, 0);
    EXPECT_EQUAL(look(ends.end0).channel.calls, 0);
    uint64_t port = MUST(a, PORT_CREATE, a->account);
    for (unsigned i = 0; i < 3; i++) {
        uint64_t event = MUST(a, EVENT_CREATE, a->account);
        MUST(a, PORT_BIND, port, event, i, 1);
        if (i > 0)
            MUST(a, EVENT_SIGNAL, event, 1);
    }
    EXPECT_EQUAL(look(port).port.bindings, 3);
    EXPECT_EQUAL(look(port).port.pending, 2);
    world_end();
}

TEST(a_port_counts_so_many_pending_and_no_more)
{
    world_begin((struct world_options){.ram_bytes = 256 << 20});
    a = spawn(new_account(400, 2600), 10);
    uint64_t port = MUST(a, PORT_CREATE, a->account);
    for (unsigned i = 1; i <= 1026; i++) {
        uint64_t event = MUST(a, EVENT_CREATE, a->account);
        MUST(a, PORT_BIND, port, event, i, 1);
        MUST(a, EVENT_SIGNAL, event, 1);
        if (i >= 1023)
            EXPECT_EQUAL(look(port).port.pending, i < 1024 ? i : 1024);
    }
    EXPECT_EQUAL(look(port).port.bindings, 1026);
    world_end();
}

TEST(a_process_of_many_threads)
{
    world_begin((struct world_options){});
    a = spawn(new_account(600, 300), 10);
    struct outcome made = CALL(a, PROCESS_CREATE, a->account, 0);
    for (uint64_t i = 1; i <= 66; i++) {
        uint64_t thread = MUST(a, THREAD_CREATE, made.value[0], 5, 0x80'0000 + i * 2 * PAGE_SIZE);
        counter_set(&thread_of(object_behind(a, thread))->cpu_ns, 1000);
        struct abi_inspect seen = look(made.value[0]);
        EXPECT_EQUAL(seen.process.threads, i);
        EXPECT_EQUAL(seen.process.cpu_ns, 1000 * (i < 64 ? i : 64)); // of so many it is added up
    }
    world_end();
}

TEST(a_timer_an_interrupt_and_ports_of_a_device)
{
    begin();
    uint64_t timer = MUST(a, TIMER_CREATE, a->account);
    EXPECT_EQUAL(look(timer).timer.deadline_ns, ABI_DEADLINE_NEVER);
    MUST(a, TIMER_SET, timer, 123'456);
    EXPECT_EQUAL(look(timer).timer.deadline_ns, 123'456);
    MUST(a, TIMER_CANCEL, timer);
    EXPECT_EQUAL(look(timer).timer.deadline_ns, ABI_DEADLINE_NEVER);
    uint64_t range = MUST(a, MACHINE_IO_RANGE, machine, a->account, 0x60, 4);
    EXPECT_EQUAL(look(range).iorange.base, 0x60);
    EXPECT_EQUAL(look(range).iorange.count, 4);
    uint64_t line = MUST(a, MACHINE_INTERRUPT, machine, a->account, 12, TRIGGER_EDGE);
    uint64_t message = MUST(a, MACHINE_MESSAGE_INTERRUPT, machine, a->account, 0xd100'0000, 0, 8);
    EXPECT_EQUAL(look(line).interrupt.line, 12);
    EXPECT_EQUAL(look(line).interrupt.count, 0);
    EXPECT_EQUAL(look(line).interrupt.message, 0);
    EXPECT_EQUAL(look(line).interrupt.masked, 0);
    EXPECT_EQUAL(look(message).interrupt.message, 1);
    EXPECT_EQUAL(look(message).interrupt.line, HOST_MESSAGE_FIRST);
    host_line_pulse(12);
    settle();
    EXPECT_EQUAL(look(line).interrupt.count, 1);
    EXPECT_EQUAL(look(line).interrupt.masked, 1);
    EXPECT_EQUAL(look(line).interrupt.cpu, 0);
    MUST(a, INTERRUPT_ACKNOWLEDGE, line);
    EXPECT_EQUAL(look(line).interrupt.masked, 0);
    world_end();
}

static struct abi_cpu_info look_at_cpu(uint64_t number)
{
    struct abi_cpu_info seen;
    EXPECT_EQUAL(MUST(a, MACHINE_CPU, machine, number), sizeof seen);
    memcpy(&seen, a->thread->message->data, sizeof seen);
    return seen;
}

TEST(the_machine)
{
    begin();
    uint64_t line = MUST(a, MACHINE_INTERRUPT, machine, a->account, 12, TRIGGER_EDGE);
    EXPECT_EQUAL(MUST(a, MACHINE_INFO, machine), sizeof(struct abi_machine_info));
    struct abi_machine_info info;
    memcpy(&info, a->thread->message->data, sizeof info);
    EXPECT_EQUAL(info.firmware, FIRMWARE_ACPI);
    EXPECT_EQUAL(info.cpus, 1);
    EXPECT_EQUAL(info.ram_bytes, 64 << 20);
    EXPECT_EQUAL(info.pages_free, frames_free());
    EXPECT_EQUAL(info.pages_total, frames_total());
    EXPECT_EQUAL(info.objects_free, objects_free());
    EXPECT_EQUAL(info.objects_total, objects_total());
    EXPECT_EQUAL(info.quarantined_pages, 0);
    EXPECT_EQUAL(info.message_interrupts, 1);
    EXPECT_EQUAL(info.dev_build, 1);
    EXPECT(info.pages_free < info.pages_total && info.objects_free < info.objects_total);
    EXPECT(info.checks[INVARIANT_O3] > 0);
    EXPECT_CALL(INVALID, a, MACHINE_CPU, machine, 1);
    struct abi_cpu_info before = look_at_cpu(0);
    host_line_pulse(12);
    settle();
    MUST(a, INTERRUPT_ACKNOWLEDGE, line);
    MUST(a, THREAD_YIELD);
    advance(1000);
    struct abi_cpu_info after = look_at_cpu(0);
    EXPECT_EQUAL(after.device_interrupts, before.device_interrupts + 1);
    EXPECT_EQUAL(after.idle_ns, before.idle_ns + 1000);
    EXPECT_EQUAL(after.idle_since_ns, 0);
    EXPECT(after.switches > before.switches);
    EXPECT_EQUAL(after.flushes, 0);
    world_end();
}

TEST(another_cpu)
{
    world_begin((struct world_options){.cpus = 2, .asids = UINT32_MAX});
    a = spawn(new_account(400, 300), 10);
    machine = grant(a, world.boss, world.machine);
    struct actor *b = spawn_on(1, new_account(100, 100), 10);
    struct actor *c = spawn_thread_on(1, a, 10);
    uint64_t event = MUST(a, EVENT_CREATE, a->account), theirs = grant(b, a, event);
    EXPECT_CALL(BLOCKED, b, OBJECT_WAIT, theirs, 1, ABI_DEADLINE_NEVER);
    struct abi_cpu_info before = look_at_cpu(1);
    EXPECT(before.idle_since_ns == 0 || before.idle_since_ns <= host_ticks);
    host_ticks += 500;
    MUST(a, EVENT_SIGNAL, event, 1);
    struct abi_cpu_info after = look_at_cpu(1);
    EXPECT_EQUAL(after.asked, before.asked + 1);
    EXPECT_EQUAL(after.posts, before.posts + 1);
    EXPECT_EQUAL(after.device_interrupts, before.device_interrupts);
    EXPECT_EQUAL(after.spurious, before.spurious);
    EXPECT_EQUAL(after.flushes, before.flushes);
    EXPECT_EQUAL(after.idle_ns, before.idle_ns + 500);
    EXPECT_EQUAL(after.idle_since_ns, host_ticks);
    // A thread of ours there: what is unmapped here is flushed there.
    uint64_t vmo = MUST(a, VMO_CREATE, a->account, PAGE_SIZE, 0);
    MUST(c, VM_MAP, c->own_aspace, vmo, 0, AT, PAGE_SIZE, PROT_READ);
    hold(c);
    before = look_at_cpu(1);
    EXPECT_CALL(BLOCKED, a, VM_UNMAP, a->own_aspace, AT);
    settle();
    EXPECT_STATUS(ended(a).status, OK);
    after = look_at_cpu(1);
    EXPECT_EQUAL(after.flushes, before.flushes + 1);
    world_end();
}
