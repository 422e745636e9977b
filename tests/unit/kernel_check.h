// SPDX-License-Identifier: MIT
//
// What the parts of the whole-system checker share.
#pragma once

#include "object.h"

// Visits every object of a type (OBJECT_NONE: of all) whose slot is not free.
void for_each_object(enum abi_object type, void (*visit)(struct object *object));

void check_memory(void);
