// SPDX-License-Identifier: MIT
//
// See fault.h.

#include "fault.h"

#include <lib/string.h>

static const char *const names[FAULT_POINTS] = {
    [FAULT_NONE] = "",
    [FAULT_START_RESET] = "start-reset",
    [FAULT_START_FEATURES] = "start-features",
    [FAULT_START_QUEUE] = "start-queue",
    [FAULT_START_RUN] = "start-run",
    [FAULT_ATTACH_MAP] = "attach-map",
    [FAULT_ATTACH_PIN] = "attach-pin",
    [FAULT_SUBMIT_TAKE] = "submit-take",
    [FAULT_SUBMIT_ADD] = "submit-add",
    [FAULT_SUBMIT_PUBLISH] = "submit-publish",
    [FAULT_SUBMIT_NOTIFY] = "submit-notify",
    [FAULT_COMPLETE_INTERRUPT] = "complete-interrupt",
    [FAULT_COMPLETE_TAKE] = "complete-take",
    [FAULT_COMPLETE_PUSH] = "complete-push",
    [FAULT_COMPLETE_DOORBELL] = "complete-doorbell",
    [FAULT_COMPLETE_ACKNOWLEDGE] = "complete-acknowledge",
};

static enum fault_point armed;
static uint64_t passes_left;

[[noreturn]] static void crash_now(void)
{
    *(volatile uint32_t *)(uintptr_t)8 = 0; // nothing is ever mapped there
    __builtin_trap();
}

void fault_here(enum fault_point point)
{
    if (armed == point && point != FAULT_NONE && passes_left-- == 0)
        crash_now();
}

static enum fault_point find(const char *name)
{
    for (uint32_t i = FAULT_NONE + 1; i < FAULT_POINTS; i++)
        if (strcmp(names[i], name) == 0)
            return (enum fault_point)i;
    return FAULT_NONE;
}

bool fault_arm(const char *name, uint64_t after, struct driver_report *report)
{
    enum fault_point point = find(name);
    if (point == FAULT_NONE)
        return false;
    if (point <= FAULT_LAST_OF_START) {
        if (report == nullptr)
            return false;
        (void)text_copy(report->next_fault, sizeof(report->next_fault), name);
        crash_now();
    }
    armed = point;
    passes_left = after;
    return true;
}

void fault_arm_start(const char *name)
{
    armed = find(name);
    passes_left = 0;
}
