// SPDX-License-Identifier: MIT
//
// The simulated machine of the explorer, instrumented like the kernel: an interrupt is a bit that
// somebody sets and the CPU takes, now or later; a translation that was used may be used again
// until it is flushed.
#include "machine.h"

#include <stdatomic.h>
#include <string.h>

#include "explore.h"
#include "frame.h"
#include "host.h"
#include "object.h"

_Atomic uint32_t machine_pending[MACHINE_CPUS];
static _Atomic uint32_t lines[HOST_LINES];
enum line_bit : uint32_t { LINE_MASKED = 1, LINE_LATCHED = 2, LINE_LEVEL = 4, LINE_BUSY = 8 };
static uint64_t claimed[HOST_LINES]; // by CPU 0
static _Atomic uint64_t now;
static _Atomic uint64_t armed[MACHINE_CPUS];

// ---- interrupts

static unsigned self(void)
{
    return host_running->number;
}

static void raise(unsigned cpu, uint32_t bit)
{
    atomic_fetch_or_explicit(&machine_pending[cpu], bit, memory_order_acq_rel);
}

static void ipi(uint32_t cpu)
{
    if (!SEEDED_BUG("machine: lost IPI"))
        raise(cpu, PENDING_IPI);
}

static uint32_t claim(void)
{
    unsigned cpu = self();
    uint32_t pending = atomic_load_explicit(&machine_pending[cpu], memory_order_acquire);
    if (!pending)
        return IRQ_NONE;
    uint32_t bit = pending & -pending;
    atomic_fetch_and_explicit(&machine_pending[cpu], ~bit, memory_order_acq_rel);
    if (bit == PENDING_IPI)
        return IRQ_IPI;
    if (bit == PENDING_TIMER)
        return IRQ_TIMER;
    uint32_t line = (uint32_t)__builtin_ctz(bit) - 2 + HOST_LINE_FIRST;
    claimed[line]++;
    return line;
}

// What names a line is done by one CPU at a time (hal.h), and so is mapping registers (arch.h), under
// another lock: a race where it is not.
static unsigned named, mapped;

static void registers_mapped(void)
{
    mapped++;
}

static bool usable(uint32_t line)
{
    named++;
    return line >= HOST_LINE_FIRST && line < HOST_LINE_FIRST + MACHINE_LINES;
}

// Changes a line; what is latched goes to the CPU as soon as nothing keeps it: the mask, or, of a
// level line, that it is on its way or in service already.
static void change(uint32_t line, uint32_t set, uint32_t clear)
{
    uint32_t old = atomic_load_explicit(&lines[line], memory_order_relaxed), next;
    bool comes;
    do {
        next = (old | set) & ~clear;
        comes = next & LINE_LATCHED && !(next & LINE_MASKED) &&
                (next & (LINE_LEVEL | LINE_BUSY)) != (LINE_LEVEL | LINE_BUSY);
        if (comes)
            next = (next | LINE_BUSY) & ~LINE_LATCHED;
    } while (!atomic_compare_exchange_strong_explicit(&lines[line], &old, next,
                                                      memory_order_relaxed, memory_order_relaxed));
    if (comes)
        raise(0, 4u << (line - HOST_LINE_FIRST));
}

static void complete(uint32_t line)
{
    if (line < HOST_LINES)
        change(line, 0, LINE_BUSY);
}

static void configure(uint32_t line, enum abi_trigger trigger)
{
    named++;
    change(line, LINE_MASKED | (trigger == TRIGGER_EDGE ? 0 : LINE_LEVEL), 0);
}

static void mask(uint32_t line)
{
    named++;
    change(line, LINE_MASKED, 0);
}

static void unmask(uint32_t line)
{
    named++;
    change(line, 0, LINE_MASKED);
}

static bool message_taken[HOST_LINES];

