// SPDX-License-Identifier: MIT
//
// Zeroed memory from the real machine, in whole pages; ends the program when there is none.
#pragma once

#include <stddef.h>

void *pages_new(size_t bytes);
void *pages_new_shared(size_t bytes); // with the processes that this one starts
void pages_delete(void *pages, size_t bytes);
