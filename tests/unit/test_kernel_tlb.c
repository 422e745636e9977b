// SPDX-License-Identifier: MIT
// build: tests/unit/kernel_test.c tests/unit/kernel_world.c tests/unit/kernel_check.c tests/unit/kernel_check_memory.c
//
// Who is asked to flush, and what is flushed: no CPU that has left, none twice, and none at all where
// the processor tells the others itself (M6).
#include <entry/entry.h>
#include <hal/hal.h>

#include "cpu.h"
#include "kernel_world.h"

constexpr uint64_t AT = 0x5000'0000;

static struct actor *a, *b, *c; // threads of one process, on CPU 0, 1 and 2
static struct actor *stranger;  // on CPU 1

static void begin(uint32_t asids)
{
    world_begin((struct world_options){.cpus = 3, .asids = asids});
    uint64_t account = new_account(400, 300);
    a = spawn_on(0, account, 10);
    b = spawn_thread_on(1, a, 10);
    c = spawn_thread_on(2, a, 10);
    stranger = spawn_on(1, account, 12);
}

static void map(struct actor *actor, uint64_t at, uint64_t pages)
{
    uint64_t vmo = MUST(actor, VMO_CREATE, actor->account, pages * PAGE_SIZE, 0);
    MUST(actor, VM_MAP, actor->own_aspace, vmo, 0, at, pages * PAGE_SIZE, PROT_READ);
    MUST(actor, HANDLE_CLOSE, vmo);
}

static bool can_load(unsigned cpu, uint64_t at)
{
    paddr_t physical;
    return host_access(cpu, at, HOST_LOAD, &physical);
}

static unsigned asked[HOST_CPUS];
static bool late; // interrupts do not arrive
static struct irq_controller counted;
static const struct irq_controller *real;

static void count_ipi(uint32_t cpu)
{
    asked[cpu]++;
    if (!late)
        real->ipi(cpu);
}

static void count_interrupts(void)
{
    memset(asked, 0, sizeof asked);
    real = hal.irq;
    counted = *hal.irq;
    counted.ipi = count_ipi;
    hal.irq = &counted;
}

static void finish(void)
{
    late = false;
    hal.irq = real;
    settle();
    world_end();
}

TEST(a_cpu_that_has_left_is_not_asked)
{
    begin(UINT32_MAX);
    map(a, AT, 1);
    hold(b);
    hold(c);
    settle(); // they idle, and keep what they have loaded
    hold(stranger);
    EXPECT_EQUAL(a->process->aspace->holders.cpus & 6, 4);
    hold(a);
    count_interrupts();
    EXPECT_STATUS(HELD(a, VM_UNMAP, a->own_aspace, AT).status, BLOCKED);
    EXPECT(!asked[1] && asked[2] == 1);
    settle();
    EXPECT_STATUS(ended(a).status, OK);
    finish();
}

TEST(a_cpu_is_interrupted_once_for_all_who_ask)
{
    begin(UINT32_MAX);
    map(a, AT, 1);
    map(a, AT + PAGE_SIZE, 1);
    hold(a);
    hold(b);
    hold(c);
    count_interrupts();
    EXPECT_STATUS(HELD(a, VM_UNMAP, a->own_aspace, AT).status, BLOCKED);
    EXPECT_STATUS(HELD(b, VM_UNMAP, a->own_aspace, AT + PAGE_SIZE).status, BLOCKED);
    EXPECT_EQUAL(asked[2], 1);
    settle();
    EXPECT_STATUS(ended(a).status, OK);
    EXPECT_STATUS(ended(b).status, OK);
    finish();
}

TEST(nobody_is_asked_where_it_is_broadcast)
{
    begin(0);
    map(a, AT, 3);
    hold(b);
    hold(a);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(can_load(0, AT + i * PAGE_SIZE) && can_load(1, AT + i * PAGE_SIZE));
    count_interrupts();
    EXPECT_STATUS(HELD(a, VM_UNMAP, a->own_aspace, AT).status, OK);
    EXPECT(!asked[1] && !asked[2]);
    for (unsigned i = 0; i < 3; i++)
        EXPECT(!can_load(0, AT + i * PAGE_SIZE) && !can_load(1, AT + i * PAGE_SIZE));
    finish();
}

static bool is_kept(unsigned cpu, uint16_t asid)
{
    for (unsigned i = 0; i < HOST_TLB_ENTRIES; i++)
        if (host_tlb[cpu][i].valid && host_tlb[cpu][i].asid == asid)
            return true;
    return false;
}

static void run_until_it_waits(unsigned cpu)
{
    host_wake(cpu, entry_kernel_interrupt);
    host_run(cpu);
}

// CPU 1 is asked to leave an address space that ends; when the question comes, it is elsewhere.
TEST(who_is_asked_to_leave_flushes_nothing_where_it_is_broadcast)
{
    begin(0);
    map(stranger, AT, 1);
    struct actor *dying = spawn_on(1, new_account(60, 40), 10);
    uint64_t process = grant(a, dying, dying->own_process);
    hold(dying);
    settle(); // CPU 1 idles in its address space
    hold(a);
    count_interrupts();
    late = true;
    EXPECT_STATUS(HELD(a, OBJECT_DESTROY, process).status, OK);
    (void)HELD(a, THREAD_SLEEP, ABI_DEADLINE_NEVER);
    for (unsigned i = 0; i < 8 && !cpus[1]->flush_requests.from; i++) {
        run_until_it_waits(1); // it looks into its inbox, as it does for any interrupt
        run_until_it_waits(0);
    }
    hold(stranger);
    EXPECT_EQUAL(cpus[1]->flush_requests.from, 1);
    EXPECT(can_load(1, AT) && is_kept(1, stranger->process->aspace->asid));
    real->ipi(1);
    host_enter(1, entry_interrupt);
    host_run(1);
    EXPECT_EQUAL(cpus[1]->flush_requests.from, 0);
    EXPECT(is_kept(1, stranger->process->aspace->asid));
    real->ipi(0);
    finish();
    EXPECT(is_dead(dying));
}
