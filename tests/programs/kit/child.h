// SPDX-License-Identifier: MIT
//
// Between the parts of the kit.
#pragma once

#include "kit.h"

enum child_role : uint8_t {
    CHILD_ACCOUNT,
    CHILD_PROCESS,
    CHILD_ASPACE,
    CHILD_LOG,
    CHILD_MACHINE,
    CHILD_TEXT,
    CHILD_EXTRA,
    CHILD_ROLES,
};
static_assert(CHILD_ROLES <= ABI_MESSAGE_HANDLES);

struct child_message {
    char name[16];
    uint64_t priority, text_base, text_bytes;
    uint64_t words[CHILD_WORDS];
    uint8_t roles[ABI_MESSAGE_HANDLES];
};

// Where programs come from, the running one among them.
void bundle_open(vmo_t vmo);
