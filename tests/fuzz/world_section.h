// SPDX-License-Identifier: MIT
//
// Included before every file that the simulated world is made of: its variables stand in sections
// of their own, which world.c puts back as they were.
#pragma clang section bss = "world_bss" data = "world_data"
