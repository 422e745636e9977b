// SPDX-License-Identifier: MIT
//
// One system call in progress: who calls, the arguments captured from the registers at entry,
// and the results that go back. Handlers are declared in the generated handlers.h.
#pragma once

#include "object.h"

struct process;

struct entry {
    struct thread *thread;
    struct process *process;
    uint64_t arg[6];
    uint64_t result[4];
};

// A handle argument, resolved: the object was alive when it was looked up. Before its state is
// touched it is locked with object_lock, which fails (GONE) if it died meanwhile.
struct handle_lookup {
    struct object *object; // nullptr: an optional handle that was not given
    uint64_t generation;
    uint64_t handle; // the value
    uint32_t rights;
    enum abi_object type;
};

static inline struct object_ref lookup_ref(const struct handle_lookup *lookup)
{
    return (struct object_ref){lookup->object, lookup->generation};
}

[[nodiscard]] status_t handle_lookup(struct entry *entry, uint64_t handle, enum abi_object type,
                                     uint32_t rights, struct handle_lookup *out);
[[nodiscard]] status_t handle_lookup_optional(struct entry *entry, uint64_t handle,
                                              enum abi_object type, uint32_t rights,
                                              struct handle_lookup *out);
