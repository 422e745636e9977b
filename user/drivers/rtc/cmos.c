// SPDX-License-Identifier: MIT
//
// The clock of a PC (Motorola MC146818A data sheet): a date in single registers behind an index
// register, which the chip changes once a second. It counts years of a century: those from 70 on are
// taken for the last one's. It is taken to run on UTC.
#include <sdk/sdk.h>

#include <proto/clock.h>
#include <sdk/calendar.h>

#include "rtc.h"

constexpr uint64_t INDEX = 0, DATA = 1;
enum : uint8_t { SECOND = 0, MINUTE = 2, HOUR = 4, DAY = 7, MONTH = 8, YEAR = 9 };
enum : uint8_t { STATUS_A = 10, STATUS_B = 11, STATUS_D = 13 };
constexpr uint8_t A_UPDATING = 0x80, B_24_HOURS = 2, B_BINARY = 4, D_VALID = 0x80;
constexpr uint8_t HOUR_PM = 0x80;
constexpr unsigned TRIES = 1000; // an update takes 2 ms, and comes once a second

static uint8_t get(const struct device *device, uint8_t index)
{
    uint64_t value = 0xff;
    if (io_write(device->io, INDEX, 1, index) == STATUS_OK)
        (void)io_read(device->io, DATA, 1, &value);
    return (uint8_t)value;
}

static bool is_updating(const struct device *device)
{
    return (get(device, STATUS_A) & A_UPDATING) != 0;
}

static void get_all(const struct device *device, uint8_t raw[6])
{
    static const uint8_t registers[] = {SECOND, MINUTE, HOUR, DAY, MONTH, YEAR};
    for (unsigned i = 0; i < ARRAY_SIZE(registers); i++)
        raw[i] = get(device, registers[i]);
}

// Two readings that are equal, with no update between them, are of one moment.
static bool get_steady(const struct device *device, uint8_t raw[6])
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint8_t again[6];
        if (is_updating(device))
            continue;
        get_all(device, raw);
        get_all(device, again);
        if (!is_updating(device) && memcmp(raw, again, sizeof(again)) == 0)
            return true;
    }
    return false;
}

// A digit above nine makes a number that no calendar has.
static uint32_t number(uint8_t raw, uint8_t status)
{
    if ((status & B_BINARY) != 0)
        return raw;
    return (raw & 0xf) > 9 || raw >> 4 > 9 ? 255 : (raw >> 4) * 10u + (raw & 0xf);
}

static uint32_t hour(uint8_t raw, uint8_t status)
{
    if ((status & B_24_HOURS) != 0)
        return number(raw, status);
    uint32_t value = number(raw & (uint8_t)~HOUR_PM, status);
    if (value < 1 || value > 12)
        return 255;
    return value % 12 + ((raw & HOUR_PM) != 0 ? 12 : 0);
}

static status_t read(const struct device *device, uint64_t *seconds)
{
    uint8_t raw[6];
    if ((get(device, STATUS_D) & D_VALID) == 0 || !get_steady(device, raw))
        return CLOCK_NOT_SET;
    uint8_t status = get(device, STATUS_B);
    uint32_t year = number(raw[5], status);
    const struct calendar date = {
        .year = year + (year < 70 ? 2000 : 1900),
        .month = number(raw[4], status),
        .day = number(raw[3], status),
        .hour = hour(raw[2], status),
        .minute = number(raw[1], status),
        .second = number(raw[0], status),
    };
    return year < 100 && calendar_seconds(&date, seconds) ? STATUS_OK : CLOCK_NOT_SET;
}

const struct rtc_chip rtc_cmos = {
    .compatible = "motorola,mc146818", .by_ports = true, .read = read};