static bool message_allocate(paddr_t controller, uint64_t device, uint32_t *line, uint64_t *address,
                             uint32_t *data)
{
    (void)controller, (void)device;
    named++;
    for (uint32_t i = HOST_MESSAGE_FIRST; i < HOST_LINES; i++)
        if (!message_taken[i]) {
            message_taken[i] = true;
            *line = *data = i;
            *address = HOST_MESSAGE_ADDRESS;
            return true;
        }
    return false;
}

static void message_free(uint32_t line)
{
    named++;
    message_taken[line] = false;
}

void machine_device_raises(void *line)
{
    change((uint32_t)(uintptr_t)line, LINE_LATCHED, 0);
}

static const char *cpu_init(uint32_t cpu)
{
    (void)cpu;
    return nullptr;
}

static const struct irq_controller controller = {
    .name = "explored",
    .lines = HOST_LINES,
    .cpu_init = cpu_init,
    .ipi = ipi,
    .claim = claim,
    .complete = complete,
    .usable = usable,
    .configure = configure,
    .mask = mask,
    .unmask = unmask,
    .message_allocate = message_allocate,
    .message_free = message_free,
};

// ---- time: it stands still until the scenario moves it

static uint64_t ticks(void)
{
    return atomic_load_explicit(&now, memory_order_relaxed);
}

static void arm(uint64_t when)
{
    atomic_store_explicit(&armed[self()], when, memory_order_relaxed);
    if (when <= ticks())
        raise(self(), PENDING_TIMER);
}

void machine_time_comes(void *when)
{
    atomic_store_explicit(&now, (uint64_t)(uintptr_t)when, memory_order_release);
    for (unsigned cpu = 0; cpu < MACHINE_CPUS; cpu++)
        raise(cpu, PENDING_TIMER); // a timer that fires for nothing does no harm
}

static const struct clock_source clock = {
    .name = "explored", .hz = HOST_HZ, .ticks = ticks, .arm = arm};

void machine_take_over(void)
{
    for (unsigned cpu = 0; cpu < MACHINE_CPUS; cpu++) {
        machine_pending[cpu] = 0;
        armed[cpu] = UINT64_MAX;
    }
    for (unsigned line = 0; line < HOST_LINES; line++) {
        bool level = host_lines[line].trigger != TRIGGER_EDGE;
        lines[line] = (host_lines[line].masked ? LINE_MASKED : 0) | (level ? LINE_LEVEL : 0);
        claimed[line] = host_lines[line].claimed;
        message_taken[line] = host_lines[line].message_taken;
    }
    now = host_ticks;
    host_on_device_map = registers_mapped;
    hal.irq = &controller;
    hal.clock = &clock;
}

// What world_check looks at.
void machine_show_lines(void)
{
    for (unsigned line = 0; line < HOST_LINES; line++) {
        host_lines[line].masked = lines[line] & LINE_MASKED;
        host_lines[line].claimed = claimed[line];
    }
}

void machine_idle(void)
{
    explore_wait(&machine_pending[self()]);
}

// What an older value of the flag says is that the interrupt comes later.
bool machine_interrupt_comes(void)
{
    return atomic_load_explicit(&machine_pending[self()], memory_order_acquire) != 0;
}

// ---- translation

static struct translation {
    bool valid;
    uint64_t leaf;
    uint64_t owner; // id of the object whose frame it is
} cached[MACHINE_CPUS][MACHINE_PAGES];
static uint64_t pages[MACHINE_PAGES]; // those that accesses are about
static unsigned page_count;
static struct {
    uint64_t root;
    uint16_t asid;
    uint32_t flushes; // of all, when this CPU looked last
} loaded[MACHINE_CPUS];
// Of invalidations that are broadcast: over when they return, with every access that went by what
// they take away. The lock makes either of them come before the other.
static char broadcast;
static uint32_t all_flushes;
static uint64_t user_read[MACHINE_CPUS];

void machine_page(uint64_t address)
{
    pages[page_count++] = address;
}

void machine_reset_translation(bool broadcasts)
{
    memset(cached, 0, sizeof cached);
    host_tlb_broadcasts = broadcasts;
    page_count = 0;
}

uint64_t machine_root_of(unsigned cpu)
{
    return loaded[cpu].root;
}

