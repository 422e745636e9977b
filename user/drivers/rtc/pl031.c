// SPDX-License-Identifier: MIT
//
// ARM PrimeCell real-time clock (PL031 technical reference manual, DDI 0224, 3.3.1): a counter of
// seconds, which whoever set it has made those since 1970.
#include "rtc.h"

constexpr uint64_t DATA = 0;

static status_t read(const struct device *device, uint64_t *seconds)
{
    *seconds =
        *(const volatile uint32_t *)(const volatile void *)(device->windows[0].registers + DATA);
    return STATUS_OK;
}

const struct rtc_chip rtc_pl031 = {.compatible = "arm,pl031", .read = read};
