// SPDX-License-Identifier: MIT

#include <sdk/calendar.h>

static bool is_leap(uint32_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static uint32_t days_in(uint32_t year, uint32_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return days[month - 1] + (month == 2 && is_leap(year));
}

bool calendar_seconds(const struct calendar *date, uint64_t *seconds)
{
    if (date->year < 1970 || date->year > 2399 || date->month < 1 || date->month > 12 ||
        date->day < 1 || date->day > days_in(date->year, date->month) || date->hour > 23 ||
        date->minute > 59 || date->second > 59)
        return false;
    uint64_t days = date->day - 1;
    for (uint32_t year = 1970; year < date->year; year++)
        days += 365 + is_leap(year);
    for (uint32_t month = 1; month < date->month; month++)
        days += days_in(date->year, month);
    *seconds = ((days * 24 + date->hour) * 60 + date->minute) * 60 + date->second;
    return true;
}

bool calendar_date(uint64_t seconds, struct calendar *date)
{
    uint64_t days = seconds / 86400, of_day = seconds % 86400;
    uint32_t year = 1970, month = 1;
    for (; year <= 2399 && days >= 365u + is_leap(year); year++)
        days -= 365u + is_leap(year);
    if (year > 2399)
        return false;
    for (; days >= days_in(year, month); month++)
        days -= days_in(year, month);
    *date = (struct calendar){.year = year,
                              .month = month,
                              .day = (uint32_t)days + 1,
                              .hour = (uint32_t)(of_day / 3600),
                              .minute = (uint32_t)(of_day / 60 % 60),
                              .second = (uint32_t)(of_day % 60)};
    return true;
}
