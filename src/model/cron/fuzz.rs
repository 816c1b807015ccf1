//! Damaged schedules: none panics or goes on for ever, and what is taken is due later each time, and says the same when it is written and read.

use jiff::SignedDuration;
use proptest::prelude::*;

use super::*;
use crate::model::campaign::{damaged, explore};

/// Cases that CI runs.
const CASES: u64 = 2_000;

const SAMPLES: &[&str] = &[
    "",
    "* * * * *",
    "*/7 1,2 31 12 *",
    "0 9-17/2 1-7 JAN-JUN MON-FRI",
    "59 23 29 2 0",
    "every 5 minutes",
    "every 2 hours from 10:00 to 14:00",
    "every 30 minutes synchronized",
    "1st,third monday of sep,oct 17:00",
    "every monday 09:00",
    "2nd,5 of jan,feb,mar 00:30",
];
const WORDS: &[&str] = &[
    "*",
    "/",
    "-",
    ",",
    " ",
    "0",
    "1",
    "5",
    "29",
    "31",
    "59",
    "60",
    "99",
    "4294967296",
    "MON",
    "sun",
    "feb",
    "every",
    "first",
    "1st",
    "of",
    "month",
    "minutes",
    "hours",
    "day",
    "from",
    "to",
    "09:00",
    "24:00",
    "10:00",
    "synchronized",
    "quarter",
    "\t",
    "L",
    "W",
    "#",
    "?",
    "@daily",
    "é",
];
const ZONES: [&str; 5] = ["UTC", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "America/St_Johns"];

#[test]
fn damaged_schedules_are_refused_in_words_or_come_due_in_order() {
    let zones = prop::sample::select(&ZONES[..]);
    explore(CASES, &(damaged(SAMPLES, WORDS), zones, 0..4_000_000_000_i64), |(text, zone, second)| {
        let after = Timestamp::from_second(second).expect("within the calendar");
        let zone = TimeZone::get(zone).expect("a known zone");
        match text.parse::<Schedule>() {
            Ok(schedule) => {
                let dues = schedule.next_n(after, &zone, 3);
                let order = std::iter::once(after).chain(dues.iter().copied()).collect::<Vec<_>>();
                assert!(order.is_sorted_by(|one, next| next.duration_since(*one) >= SignedDuration::from_secs(1)), "{text}: {order:?}");
                assert!(!schedule.in_words().is_empty());
                let again: Schedule = schedule.to_string().parse().expect("what is written can be read");
                assert_eq!(again.next_n(after, &zone, 3), dues, "{text}");
            }
            Err(error) => assert!(error.to_string().len() > 10, "{error}"),
        }
    });
}
