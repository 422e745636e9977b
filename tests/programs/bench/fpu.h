// SPDX-License-Identifier: MIT
#pragma once

// Makes the calling thread one that uses FP registers.
void fpu_use(void);
