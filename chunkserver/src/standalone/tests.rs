//! Servers of a cluster, all in one process, on any free ports: who may ask what, and a job over two of them.

mod array;
mod doors;
mod job;
mod looks;
mod news;
mod page;
mod peers;
mod readers;
mod source;
mod support;
mod tasks;
mod zarr;
mod zarr_waiting;

use super::{Error, Server};
use support::{Authority, Place, TOKEN};

/// The refusal to start of a server in `place`.
fn refusal(place: &Place) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    let error: Error = Server::bind(&place.settings()).unwrap_err();
    api::words::chain(&error)
}

#[test]
fn a_server_that_lacks_something_says_what() {
    let place = Place::new(&Authority::new(), TOKEN, &[]);
    place.write("token", " \n");
    assert!(refusal(&place).ends_with("token is empty"), "{}", refusal(&place));
    place.write("tls.key", "no key");
    assert!(refusal(&place).contains("the key is not PEM"), "{}", refusal(&place));
    place.write("ca.crt", "");
    assert!(refusal(&place).contains("the authority's certificate is empty"), "{}", refusal(&place));
    place.remove("tls.crt");
    assert!(refusal(&place).contains("tls.crt: No such file"), "{}", refusal(&place));
}

#[test]
fn a_scratch_folder_is_tried_at_the_start() {
    let place = Place::new(&Authority::new(), TOKEN, &[]);
    let mut settings = place.settings();
    settings.scratch = Some("/nowhere/at/all".into());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    let error = Server::bind(&settings).unwrap_err().to_string();
    assert!(error.contains("/nowhere/at/all"), "{error}");
    settings.scratch = Some(std::env::temp_dir());
    Server::bind(&settings).unwrap();
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let authority = Authority::new();
    let place = Place::new(&authority, TOKEN, &[]);
    place.write("tls.key", &authority.leaf(transport::tls::SERVER_NAME).key);
    assert!(refusal(&place).contains("the certificates and the key are not usable"), "{}", refusal(&place));
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let place = Place::new(&Authority::new(), TOKEN, &[]);
    let first = Server::bind(&place.settings()).unwrap();
    let mut settings = place.settings();
    settings.ports.readers = first.addresses().readers.port();
    let error = Server::bind(&settings).unwrap_err().to_string();
    assert_eq!(error, format!("cannot listen for readers on port {}", settings.ports.readers));
}
