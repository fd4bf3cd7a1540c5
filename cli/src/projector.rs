//! Serves the demo's movie over HTTP, one URL for each frame: to the demo itself, and as `arrayjob movie` to a job in a
//! cluster.

use crate::args;
use crate::console::message;
use crate::error::Error;
use crate::movie::Movie;
use crate::signals::interrupted;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// Height and width of a frame, in pixels.
pub(crate) const SIZE: usize = 512;
/// Height and width of the crop around the cell, in pixels.
pub(crate) const CROP: usize = 256;
const SEED: u64 = 2017;
/// In a shorter movie, the slowest and the fastest beat do not differ.
const MIN_FRAMES: usize = 40;

/// Serves the movie until a signal arrives.
///
/// # Errors
/// The movie is too short, or the address is not free.
pub async fn project(args: args::Movie) -> Result<(), Error> {
    let movie = Arc::new(movie(args.frames)?);
    let failed = |error: std::io::Error| Error::Refused(format!("cannot listen on {}: {error}; choose another --listen", args.listen));
    let listener = TcpListener::bind(args.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    message(&format!(
        "a movie of {} frames is at http://{address}/0.png; in a manifest: images: {{urlTemplate: \"http://{address}/{{index}}.png\", count: {}}}",
        args.frames, args.frames
    ));
    tokio::select! {
        () = show(movie, listener, Duration::from_millis(args.delay_ms)) => {}
        () = interrupted() => {}
    }
    Ok(())
}

/// The demo's movie.
pub(crate) fn movie(frames: usize) -> Result<Movie, Error> {
    if frames < MIN_FRAMES {
        return Err(Error::Refused(format!("--frames must be at least {MIN_FRAMES}")));
    }
    Ok(Movie::new(frames, SIZE, CROP, SEED))
}

/// Serves frames, each after `delay`, until the future is dropped.
pub(crate) async fn show(movie: Arc<Movie>, listener: TcpListener, delay: Duration) {
    let router = Router::new().route("/{frame}", get(frame)).with_state((movie, delay));
    transport::listen::serve_public(listener, router, std::future::pending()).await;
}

async fn frame(State((movie, delay)): State<(Arc<Movie>, Duration)>, Path(name): Path<String>) -> Response {
    let index = name.strip_suffix(".png").and_then(|index| index.parse::<usize>().ok()).filter(|&index| index < movie.frames());
    let Some(index) = index else { return StatusCode::NOT_FOUND.into_response() };
    tokio::time::sleep(delay).await;
    match tokio::task::spawn_blocking(move || movie.png(index)).await {
        Ok(Ok(png)) => ([(header::CONTENT_TYPE, "image/png")], png).into_response(),
        _ => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
