// SPDX-License-Identifier: MIT
//
// Contiguous memory on a machine: 4 MiB of it, adjacent as a device sees it and zeroed, mapped by large
// pages; what is left when all is over must be what there was.
#include <kit/kit.h>

const char *const program_name = "memory";

constexpr uint64_t BYTES = 4u << 20, PAGES = BYTES / PAGE_SIZE;
constexpr uint64_t AT = 0x4000'0000;
constexpr uint64_t RW = PROT_READ | PROT_WRITE;
constexpr uint64_t DEVICE = 3;

static account_t account;

// What was closed comes back in the background.
static vmo_t new_vmo(void)
{
    vmo_t vmo;
    status_t status;
    while ((status = vmo_create(account, BYTES, VMO_CONTIGUOUS, &vmo)) == STATUS_NO_PAGES)
        must(thread_yield(), "thread_yield");
    must(status, "vmo_create");
    return vmo;
}

static uint64_t word_of(uint64_t page)
{
    return *(volatile uint64_t *)(AT + page * PAGE_SIZE);
}

// Zeroed whole; then each page says which it is.
static void touch(void)
{
    for (const volatile uint64_t *word = (void *)AT; word < (uint64_t *)(AT + BYTES); word++)
        if (*word != 0) {
            failed("%p is not zeroed", (const volatile void *)word);
            break;
        }
    for (uint64_t page = 0; page < PAGES; page++)
        *(volatile uint64_t *)(AT + page * PAGE_SIZE) = page + 1;
    for (uint64_t page = 0; page < PAGES; page++)
        if (word_of(page) != page + 1)
            failed("page %lu says %lu", page, word_of(page));
}

// As a device sees it. Returns where it begins.
static uint64_t expect_adjacent(vmo_t vmo, dmaspace_t space)
{
    const uint64_t *addresses = (const void *)message_buffer()->data;
    uint64_t count, base = 0;
    for (uint64_t page = 0; page < PAGES; page += ABI_PIN_MAX_PAGES) {
        pin_t pin;
        must(pin_create(space, account, vmo, page * PAGE_SIZE, ABI_PIN_MAX_PAGES * PAGE_SIZE,
                        DMA_BOTH, &pin),
             "pin_create");
        must(pin_addresses(pin, 0, &count), "pin_addresses");
        base = page == 0 ? addresses[0] : base;
        for (uint64_t i = 0; i < count; i++)
            if (addresses[i] != base + (page + i) * PAGE_SIZE)
                failed("page %lu is at %lx, the first at %lx", page + i, addresses[i], base);
        must(pin_release(pin), "pin_release");
        must(handle_close((handle_t){pin.value}), "handle_close");
    }
    if (base % BYTES != 0)
        failed("4 MiB begin at %lx", base);
    return base;
}

static void expect_large(uint64_t count)
{
    struct abi_inspect found;
    inspect(start.aspace.value, &found);
    if (found.aspace.large_pages != count)
        failed("%lu large pages, not %lu", found.aspace.large_pages, count);
}

static uint64_t code(uint64_t value)
{
    return value + 1;
}

// Code at the end of a large page, written through another view, then made executable; and on pages
// that are 4 KiB, since the VMO begins at an odd page of the address space.
static void run_code(vmo_t vmo)
{
    constexpr uint64_t VIEW = 0x8000'0000, BYTES_OF_CODE = 64;
    static const uint64_t offsets[] = {0, PAGE_SIZE};
    for (unsigned i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        uint64_t at = VIEW + offsets[i], end = at + BYTES - PAGE_SIZE;
        must(vm_map(start.aspace, vmo, 0, at, BYTES, RW), "vm_map");
        expect_large(i == 0 ? 2 : 0);
        memcpy((void *)end, (const void *)(uintptr_t)code, BYTES_OF_CODE);
        must(vm_protect(start.aspace, at, PROT_READ | PROT_EXECUTE), "vm_protect");
        uint64_t got = ((uint64_t (*)(uint64_t))end)(41);
        if (got != 42)
            failed("the code answers %lu", got);
        must(vm_unmap(start.aspace, at), "vm_unmap");
    }
}

static void contiguous(void)
{
    must(account_create(start.account, 2000, 40, PAGES, 0, 0, &account), "account_create");
    dmaspace_t space;
    must(machine_dma_space(start.machine, account, DEVICE, &space), "machine_dma_space");
    uint64_t before = 0;
    for (unsigned round = 0; round < 2; round++) { // the second time it is not new
        vmo_t vmo = new_vmo(), none;
        status_t status = vmo_create(account, PAGE_SIZE, VMO_CONTIGUOUS, &none);
        if (status != STATUS_NO_PAGES)
            failed("one page more: %s", abi_status_names[status]);
        must(vm_map(start.aspace, vmo, 0, AT, BYTES, RW), "vm_map");
        expect_large(2);
        touch();
        uint64_t base = expect_adjacent(vmo, space);
        if (round == 1 && base != before)
            failed("4 MiB at %lx, then at %lx", before, base);
        before = base;
        must(vm_protect(start.aspace, AT, PROT_READ), "vm_protect");
        if (word_of(PAGES - 1) != PAGES)
            failed("the last page says %lu", word_of(PAGES - 1));
        must(vm_unmap(start.aspace, AT), "vm_unmap");
        expect_large(0);
        run_code(vmo);
        must(handle_close((handle_t){vmo.value}), "handle_close");
    }
    uint32_t signals;
    must(object_destroy((handle_t){account.value}), "object_destroy");
    must(object_wait((handle_t){account.value}, SIGNAL_TERMINATED, ABI_DEADLINE_NEVER, &signals),
         "object_wait");
    must(handle_close((handle_t){account.value}), "handle_close");
    must(handle_close((handle_t){space.value}), "handle_close");
    say("ok contiguous");
}

// Once what has no handle any more is gone in the background.
static void take_at_rest(struct figures *figures)
{
    must(thread_sleep(now_ns() + 20 * NS_PER_MS), "thread_sleep");
    figures_take(figures);
}

void child_main(void)
{
}

void root_main(void)
{
    struct abi_inspect found;
    inspect(start.account.value, &found);
    say("pool %lu", found.account.contiguous_limit);
    contiguous(); // what the first time leaves behind: page tables
    struct figures before, after;
    take_at_rest(&before);
    contiguous();
    take_at_rest(&after);
    if (!figures_equal(&before, &after)) {
        failed("not everything is back");
        figures_say("before", &before);
        figures_say("after", &after);
    }
}