static uint64_t walk(uint64_t root, uint64_t address)
{
    uint64_t table = root;
    for (unsigned level = 3;; level--) {
        pte_t *entries = arch_ram((paddr_t){table});
        pte_t entry = {__atomic_load_n(&entries[address >> (PAGE_SHIFT + 9 * level) & 511].value,
                                       __ATOMIC_ACQUIRE)}; // it reads what the entry leads to
        if (!pte_present(entry))
            return 0;
        if (level == 0)
            return entry.value;
        if (pte_large(entry)) // the part of it that is the address's page
            return (entry.value & ~PTE_LARGE) + align_down(address % (512 * PAGE_SIZE), PAGE_SIZE);
        table = pte_address(entry).value;
    }
}

static struct translation look(unsigned cpu, uint64_t address)
{
    struct translation found = {};
    if (loaded[cpu].root)
        found.leaf = walk(loaded[cpu].root, address);
    if (found.leaf) {
        found.valid = true;
        found.owner = machine_owner_of(found.leaf);
    }
    return found;
}

// A CPU may walk whenever it likes: at once, for instance.
static void refill(unsigned cpu)
{
    if (explore_self() == EXPLORE_THREADS)
        return;
    for (unsigned i = 0; i < page_count; i++)
        cached[cpu][i] = look(cpu, pages[i]);
}

static void forget(unsigned cpu)
{
    for (unsigned i = 0; i < page_count; i++)
        cached[cpu][i].valid = false;
    refill(cpu);
}

void host_root_load(paddr_t root, uint16_t asid)
{
    loaded[self()].root = root.value;
    loaded[self()].asid = asid;
    forget(self());
}

void host_tlb_flush_asid(uint16_t asid)
{
    (void)asid;
    if (explore_self() == EXPLORE_THREADS)
        return;
    translation_flushed();
    if (host_tlb_broadcasts) { // over when it returns: nobody can miss it any more
        explore_lock(&broadcast);
        all_flushes++;
        explore_unlock(&broadcast);
    } else {
        forget(self());
    }
}

void host_tlb_flush_page(uint16_t asid, uint64_t address)
{
    (void)address; // others may be forgotten, too
    host_tlb_flush_asid(asid);
}

bool machine_use_fpu(uint64_t value)
{
    struct arch_percpu *cpu = host_running;
    if (!cpu->fpu_on)
        return false;
    for (unsigned i = 0; i < ARRAY_SIZE(cpu->fpu.value); i++)
        cpu->fpu.value[i] = cpu->current->fpu.value[i] = value + i;
    return true;
}

// What user code does to a frame, each CPU to bytes of its own: the kernel must be ordered with it
// when it gives the frame to somebody else.
static void use(uint64_t leaf, unsigned cpu, bool write)
{
    uint64_t *word = (uint64_t *)arch_ram(pte_address((pte_t){leaf})) + cpu;
    if (write)
        *word = 0;
    else
        user_read[cpu] = *word;
}

static bool try_access(unsigned cpu, uint64_t address, bool write)
{
    unsigned page = 0;
    while (pages[page] != address)
        page++;
    struct translation *kept = &cached[cpu][page];
    if (!kept->valid || explore_choose(2) == 0)
        *kept = look(cpu, address);
    if (!kept->valid)
        return false;
    machine_check_frame(kept->leaf, kept->owner);
    bool allowed = !write || (kept->leaf & PROT_WRITE);
    if (allowed)
        use(kept->leaf, cpu, write);
    return allowed;
}

bool machine_access(uint64_t address, bool write)
{
    unsigned cpu = self();
    if (!host_tlb_broadcasts)
        return try_access(cpu, address, write);
    explore_lock(&broadcast);
    if (loaded[cpu].flushes != all_flushes)
        forget(cpu);
    loaded[cpu].flushes = all_flushes;
    bool done = try_access(cpu, address, write);
    explore_unlock(&broadcast);
    return done;
}

uint32_t arch_asid_limit(void)
{
    return host_tlb_broadcasts ? 15 : 0;
}
