//! The source of the frames, which counts the fetches of each frame.

use crate::dice::Dice;
use api::job::Job;
use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The name of the source in the network.
pub(crate) const HOST: &str = "frames";

/// Frames of raw pixels.
#[derive(Debug)]
pub(crate) struct Frames {
    frames: Vec<Vec<u8>>,
    fetches: Mutex<Vec<u32>>,
    /// Longest time until a response, in milliseconds.
    slowest: u64,
}

impl Frames {
    /// The frames of a job.
    pub(crate) fn new(job: &Job, seed: u64) -> Self {
        let mut dice = Dice::new(seed, "pixels");
        let size = job.frame.dtype.size();
        let pixels = job.frame.height * job.frame.width;
        let mut frame = || (0..pixels).flat_map(|_| dice.next().to_le_bytes()[..size].to_vec()).collect();
        let frames: Vec<Vec<u8>> = (0..job.frames).map(|_| frame()).collect();
        let slowest = Dice::new(seed, "source").pick(&[5, 50, 500]);
        Self { fetches: Mutex::new(vec![0; frames.len()]), frames, slowest }
    }

    /// The bytes of all frames, (t, y, x) in C order.
    pub(crate) fn stack(&self) -> Vec<u8> {
        self.frames.concat()
    }

    /// How often each frame was fetched.
    pub(crate) fn fetches(&self) -> Vec<u32> {
        self.fetches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The routes of the source.
    pub(crate) fn router(self: &Arc<Self>) -> Router {
        Router::new().route("/{index}", get(frame)).with_state(Arc::clone(self))
    }
}

async fn frame(State(frames): State<Arc<Frames>>, Path(index): Path<usize>) -> Vec<u8> {
    let count = {
        let mut fetches = frames.fetches.lock().unwrap_or_else(PoisonError::into_inner);
        fetches[index] += 1;
        fetches[index]
    };
    let mut dice = Dice::new(u64::from(count), &format!("frame {index}"));
    tokio::time::sleep(dice.millis(0, frames.slowest)).await;
    tokio::time::sleep(Duration::from_micros(index as u64)).await;
    frames.frames[index].clone()
}
