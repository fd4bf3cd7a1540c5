//! Servers of a cluster, in one process and on free ports: permissions of clients, and jobs on several servers.

mod array;
mod damage;
mod egress;
mod job;
mod memory;
mod page;
mod peers;
mod placement;
mod previews;
mod readers;
mod routes_per_port;
mod source;
mod status;
mod support;
mod tasks;
mod zarr;
mod zarr_waiting;

use super::{Error, Server};
use support::{Authority, ServerFolders, TOKEN};

/// The error of a server that cannot start with `folders`.
fn refusal(folders: &ServerFolders) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _context = runtime.enter();
    let error: Error = Server::bind(&folders.settings()).unwrap_err();
    api::words::chain(&error)
}

#[test]
fn the_error_names_a_missing_or_wrong_file() {
    let folders = ServerFolders::new(&Authority::new(), TOKEN, &[]);
    folders.write("token", " \n");
    assert!(refusal(&folders).ends_with("token is empty"), "{}", refusal(&folders));
    folders.write("tls.key", "no key");
    assert!(refusal(&folders).contains("the key is not PEM"), "{}", refusal(&folders));
    folders.write("ca.crt", "");
    assert!(refusal(&folders).contains("the authority's certificate is empty"), "{}", refusal(&folders));
    folders.remove("tls.crt");
    assert!(refusal(&folders).contains("tls.crt: No such file"), "{}", refusal(&folders));
}

#[test]
fn a_scratch_folder_is_checked_at_the_start() {
    let folders = ServerFolders::new(&Authority::new(), TOKEN, &[]);
    let mut settings = folders.settings();
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
    let folders = ServerFolders::new(&authority, TOKEN, &[]);
    folders.write("tls.key", &authority.leaf(transport::tls::SERVER_NAME).key);
    assert!(refusal(&folders).contains("the certificates and the key are not usable"), "{}", refusal(&folders));
}

#[tokio::test]
async fn the_error_names_a_port_in_use() {
    let folders = ServerFolders::new(&Authority::new(), TOKEN, &[]);
    let first = Server::bind(&folders.settings()).unwrap();
    let mut settings = folders.settings();
    settings.ports.readers = first.addresses().readers.port();
    let error = Server::bind(&settings).unwrap_err().to_string();
    assert_eq!(error, format!("cannot listen for readers on port {}", settings.ports.readers));
}
