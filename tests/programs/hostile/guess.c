// SPDX-License-Identifier: MIT
//
// Handles that were never given: each slot with generations 0 to 16, and each live handle with
// each of its bits flipped. Only the values that are live may be taken for handles.
#include "hostile.h"

constexpr uint32_t LIVE_MAX = 64;
constexpr uint32_t SLOTS = 2048 + 64; // a table's maximum, and beyond
constexpr uint32_t GENERATIONS = 17;

static uint64_t live[LIVE_MAX];
static uint32_t live_count;
static uint64_t tried;

static void note(uint64_t handle)
{
    live[live_count++] = handle;
}

static bool is_live(uint64_t handle)
{
    for (uint32_t i = 0; i < live_count; i++)
        if (live[i] == handle)
            return true;
    return false;
}

// Every live one here has INSPECT, so there are only two answers.
static void try_handle(uint64_t handle)
{
    uint64_t bytes;
    status_t status = object_inspect((handle_t){handle}, &bytes);
    tried++;
    if (status != (is_live(handle) ? STATUS_OK : STATUS_BAD_HANDLE))
        failed("guess: handle 0x%lx: %s", handle, status_name(status));
    if (!is_live(handle) && handle_close((handle_t){handle}) != STATUS_BAD_HANDLE)
        failed("guess: handle 0x%lx could be closed", handle);
}

// One of each kind that needs no device, some of them in reused slots.
static void make_objects(void)
{
    event_t event;
    for (unsigned i = 0; i < 40; i++) {
        must(event_create(start.account, &event), "event_create");
        handle_close((handle_t){event.value});
    }
    timer_t timer;
    port_t port;
    vmo_t vmo;
    channel_t end0, end1;
    account_t account;
    process_t process;
    aspace_t aspace;
    must(event_create(start.account, &event), "event_create");
    must(timer_create(start.account, &timer), "timer_create");
    must(port_create(start.account, &port), "port_create");
    must(vmo_create(start.account, PAGE_SIZE, 0, &vmo), "vmo_create");
    must(channel_create(start.account, start.account, ABI_CHANNEL_SHAPE(1, 8, 1, 1),
                        OVERFLOW_REJECT, &end0, &end1),
         "channel_create");
    must(account_create(start.account, 64, 16, 0, 0, 0, &account), "account_create");
    must(process_create(account, (channel_t){0}, 0, 0, &process, &aspace), "process_create");
    const uint64_t all[] = {
        event.value,         timer.value,
        port.value,          vmo.value,
        end0.value,          end1.value,
        account.value,       process.value,
        aspace.value,        start.account.value,
        start.process.value, start.aspace.value,
        start.log.value,     start.bootstrap.value,
    };
    for (uint32_t i = 0; i < ARRAY_SIZE(all); i++)
        note(all[i]);
}

void guess_child(void)
{
    make_objects();
    for (uint64_t slot = 0; slot < SLOTS; slot++)
        for (uint64_t generation = 0; generation < GENERATIONS; generation++)
            try_handle(generation << 32 | slot);
    for (uint32_t i = 0; i < live_count; i++)
        for (unsigned bit = 0; bit < 64; bit++)
            try_handle(live[i] ^ 1ull << bit);
    for (uint32_t i = 0; i < live_count; i++)
        try_handle(live[i]);
    if (failures == 0)
        say("ok guess: %lu handles tried, %u live ones, no other was one", tried, live_count);
}
