//! Readers of arrays while faults happen, and after the last fault.

use crate::dice::Dice;
use crate::run::{Arrays, PATIENCE, World};
use std::time::Duration;

impl World {
    /// Reads arrays from servers without end. A read fails, or it has the expected bytes. Returns the first that does not.
    pub(crate) async fn read_meanwhile(&self, expected: &Arrays, reads: &mut u64) -> String {
        let mut dice = Dice::new(self.seed, "readers");
        let reader = self.reader();
        if dice.percent(30) {
            return std::future::pending().await;
        }
        loop {
            tokio::time::sleep(dice.millis(10, 3000)).await;
            let up = self.fleet.up();
            let (name, bytes) = &expected[dice.below(expected.len())];
            let Some(server) = up.get(dice.below(up.len())) else { continue };
            match self.read(&reader, server, name).await {
                Ok(read) if read == *bytes => *reads += 1,
                Ok(_) => return format!("a reader of {name} at {server} got other bytes"),
                Err(error) => self.trace.event(&error),
            }
        }
    }

    /// Reads all arrays after the last fault is over, at `end`.
    pub(crate) async fn read_finally(&self, end: Duration, expected: &Arrays) -> Result<(), String> {
        tokio::time::sleep(end.saturating_sub(self.trace.now())).await;
        let latest = self.trace.now() + PATIENCE;
        loop {
            match self.read_all().await {
                Ok(arrays) if arrays == *expected => return Ok(()),
                Ok(arrays) => {
                    let wrong = arrays.iter().zip(expected).find(|(read, expected)| read != expected);
                    return Err(format!("array {} has other bytes than without faults", wrong.map_or("", |(read, _)| &read.0)));
                }
                Err(error) if self.trace.now() > latest => {
                    return Err(format!("arrays are not readable {PATIENCE:?} after the end: {error}"));
                }
                Err(error) => self.trace.event(&error),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}
