//! The one timer: sleeps until the state's next due moment and lets time pass then. Without anything planned it does not run at all.

use std::time::Duration;

use super::Engine;
use crate::emulator::state::Tick;

/// The least time between two ticks, so that many moments close together are one tick, and a state that cannot proceed does not spin.
const TICK_GAP_MS: u64 = 1;

/// Runs until the engine shuts down.
pub(super) async fn run(engine: Engine) {
    let mut shutdown = engine.0.shutdown.subscribe();
    loop {
        let sleep = async {
            match engine.arm() {
                Some(left) => tokio::time::sleep(left.max(Duration::from_millis(TICK_GAP_MS))).await,
                None => std::future::pending().await,
            }
        };
        let due = tokio::select! {
            _ = shutdown.wait_for(|&down| down) => return,
            () = engine.0.rearm.notified() => false,
            () = sleep => true,
        };
        if due {
            engine.insist(Tick).await;
        }
    }
}

impl Engine {
    /// Notes when the timer will wake, and returns how long that is from now.
    fn arm(&self) -> Option<Duration> {
        let mut core = self.lock();
        core.armed = core.state.next_due();
        let left = core.armed?.duration_since(core.latest.max(self.clock()));
        Some(Duration::try_from(left).unwrap_or(Duration::ZERO))
    }
}
