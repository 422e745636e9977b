// SPDX-License-Identifier: MIT
//
// build: user/sdk/calendar.c
//
// Dates and seconds, against the C library's own.
#include <sdk/calendar.h>
#include <time.h>

#include "test.h"

constexpr uint64_t DAY = 86400, LAST = 13'569'465'599; // 2399-12-31 23:59:59

TEST(each_day_of_430_years)
{
    for (uint64_t at = 0; at <= LAST; at += DAY - 1 + at % 3) {
        struct calendar date;
        time_t seconds = (time_t)at;
        struct tm *right = gmtime(&seconds);
        EXPECT(calendar_date(at, &date));
        EXPECT(date.year == (uint32_t)right->tm_year + 1900);
        EXPECT(date.month == (uint32_t)right->tm_mon + 1);
        EXPECT(date.day == (uint32_t)right->tm_mday);
        EXPECT(date.hour == (uint32_t)right->tm_hour);
        EXPECT(date.minute == (uint32_t)right->tm_min);
        EXPECT(date.second == (uint32_t)right->tm_sec);
        uint64_t back;
        EXPECT(calendar_seconds(&date, &back));
        EXPECT(back == at);
    }
}

TEST(what_is_no_date)
{
    static const struct calendar wrong[] = {
        {1969, 12, 31, 0, 0, 0}, {2400, 1, 1, 0, 0, 0},  {2026, 0, 1, 0, 0, 0},
        {2026, 13, 1, 0, 0, 0},  {2026, 1, 0, 0, 0, 0},  {2026, 4, 31, 0, 0, 0},
        {2026, 2, 29, 0, 0, 0},  {2100, 2, 29, 0, 0, 0}, {2026, 1, 1, 24, 0, 0},
        {2026, 1, 1, 0, 60, 0},  {2026, 1, 1, 0, 0, 60},
    };
    uint64_t seconds;
    struct calendar date;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        EXPECT(!calendar_seconds(&wrong[i], &seconds));
    EXPECT(calendar_date(LAST, &date) && !calendar_date(LAST + 1, &date));
    EXPECT(!calendar_date(UINT64_MAX, &date));
    EXPECT(calendar_seconds(&(struct calendar){2000, 2, 29, 12, 0, 0}, &seconds));
    EXPECT(seconds == 951'825'600);
}
