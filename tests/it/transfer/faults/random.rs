//! All faults at once, at random: the seed is printed, and replays with the command that is printed with it.

use std::fmt::Write as _;

use super::*;
use crate::transfer::campaign;

/// Schedules in CI.
const SCHEDULES: u64 = 3;
/// Messages of a schedule.
const MESSAGES: u64 = 400;
/// After so many runs the faults end, so that the transfer does.
const FAULTY_RUNS: u32 = 4;

#[tokio::test]
async fn faults_in_random_mixtures() {
    let mut figures = campaign::Figures::default();
    for seed in campaign::seeds(SCHEDULES) {
        figures.add(&mixture(seed).await);
    }
    campaign::say(&format!("faults in random mixtures: {figures}"));
}

async fn mixture(seed: u64) -> campaign::Figures {
    campaign::say(&format!("replay: REDRIVE_TEST_SEED={seed} cargo test --test it faults_in_random_mixtures"));
    let mut dice = campaign::Dice(seed);
    let mut scene = Scene::of("strict", 0).await;
    scene.give_up((0..MESSAGES).map(|n| vec![u8::try_from(n % 251).unwrap(); dice.below(3000)])).await;
    let proxy = Proxy::before(&scene.world).await;
    let ops = proxy.ops(&scene.world);
    let window = 20 + u32::try_from(dice.below(300)).unwrap();
    let rate_max = Some(100 + u32::try_from(dice.below(400)).unwrap());
    let mut story = String::new();
    let id = start(&ops, Request { window, rate_max, ..scene.request() }).await;
    for run in 0..20 {
        if run < FAULTY_RUNS {
            let faults = faults(&mut dice);
            let _ = write!(story, "{faults:?} ");
            for fault in faults {
                scene.inject(fault);
            }
        }
        let mut jumps = dice.clone();
        let done = tokio::select! {
            done = follow(&ops, &id, is_over) => done,
            () = disturb(&scene, &proxy, &mut jumps), if run < FAULTY_RUNS => unreachable!("it never ends"),
        };
        dice.roll();
        scene.world.emulator.clear_faults();
        if done.state == State::Done {
            assert_eq!(done.counts.moved, MESSAGES, "seed {seed}: {story}{done:?}");
            let duplicates = scene.moved(&done).await;
            return campaign::Figures { messages: MESSAGES, crashes: 0, duplicates, duplicates_max: done.duplicates_max };
        }
        ops.resume_transfer(&id).await.unwrap();
    }
    panic!("seed {seed}: no end after 20 runs: {story}");
}

/// Cuts connections, and moves the clock of the service so that leases end.
async fn disturb(scene: &Scene, proxy: &Proxy, dice: &mut campaign::Dice) {
    loop {
        tokio::time::sleep(Duration::from_millis(50 + dice.roll() % 600)).await;
        match dice.below(3) {
            0 => proxy.cut(),
            1 => scene.world.emulator.advance(Duration::from_secs(dice.roll() % 20)).await.unwrap(),
            _ => {}
        }
    }
}

fn faults(dice: &mut campaign::Dice) -> Vec<Fault> {
    const CODES: [&str; 6] = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "CANCELLED", "UNAUTHENTICATED", "INTERNAL"];
    let mut faults = Vec::new();
    for method in ["Publish", "Pull", "Acknowledge", "ModifyAckDeadline"] {
        let code = CODES[dice.below(CODES.len())];
        let fault = match dice.below(4) {
            0 => Fault::status(method, code),
            1 => Fault::drop_after_commit(method).code(code),
            2 => Fault::delay(method, Duration::from_millis(dice.roll() % 400)),
            _ => continue,
        };
        faults.push(fault.probability(0.15, dice.roll()).times(20));
    }
    faults
}
