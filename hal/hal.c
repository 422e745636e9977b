// SPDX-License-Identifier: MIT
//
// The devices that this machine has; set once by its platform, before kernel_main.
#include <hal/hal.h>

struct hal hal;
