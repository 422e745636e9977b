// SPDX-License-Identifier: MIT

#include "storm.h"

#include <sdk/sdk.h>

#include "device.h"

constexpr uint64_t REPORT_NS = 1'000'000'000;

static struct source machine;
static uint64_t reported[DEVICES_MAX]; // storms of each device's interrupt
static bool told;                      // and not looked at yet
static uint64_t next_report_ns;

static void on_storm(struct source *source, const struct loop_event *event)
{
    (void)source, (void)event;
    told = true;
}

status_t storms_watch(struct loop *loop)
{
    machine.handle = on_storm;
    return loop_bind(loop, start.machine.value, &machine, SIGNAL_STORM);
}

static void report(uint32_t index)
{
    const struct driven *d = device_at(index);
    uint64_t bytes;
    if (d->interrupt.value == 0 ||
        object_inspect((handle_t){d->interrupt.value}, &bytes) != STATUS_OK)
        return;
    const struct abi_inspect *inspect = (const void *)message_buffer()->data;
    uint64_t storms = inspect->interrupt.storms;
    if (storms < reported[index]) // it has been minted anew
        reported[index] = 0;
    if (storms > reported[index])
        log_line(
            "%s: its interrupt, %s %lu, comes too often: put aside %lu times so far, %lu taken",
            d->service, inspect->interrupt.message != 0 ? "message" : "line",
            inspect->interrupt.line, storms, inspect->interrupt.count);
    reported[index] = storms;
}

uint64_t storms_poll(void)
{
    if (!told)
        return ABI_DEADLINE_NEVER;
    if (now_ns() < next_report_ns)
        return next_report_ns;
    told = false;
    next_report_ns = now_ns() + REPORT_NS;
    for (uint32_t i = 0; i < devices_count(); i++)
        report(i);
    return ABI_DEADLINE_NEVER;
}
