//! Frames from an HTTPS source: the command trusts a private authority only if it is configured.

use api::geometry::Dtype;
use tests::job::job;
use tests::movie::Movie;
use tests::place::Place;
use tests::source::FrameServer;
use tests::tls::TlsServer;
use tests::zarr::must_be_equal;

const MOVIE: Movie = Movie::of(21, 34, Dtype::Uint8);

#[test]
fn a_private_authority_is_trusted_only_when_configured() {
    let (secure, plain) = (TlsServer::png(MOVIE), FrameServer::png(MOVIE));
    let place = Place::default();
    let job = |url: String| job(&url, 9).recenter(12, 12).fft("power").reduce(&["mean"]);
    let refused = place.start_job("stranger", &job(secure.url("{index}")), 2, &[]).end();
    assert_eq!(refused.code, Some(1));
    assert!(refused.sentence().contains("certificate"), "{}", refused.sentence());
    place.write("authority.pem", secure.authority.as_bytes());
    let (_, arrays) = place.results("secure", &job(secure.url("{index}")), 2);
    let (_, expected) = place.results("plain", &job(plain.url("{index}")), 2);
    must_be_equal(&arrays, &expected, "over https");
}
