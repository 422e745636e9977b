// SPDX-License-Identifier: MIT
//
// A trace that one can read: each operation as it is made. Code addresses are written as {0x...};
// run.py turns them into names and lines.
#include <stdio.h>

#include "engine.h"

static const char *const kinds[] = {
    [OP_LOAD] = "load",     [OP_STORE] = "store",   [OP_RMW] = "change",
    [OP_CAS] = "compare",   [OP_FENCE] = "fence",   [OP_LOCK] = "lock",
    [OP_UNLOCK] = "unlock", [OP_CHOOSE] = "choose", [OP_WAIT] = "wait",
};

static const char *const orders[] = {
    [__ATOMIC_RELAXED] = "relaxed", [__ATOMIC_CONSUME] = "consume", [__ATOMIC_ACQUIRE] = "acquire",
    [__ATOMIC_RELEASE] = "release", [__ATOMIC_ACQ_REL] = "acq_rel", [__ATOMIC_SEQ_CST] = "seq_cst",
};

void trace_event(unsigned thread, const struct operation *op, const char *detail)
{
    if (op->kind == OP_NONE)
        return;
    printf("%4u %-8s %-8s", search_event_count(), threads[thread].name, kinds[op->kind]);
    if (op->address)
        printf(" %#lx", (unsigned long)op->address);
    if (op->kind == OP_STORE || op->kind == OP_RMW || op->kind == OP_CAS)
        printf(" value %#lx", (unsigned long)op->value);
    if (op->kind != OP_CHOOSE && op->kind != OP_LOCK && op->kind != OP_UNLOCK)
        printf(" %s", orders[op->order]);
    if (op->pc)
        printf(" at {%#lx}", (unsigned long)op->pc);
    printf("%s\n", detail ? detail : "");
}
