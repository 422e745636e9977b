// SPDX-License-Identifier: MIT
//
// Memory from the real machine. Apart, since <sys/mman.h> has names that are also the ABI's.
#include "pages.h"

#include <stdlib.h>
#include <sys/mman.h>

static void *map(size_t bytes, int flags)
{
    void *pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED)
        abort();
    return pages;
}

void *pages_new(size_t bytes)
{
    return map(bytes, MAP_PRIVATE | MAP_NORESERVE);
}

void *pages_new_shared(size_t bytes)
{
    return map(bytes, MAP_SHARED);
}

void pages_delete(void *pages, size_t bytes)
{
    munmap(pages, bytes);
}
