//! Random cases by the thousand, each from a seed of its own: what tests of properties and fuzz targets run on, on stable Rust.
//!
//! The seeds are the numbers from 0 on, so that a run of the tests never differs from the one before. `REDRIVE_CAMPAIGN=100` runs a hundred times
//! as many cases; what fails says the command that replays it.

use std::fmt::Debug;
use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::char::any as any_char;
use proptest::collection::vec;
use proptest::prelude::any;
use proptest::prop_oneof;
use proptest::sample::select;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

/// Multiplies the number of cases.
const FACTOR: &str = "REDRIVE_CAMPAIGN";
/// Attempts at making a failing value smaller.
const SHRINKS_MAX: u32 = 20_000;
/// Edits of one text at most.
const EDITS_MAX: usize = 12;
/// Characters that one edit takes out at most.
const CUT_MAX: usize = 8;
/// Runs this case only.
const SEED: &str = "REDRIVE_SEED";

/// Checks `cases` random values, or as many more as the environment asks for; what fails is made as small as it can be before it is shown.
#[track_caller]
pub(crate) fn explore<S: Strategy>(cases: u64, strategy: &S, check: impl Fn(S::Value)) {
    let seeds = match number(SEED) {
        Some(seed) => seed..seed + 1,
        None => 0..cases * number(FACTOR).unwrap_or(1),
    };
    for seed in seeds {
        let result = runner(seed).run(strategy, |value| {
            check(value);
            Ok(())
        });
        match result {
            Ok(()) => {}
            Err(TestError::Fail(why, value)) => panic!("{why}\n{value:#?}\nreplay: {}", replay(seed)),
            Err(TestError::Abort(why)) => panic!("no value could be made: {why}"),
        }
    }
}

/// Returns the first seed of `cases` whose value fails the check, without making it any smaller: for tests that want a failure.
pub(crate) fn first_failure<S: Strategy>(cases: u64, strategy: &S, check: impl Fn(S::Value)) -> Option<u64>
where
    S::Value: Debug,
{
    (0..cases).find(|&seed| {
        let value = strategy.new_tree(&mut runner(seed)).expect("the strategy refuses no value").current();
        catch_unwind(AssertUnwindSafe(|| check(value))).is_err()
    })
}

/// Texts that almost mean something: one of `samples` with pieces cut out and words, or any characters, put in.
pub(crate) fn damaged(samples: &'static [&'static str], words: &'static [&'static str]) -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => select(words).prop_map(str::to_owned),
        1 => "\\PC{0,3}",
        1 => any_char().prop_map(String::from),
    ];
    let edits = vec((any::<usize>(), 0..=CUT_MAX, piece), 0..=EDITS_MAX);
    (select(samples), edits).prop_map(|(sample, edits)| {
        let mut chars: Vec<char> = sample.chars().collect();
        for (at, cut, piece) in edits {
            let start = at % (chars.len() + 1);
            let end = (start + cut).min(chars.len());
            chars.splice(start..end, piece.chars());
        }
        chars.into_iter().collect()
    })
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, max_shrink_iters: SHRINKS_MAX, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn replay(seed: u64) -> String {
    // The harness names the thread of a test after it.
    let thread = std::thread::current();
    format!("{SEED}={seed} cargo test --lib {}", thread.name().unwrap_or_default())
}

fn number(variable: &str) -> Option<u64> {
    let value = std::env::var(variable).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{variable} is a number, not `{value}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_made_small_and_says_how_to_replay_it() {
        let result = catch_unwind(|| explore(100, &proptest::collection::vec(0..1000_u32, 0..50), |numbers| assert!(numbers.len() < 3)));
        let text = result.expect_err("lists of three are soon found").downcast::<String>().unwrap();
        assert!(text.contains("0,\n    0,\n    0,\n]"), "{text}");
        assert!(text.contains("cargo test --lib model::campaign::tests::a_failure_is_made_small"), "{text}");
    }

    #[test]
    fn a_seed_is_a_case() {
        let strategy = proptest::num::u64::ANY;
        let value = |seed| strategy.new_tree(&mut runner(seed)).unwrap().current();
        assert_eq!(value(7), value(7));
        assert_ne!(value(7), value(8));
        let wanted = value(11);
        assert_eq!(first_failure(100, &strategy, |value| assert!(value != wanted)), Some(11));
    }
}
