//! Shows the demo's movie over HTTP, a picture behind each URL: to the demo itself, and as `arrayjob movie` to a job in a
//! cluster.

use crate::args;
use crate::error::Error;
use crate::movie::Movie;
use crate::progress::line;
use crate::run::interrupted;
use axum::Router;
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;

/// The movie's height and width, and those of the crop around the specimen, in pixels.
pub(crate) const SIZE: usize = 512;
pub(crate) const CROP: usize = 256;
const SEED: u64 = 2017;
/// A movie has to be long enough for its slowest beat and its fastest to differ.
const FEWEST_FRAMES: usize = 40;

/// Serves the movie until it is told to end.
///
/// # Errors
/// When the movie would be too short, or the address cannot be listened on.
pub async fn project(ask: args::Movie) -> Result<(), Error> {
    let movie = Arc::new(movie(ask.frames)?);
    let failed = |error: std::io::Error| Error::Refused(format!("cannot listen on {}: {error}; choose another --listen", ask.listen));
    let listener = TcpListener::bind(ask.listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    line(&format!(
        "a movie of {} frames is at http://{address}/0.png; in a manifest: images: {{urlTemplate: \"http://{address}/{{index}}.png\", count: {}}}",
        ask.frames, ask.frames
    ));
    tokio::select! {
        () = show(movie, listener, Duration::from_millis(ask.delay_ms)) => {}
        () = interrupted() => {}
    }
    Ok(())
}

/// The demo's movie.
pub(crate) fn movie(frames: usize) -> Result<Movie, Error> {
    if frames < FEWEST_FRAMES {
        return Err(Error::Refused(format!("--frames must be at least {FEWEST_FRAMES}")));
    }
    Ok(Movie::new(frames, SIZE, CROP, SEED))
}

/// Answers, each after `delay`, until it is dropped.
pub(crate) async fn show(movie: Arc<Movie>, listener: TcpListener, delay: Duration) {
    let router = Router::new().route("/{frame}", get(frame)).with_state((movie, delay));
    transport::listen::serve(listener, router, std::future::pending()).await;
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
