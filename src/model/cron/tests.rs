use proptest::prelude::*;

use super::*;

fn schedule(text: &str) -> Schedule {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// The next moments in local time, as `day hour:minute`.
#[track_caller]
fn check_next(text: &str, zone_name: &str, after: &str, expected: &[&str]) {
    let zone = zone(zone_name).unwrap();
    let found: Vec<String> = schedule(text)
        .next_n(at(after), &zone, expected.len())
        .iter()
        .map(|at| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M%:z").to_string())
        .collect();
    assert_eq!(found, expected, "{text} in {zone_name} after {after}");
}

#[test]
fn puts_unix_cron_in_words() {
    for (text, words) in [
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("*/7 * * * *", "at minutes 0, 7, 14, 21, 28, 35, 42, 49 and 56"),
        ("0 * * * *", "every hour"),
        ("15 * * * *", "every hour at minute 15"),
        ("0 */2 * * *", "every 2 hours"),
        ("5 */6 * * *", "every 6 hours at minute 5"),
        ("0 3 * * *", "every day at 03:00"),
        ("30 9,17 * * *", "every day at 09:30 and 17:30"),
        ("0 9-17 * * 1-5", "at minute 0 past hours 9–17, Monday to Friday"),
        ("*/10 9-17 * * *", "every 10 minutes past hours 9–17"),
        ("* 4 * * *", "every minute past hour 4"),
        ("0 9 * * mon", "every Monday at 09:00"),
        ("0 9 * * 0,6", "at 09:00, Saturday and Sunday"),
        ("0 9 * * fri-sun", "at 09:00, Friday to Sunday"),
        ("0 0 1 * *", "at 00:00, on day 1 of the month"),
        ("0 0 1,15 jan-mar,dec *", "at 00:00, on days 1 and 15 of the month, in January to March and December"),
        ("0 12 13 * 5", "at 12:00, on day 13 of the month or Friday"),
        ("0 3 * 6 *", "every day at 03:00, in June"),
    ] {
        assert_eq!(schedule(text).in_words(), words, "{text}");
        assert!(schedule(text).is_unix_cron());
    }
}

#[test]
fn puts_english_in_words() {
    for (text, words) in [
        ("every 5 minutes", "every 5 minutes"),
        ("every 1 hours", "every hour"),
        ("every 12 mins", "every 12 minutes"),
        ("Every 2 Hours from 10:00 to 14:00", "every 2 hours from 10:00 to 14:00"),
        ("every 8 hours synchronized", "every 8 hours from 00:00 to 23:59"),
        ("every day 03:00", "every day at 03:00"),
        ("every monday 9:00", "every Monday at 09:00"),
        ("every mon,wed , fri 09:00", "every Monday, Wednesday and Friday at 09:00"),
        ("1st monday of month 09:00", "on the 1st Monday of every month at 09:00"),
        ("2nd,third mon,wed,thu of march 17:00", "on the 2nd and 3rd Monday, Wednesday and Thursday of March at 17:00"),
        ("1 of jan,april,july,oct 00:00", "on the 1st of January, April, July and October at 00:00"),
        ("every day of sep 12:30", "every day of September at 12:30"),
        ("1,15 of month 10:00", "on the 1st and 15th of every month at 10:00"),
    ] {
        assert_eq!(schedule(text).in_words(), words, "{text}");
        assert!(!schedule(text).is_unix_cron());
    }
}

#[test]
fn refuses_what_cloud_scheduler_does_not_take() {
    for text in [
        "",
        "* * * *",
        "0 * * * * *",
        "61 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "* * L * *",
        "* * 15W * *",
        "* * * * 1#2",
        "* * * * 5L",
        "? * * * *",
        "@daily",
        "1-x * * * *",
        "5/10 * * * *",
        "*/0 * * * *",
        "30-10 * * * *",
        "+1 * * * *",
        "-1 * * * *",
        "1, * * * *",
        "* * * * +1",
        "0 0 30 2 *",
        "0 0 31 4,6,9,11 *",
        "999999999999 * * * *",
        "every",
        "every 0 minutes",
        "every 5",
        "every 5 years",
        "every monday",
        "every monday 24:00",
        "every monday 9:5",
        "6th monday of month 09:00",
        "1st foo of month 09:00",
        "every 5 minutes from 10:00",
        "30 of feb 09:00",
        "every 99999999999 minutes",
        "1st,,2nd monday of month 09:00",
        "\u{1b}[31m * * * *",
        "ⅷ * * * *",
        "1ſt of month 09:00",
    ] {
        let error = text.parse::<Schedule>().expect_err(text);
        assert!(error.is_invalid_input() && !error.to_string().contains('\u{1b}'), "{error}");
    }
    assert_eq!("0 61 * * *".parse::<Schedule>().unwrap_err().to_string(), "`61` is not an hour (0 to 23)");
}

#[test]
fn days_of_month_and_week_are_alternatives_unless_one_is_a_star() {
    let (friday_13, friday, monday_13) = ("2026-02-13 00:00+00:00", "2026-02-20 00:00+00:00", "2026-04-13 00:00+00:00");
    check_next("0 0 13 * fri", "UTC", "2026-02-12T00:00:00Z", &[friday_13, friday]);
    check_next("0 0 13 * *", "UTC", "2026-03-14T00:00:00Z", &[monday_13]);
    check_next("0 0 * * fri", "UTC", "2026-02-13T00:00:00Z", &[friday]);
    check_next("0 0 29 2 *", "UTC", "2026-02-12T00:00:00Z", &["2028-02-29 00:00+00:00", "2032-02-29 00:00+00:00"]);
    check_next("59 23 31 dec *", "UTC", "2026-12-31T23:59:00Z", &["2027-12-31 23:59+00:00"]);
}

#[test]
fn what_daylight_saving_skips_happens_after_the_gap() {
    // Berlin goes from 02:00 to 03:00 on 29 March 2026.
    let zone = "Europe/Berlin";
    check_next("30 2 * * *", zone, "2026-03-28T12:00:00Z", &["2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"]);
    check_next("every day 02:30", zone, "2026-03-28T12:00:00Z", &["2026-03-29 03:00+02:00", "2026-03-30 02:30+02:00"]);
    check_next("*/30 * * * *", zone, "2026-03-29T00:31:00Z", &["2026-03-29 03:00+02:00", "2026-03-29 03:30+02:00"]);
    check_next("0 * * * *", zone, "2026-03-29T00:00:00Z", &["2026-03-29 03:00+02:00", "2026-03-29 04:00+02:00"]);
    check_next(
        "every 30 minutes from 01:30 to 03:30",
        zone,
        "2026-03-29T00:00:00Z",
        &["2026-03-29 01:30+01:00", "2026-03-29 03:00+02:00", "2026-03-29 03:30+02:00", "2026-03-30 01:30+02:00"],
    );
}

#[test]
fn what_daylight_saving_repeats_happens_once_if_it_has_one_time_of_day() {
    // Berlin goes back from 03:00 to 02:00 on 25 October 2026.
    let zone = "Europe/Berlin";
    check_next("30 2 * * *", zone, "2026-10-24T12:00:00Z", &["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]);
    check_next("every day 02:30", zone, "2026-10-24T12:00:00Z", &["2026-10-25 02:30+02:00", "2026-10-26 02:30+01:00"]);
    check_next("30 * * * *", zone, "2026-10-25T00:00:00Z", &["2026-10-25 02:30+02:00", "2026-10-25 02:30+01:00", "2026-10-25 03:30+01:00"]);
}

#[test]
fn english_says_when() {
    check_next("every 5 minutes", "UTC", "2026-01-01T00:00:30Z", &["2026-01-01 00:05+00:00", "2026-01-01 00:10+00:00"]);
    check_next(
        "every 2 hours from 22:00 to 02:00",
        "UTC",
        "2026-01-01T00:00:00Z",
        &["2026-01-01 02:00+00:00", "2026-01-01 22:00+00:00", "2026-01-02 00:00+00:00"],
    );
    check_next(
        "every 9 hours synchronized",
        "UTC",
        "2026-01-01T00:00:00Z",
        &["2026-01-01 09:00+00:00", "2026-01-01 18:00+00:00", "2026-01-02 00:00+00:00"],
    );
    check_next("every tue 09:00", "America/New_York", "2026-01-01T00:00:00Z", &["2026-01-06 09:00-05:00", "2026-01-13 09:00-05:00"]);
    check_next("1st,3rd monday of month 09:00", "UTC", "2026-01-05T09:00:00Z", &["2026-01-19 09:00+00:00", "2026-02-02 09:00+00:00"]);
    check_next("5th thu of feb 09:00", "UTC", "2026-01-01T00:00:00Z", &["2052-02-29 09:00+00:00"]);
    check_next("31 of month 00:00", "UTC", "2026-01-31T00:00:00Z", &["2026-03-31 00:00+00:00", "2026-05-31 00:00+00:00"]);
}

#[test]
fn the_end_of_time_is_no_panic() {
    for text in ["* * * * *", "0 0 29 2 *", "every 5 minutes", "every 5 minutes synchronized", "every monday 09:00"] {
        assert_eq!(schedule(text).next_after(Timestamp::MAX, &TimeZone::UTC), None, "{text}");
        schedule(text).next_after(Timestamp::MIN, &TimeZone::UTC);
    }
}

const ZONES: [&str; 6] = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "Pacific/Apia"];

/// One field: a star, a step, a list or a range.
fn field(min: u8, max: u8) -> impl Strategy<Value = String> {
    prop_oneof![
        3 => Just("*".to_owned()),
        1 => (1..=max).prop_map(|step| format!("*/{step}")),
        2 => proptest::collection::vec(min..=max, 1..4).prop_map(|list| list.iter().map(u8::to_string).collect::<Vec<_>>().join(",")),
        1 => (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b))),
    ]
}

/// The values of a field, read in another way than the parser does.
fn matches(field: &str, value: i8) -> bool {
    field.split(',').any(|item| match item.split_once('/') {
        _ if item == "*" => true,
        Some((_, step)) => value.rem_euclid(step.parse().unwrap()) == 0,
        None => match item.split_once('-') {
            Some((a, b)) => (a.parse().unwrap()..=b.parse().unwrap()).contains(&value),
            None => item.parse() == Ok(value),
        },
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn next_is_after_and_matches_its_fields(minute in field(0, 59), hour in field(0, 23), day in field(1, 28), month in field(1, 12), weekday in field(0, 6), seconds in 1_700_000_000i64..1_900_000_000, zone_index in 0..ZONES.len()) {
        let text = format!("{minute} {hour} {day} {month} {weekday}");
        let (zone, after) = (zone(ZONES[zone_index]).unwrap(), Timestamp::from_second(seconds).unwrap());
        let next = schedule(&text).next_after(after, &zone).unwrap();
        prop_assert!(next > after, "{text}: {next} after {after}");
        let local = next.to_zoned(zone.clone());
        // What a gap displaced keeps its day, not its time.
        let before = next - jiff::SignedDuration::from_secs(1);
        let displaced = zone.to_offset(before) != zone.to_offset(next);
        prop_assert!(local.second() == 0);
        prop_assert!(displaced || (matches(&minute, local.minute()) && matches(&hour, local.hour())), "{text}: {local}");
        // `*/n` of days and months counts from 1.
        let stepped = |field: &str, value: i8| matches(field, if field.starts_with("*/") { value - 1 } else { value });
        prop_assert!(stepped(&month, local.month()), "{text}: {local}");
        let (by_date, by_week) = (stepped(&day, local.day()), matches(&weekday, local.weekday().to_sunday_zero_offset()));
        let due = match (day == "*", weekday == "*") {
            (false, false) => by_date || by_week,
            _ => by_date && by_week,
        };
        prop_assert!(due, "{text}: {local}");
    }

    #[test]
    fn nothing_between_is_due(minute in 0i8..60, hour in 0i8..24, seconds in 1_700_000_000i64..1_900_000_000) {
        let after = Timestamp::from_second(seconds).unwrap();
        let next = schedule(&format!("{minute} {hour} * * *")).next_after(after, &TimeZone::UTC).unwrap();
        prop_assert!(next.duration_since(after) <= jiff::SignedDuration::from_hours(24));
        prop_assert_eq!(next, schedule(&format!("every day {hour:02}:{minute:02}")).next_after(after, &TimeZone::UTC).unwrap());
    }

    #[test]
    fn no_text_panics(text in "\\PC{0,40}", word in "(every|1st|of|monday|5|minutes|from|10:00|to|month|,| |\\*|/|-){0,9}") {
        for text in [text, word] {
            if let Ok(schedule) = text.parse::<Schedule>() {
                schedule.in_words();
                schedule.next_after(Timestamp::UNIX_EPOCH, &TimeZone::UTC);
            }
        }
    }
}
