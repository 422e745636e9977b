// SPDX-License-Identifier: MIT
//
// The snapshot of a simulated world (kernel_pages.c), taken when nothing runs and put back before
// each input.
#pragma once

void world_save(void); // once
void world_restore(void);

// Whether all of RAM is as it was in the snapshot: what world_restore leaves alone, too.
bool world_is_restored(void);
