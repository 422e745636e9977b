// SPDX-License-Identifier: MIT
//
// Snapshots by copy (memory.c), and how a failure ends the search. Apart from worlds.h, since
// <sys/mman.h> has names that are also the ABI's.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct saved_memory;

void memory_begin(void); // from now on everything is put back by memory_restore
struct saved_memory *memory_save(void);
void memory_restore(const struct saved_memory *saved); // nullptr: as it was at the beginning
void memory_forget(struct saved_memory *saved);

// Prints what went wrong and the way to it; ends the process.
[[noreturn, gnu::format(printf, 2, 3)]] void search_fail(const char *kind, const char *format, ...);
