// SPDX-License-Identifier: MIT
//
// The devices that this machine has; set once by its platform, before kernel_main.
#include <hal/hal.h>

#include <arch/arch.h>

struct hal hal;

void *hal_own(paddr_t registers, size_t bytes)
{
    if (hal.owned_count == HAL_OWNED_MAX)
        return nullptr;
    hal.owned[hal.owned_count++] = (struct hal_range){align_down(registers.value, PAGE_SIZE),
                                                      align_up(registers.value + bytes, PAGE_SIZE)};
    return arch_device_map(registers, bytes, ARCH_MEMORY_DEVICE);
}
